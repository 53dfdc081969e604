#!/bin/sh
# The first process of a host that boots systemd, in mount and process namespaces of its own: starts it, and again when
# it reboots; ends when it is switched off.
# usage: booted.sh ROOT NAME BRIDGE
set -eu
root=$1 name=$2 bridge=$3
mount --make-rslave /
mount -t tmpfs -o mode=755 tmpfs /run
# A group of processes of its own in each hierarchy that systemd uses, or hosts would share one.
for tree in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    if [ -e "$tree/cgroup.procs" ]; then
        mkdir -p "$tree/lab-$name"
        echo 0 > "$tree/lab-$name/cgroup.procs"
    fi
done
# What systemd-nspawn ends with when the host asks for a reboot.
reboot=133 status=133
while [ "$status" = "$reboot" ]; do
    status=0
    systemd-nspawn --quiet --register=no --keep-unit --boot --directory="$root" --machine="$name" \
        --network-bridge="$bridge" --capability=all --system-call-filter='add_key keyctl bpf perf_event_open' \
        --resolv-conf=off --timezone=off --link-journal=no || status=$?
done
