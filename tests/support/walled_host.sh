#!/bin/sh
# The first process of a host behind a firewall, in namespaces of its own: eth0 leads to a network with two hosts, the
# master (.1) and a friend (.7), virbr0 to a guest. usage: walled_host.sh TOOLS (a folder with files for its /usr, /etc)
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
for place in etc usr; do
    mkdir -p "/run/disk/$place" "/run/work/$place" "$1/$place"
    layers="lowerdir=$1/$place:/$place,upperdir=/run/disk/$place,workdir=/run/work/$place"
    mount -t overlay -o "$layers" overlay "/$place"
done
mkdir -p /run/dbus /run/lock
mount -t tmpfs tmpfs /var/log
rm -f /etc/nftables.ravada.nft
echo 'flush ruleset' > /etc/nftables.conf
for who in others guest; do
    # shellcheck disable=SC2016
    unshare --net sh -c 'echo $$ > /run/$0.new; mv /run/$0.new /run/$0; exec sleep infinity' $who &
done
until [ -e /run/others ] && [ -e /run/guest ]; do sleep 0.02; done
others="nsenter --net --target $(cat /run/others)" guest="nsenter --net --target $(cat /run/guest)"
ip link add eth0 type veth peer name eth0 netns "$(cat /run/others)"
ip link add virbr0 type bridge
ip link add tap0 type veth peer name eth0 netns "$(cat /run/guest)"
ip link set tap0 master virbr0 up
address() { $1 ip address add "$3" dev "$2" nodad; $1 ip link set "$2" up; $1 ip link set lo up; }
for of in "env eth0 192.0.2.2/24" "env eth0 2001:db8::2/64" "env virbr0 192.168.122.1/24" "env virbr0 fd00:122::1/64"; do
    # shellcheck disable=SC2086
    address $of
done
for last in 1 7; do
    address "$others" eth0 192.0.2.$last/24
    address "$others" eth0 2001:db8::$last/64
done
address "$guest" eth0 192.168.122.9/24
address "$guest" eth0 fd00:122::9/64
exec python3 "$2"
