#!/bin/sh
# The first process of a lab node, in namespaces of its own: gives it its folders and devices, then is its sshd.
# usage: node.sh FOLDER NAME
set -eu
folder=$1 name=$2
mount --make-rprivate /
hostname "$name"
# The folder may lie below one that is about to be covered, such as /home: from here on it is reached elsewhere.
mount --rbind "$folder" /mnt
folder=/mnt

mount -t tmpfs -o mode=755 tmpfs "$folder/dev"
mkdir "$folder/dev/pts" "$folder/dev/shm" "$folder/dev/net" "$folder/dev/mqueue"
# Without kvm: libvirt then offers emulation alone, which is what works on any machine.
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 net/tun:10:200; do
    IFS=: read -r path major minor <<END
$device
END
    mknod -m 666 "$folder/dev/$path" c "$major" "$minor"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$folder/dev/pts"
ln -s pts/ptmx "$folder/dev/ptmx"
ln -s /proc/self/fd "$folder/dev/fd"
ln -s fd/0 "$folder/dev/stdin"
mount -t tmpfs -o mode=1777 tmpfs "$folder/dev/shm"
mount --rbind "$folder/dev" /dev

# What it has no folder for is the host's own: homes, for a node that runs the product itself.
for private in etc/libvirt etc/ssh etc/sudoers.d var/lib/libvirt var/log/libvirt root home; do
    [ ! -d "$folder/$private" ] || mount --rbind "$folder/$private" "/$private"
done
for file in etc/hosts etc/resolv.conf etc/machine-id etc/passwd etc/group etc/shadow etc/os-release; do
    [ -e "/$file" ] && mount --bind "$folder/$file" "/$file"
done
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/cache/libvirt
mkdir -p /run/sshd /run/libvirt /run/lock

ip link set lo up
ip link add virbr0 type bridge
ip link set virbr0 up

virtlogd -d
libvirtd -d
exec /usr/sbin/sshd -D -f /etc/ssh/sshd_config -E /var/log/libvirt/sshd.log
