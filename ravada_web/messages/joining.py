"""What is said while a host becomes a node: its host key, access, checks, fixes and test."""

from ravada_web.messages.marks import N_, Plural, Template

TEXTS: dict[str, Template] = {
    # The host key
    "joining.read_key": N_("Read host key of %(name)s"),
    "joining.read_new_key": N_("Read new host key of %(name)s"),
    "joining.key_unchanged": N_("Node %(node)s still presents the accepted host key."),
    "joining.no_key_to_accept": N_("There is no host key to accept here. Add the node again."),
    "joining.other_fingerprint": N_("This is not the fingerprint that the host presented."),
    "joining.place_taken": N_("Another node took this name or address in the meantime."),
    "joining.quarantined": N_(
        "%(node)s presents a different host key from the accepted one. Verify and accept it first."
    ),
    # Who answers with another host key
    "joining.newcomer_gone": N_("%(node)s presents its accepted host key again, or yet another one. Reload the page."),
    "joining.nothing_to_decide": N_(
        "There is nothing to decide about the host at the address of %(node)s any more: somebody else may have decided "
        "it, or the accepted host key is back. Reload the page."
    ),
    "joining.cannot_look": N_(
        "Ravada cannot tell which host answers at the address of %(name)s: looking at its files takes root or sudo, "
        "and find from GNU findutils."
    ),
    "joining.host_emptied": N_(
        "By its machine ID it may be %(node)s, but the files of its desktops and bases are missing. Either its storage "
        "is not mounted, or it was installed anew from an image that has this machine ID."
    ),
    "joining.host_anew": N_(
        "It has another machine ID than %(node)s, and none of its files: the system was installed anew, or this is "
        "another machine."
    ),
    "joining.host_kept": N_(
        "It has another machine ID than %(node)s, but holds its files (of desktops: %(desktops)s, of bases: "
        "%(bases)s): the system was installed anew, and its storage was kept."
    ),
    "joining.host_other": N_("This is node %(other)s, or a copy of its disk."),
    "joining.host_former": N_("This was node %(other)s until another host took its place."),
    "joining.host_holds": Plural(
        "It holds %(count)s file of desktops of %(other)s.", "It holds %(count)s files of desktops of %(other)s."
    ),
    "joining.host_twin": N_(
        "It has the same machine ID as node %(other)s, as hosts installed from one image have; give it its own."
    ),
    # Access
    "joining.install_key": N_("Install key on %(node)s"),
    "joining.enter_password": N_("Enter the password of %(user)s on that host."),
    "joining.no_key_needed": N_("This host needs no key."),
    "joining.password_expired": N_(
        "The password was not used within %(kept_seconds)s and has been deleted. Enter it again."
    ),
    # Checks
    "joining.check": N_("Check %(node)s"),
    "joining.busy": N_("“%(title)s” is in progress. Wait until it has finished."),
    "joining.duplicate": N_("This host is already a node, under another address. Remove this entry."),
    "joining.socket_missing": N_("its socket is missing"),
    "joining.no_link": N_("The connection to %(name)s failed: %(why)s"),
    # Checks of the host: SSH and login
    "joining.ssh_local": N_("Ravada runs on this host; SSH is not needed."),
    "joining.ssh_slow": N_("Login takes %(login_ms)s, which is slow. Often caused by a failing reverse DNS lookup."),
    "joining.ssh": N_("Login takes %(login_ms)s."),
    "joining.access_root": N_("Logged in as root."),
    "joining.access_sudo": N_("Logged in as %(user)s, with root access by sudo."),
    "joining.access_libvirt": N_(
        "%(user)s can use libvirt but has no root access. The node is monitored, and its virtual machines and pools "
        "are shown; it cannot hold bases or clones, nothing can be installed, and its firewall cannot be read."
    ),
    # Identity
    "joining.is_master": N_("This host is the master itself, node %(node)s, under another address. Remove this entry."),
    "joining.is_node": N_("This host is already node %(node)s, under another address. Remove this entry."),
    "joining.is_former": N_(
        "This host was node %(node)s until another host took its place. Install it anew, or remove this entry."
    ),
    "joining.host_key_shared": N_(
        "It has the same host key as node %(node)s, as copies of a disk do: SSH cannot tell them apart. Create new "
        "host keys on it, then accept the new key here."
    ),
    "joining.machine_id_shared": N_(
        "It has the same machine ID as node %(node)s, as copies of a disk do. Their host keys differ, so it works as a "
        "node; give it its own machine ID, or both may get the same address by DHCP."
    ),
    "joining.host_uuid_shared": N_(
        "It has the same host UUID as node %(node)s. Their host keys or machine IDs differ, so it works as a node; to "
        "move running VMs between them, give it its own host UUID."
    ),
    "joining.unique": N_("No other node has its host key, machine ID or host UUID."),
    # Distribution, virtualization and programs
    "joining.distribution": N_("%(name)s, %(arch)s."),
    "joining.selinux": N_("SELinux is %(state)s."),
    "joining.distribution_unknown": N_(
        "%(name)s: the packages of this distribution are not known. Install what is missing yourself: libvirt, QEMU "
        "and qemu-img."
    ),
    "joining.distribution_unnamed": N_(
        "The distribution is not known. Install what is missing yourself: libvirt, QEMU and qemu-img."
    ),
    "joining.kvm": N_("KVM is available: desktops run at full speed."),
    "joining.kvm_no_module": N_(
        "The processor supports virtualization, but /dev/kvm is missing: desktops are emulated, which is slow."
    ),
    "joining.kvm_missing": N_(
        "No hardware virtualization: desktops are emulated, which is slow. Enable VT-x or AMD-V in the host’s "
        "firmware; on a virtual machine, enable nested virtualization in its hypervisor."
    ),
    "joining.tools": N_("qemu-img, virsh and the copy tools are installed."),
    "joining.no_setfacl": N_(
        "setfacl is missing: running desktops cannot move to or from this server unless the product runs as root."
    ),
    "joining.tools_missing": N_("Missing: %(names)s. Clones cannot be created without them."),
    "joining.tools_other": N_(
        "Of another kind than needed, such as busybox’s: %(names)s. Clones cannot be created with them; install GNU "
        "coreutils and findutils."
    ),
    # Memory and clock
    "joining.memory": N_("%(free_mib)s of %(total_mib)s free, of which %(reserved_mib)s are reserved for the host."),
    "joining.memory_full": N_("No desktop fits. Stop what uses the memory."),
    "joining.wake_ready": N_("Wake-on-LAN is on: a packet to %(mac)s (%(card)s) wakes the host."),
    "joining.wake_unset": N_("The card %(card)s can wake the host, but Wake-on-LAN is off."),
    "joining.wake_cannot": N_("The card %(card)s cannot wake the host by Wake-on-LAN. A fence agent can turn it on."),
    "joining.wake_unknown": N_("Whether the card %(card)s can wake the host is not known: ethtool is missing."),
    "joining.wake_no_card": N_("No network card of the host leads to its address, so Wake-on-LAN cannot be checked."),
    "joining.clock": N_("Its clock agrees with ours."),
    "joining.clock_ahead": N_("Its clock is %(off_seconds)s ahead of ours."),
    "joining.clock_behind": N_("Its clock is %(off_seconds)s behind ours."),
    # libvirt
    "joining.libvirt": N_("libvirt %(libvirt)s with QEMU %(qemu)s answers in %(answer_ms)s."),
    "joining.libvirt_missing": N_("libvirt is not installed."),
    "joining.libvirt_stopped": N_(
        "libvirt is installed but not running: nothing listens at /run/libvirt/libvirt-sock."
    ),
    "joining.libvirt_no_socket": N_(
        "libvirtd is running, but nothing listens at /run/libvirt/libvirt-sock. Restart it with its socket; VMs keep "
        "running."
    ),
    "joining.libvirt_modular": N_(
        "libvirt runs as separate daemons here (virtqemud), without virtproxyd, which provides the socket "
        "/run/libvirt/libvirt-sock. Start virtproxyd; do not start libvirtd beside them."
    ),
    "joining.libvirt_hangs": N_(
        "libvirt accepts connections, but does not answer them. Its log on that host says why (journalctl -u "
        "libvirtd); a restart leaves VMs running."
    ),
    "joining.libvirt_no_forwarding": N_(
        "libvirt answers on the host, but its sshd is configured not to forward sockets (DisableForwarding, "
        "AllowTcpForwarding, AllowStreamLocalForwarding or PermitOpen). Allow it for this login."
    ),
    "joining.libvirt_not_reached": N_(
        "libvirt answers on the host, but not through SSH: %(why)s Check that the key of %(user)s in authorized_keys "
        "is not limited by restrict or no-port-forwarding, and that sshd allows forwarding of sockets."
    ),
    "joining.libvirt_closed": N_("%(user)s cannot use libvirt’s socket: the user is not in the group libvirt."),
    "joining.libvirt_silent": N_("libvirt listens, but refuses a client on its own host: %(why)s"),
    "joining.pool": N_("Pool %(pool)s at %(path)s: %(free_mib)s of %(total_mib)s free."),
    "joining.pool_full": N_("%(floor_mib)s are reserved, so nothing fits."),
    "joining.pool_move": N_("The path must be the same on all nodes: move the files and redefine the pool."),
    "joining.pool_inactive": N_("Pool %(pool)s is defined but not active."),
    "joining.pool_no_folder": N_("The folder of pool %(pool)s, %(path)s, does not exist or cannot be read."),
    "joining.pool_unknown": N_("Pool %(pool)s at %(path)s: not known until libvirt answers."),
    "joining.network_unknown": N_("Network %(network)s: not known until libvirt answers."),
    "joining.network": N_("Network %(network)s is active."),
    "joining.network_inactive": N_("Network %(network)s is not active: desktops would not start."),
    "joining.needed_by": N_("Needed by %(bases)s."),
    "joining.needs": N_("It has what the bases need: machine types, firmware, processor and the like."),
    "joining.cannot_run": N_("It cannot run %(bases)s: needs %(missing)s."),
    "joining.processor_unknown": N_("Unknown processor"),
    "joining.processor_same": N_("%(model)s, the same as the other nodes."),
    "joining.processor_differs": N_(
        "%(model)s; other nodes have %(others)s. Stopped clones can run on all of them; running ones could only move "
        "between identical processors."
    ),
    # The firewall
    "joining.firewall_closed": N_("Only SSH from the master is allowed (%(tool)s)."),
    "joining.firewall_open": N_("Open to the network: TCP %(ports)s."),
    "joining.firewall_silent": N_("No TCP port is open to the network."),
    "joining.firewall_advice": N_(
        "Restrict SSH to the master (%(source)s). The rules are tried for %(trial_seconds)s and roll back "
        "automatically if the connection is lost. Your own SSH from other addresses is blocked too, unless ufw or "
        "firewalld allows it."
    ),
    # Fixes
    "joining.fix": N_("Fix %(checks)s on %(node)s"),
    "joining.step_fix": N_("The fix for %(check)s"),
    "joining.fix_needs_root": N_("Ravada has no root access on %(node)s. Run the command there yourself."),
    "joining.nothing_to_fix": N_("Nothing left to fix here. Run the checks again."),
    "joining.locked_out": N_(
        "With the rules active, we could not log in: %(why)s The rules roll back within %(trial_seconds)s; nothing "
        "is changed then."
    ),
    # The test
    "joining.test": N_("Test %(node)s"),
    "joining.test_needs_root": N_("The test requires root or sudo on %(node)s: it creates a disk there."),
    "joining.link_down": N_("The connection to %(name)s did not come up. Is the links process running?"),
    "joining.step_link": N_("Connection up"),
    "joining.step_disk": N_("Disk created"),
    "joining.step_start": N_("VM started"),
    "joining.step_display": N_("Display reachable"),
    "joining.step_frame": N_("Screen shows a picture"),
    "joining.step_remove": N_("Everything removed"),
}
