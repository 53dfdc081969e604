"""What is said of nodes: their state and their settings."""

from ravada_web.messages.marks import N_, Plural, Template

TEXTS: dict[str, Template] = {
    "nodes.overdue": N_("Last checked at %(checked_at)s, so its present state is not known."),
    "nodes.returning": N_(
        "It answers again. Desktops that were deleted or made again elsewhere meanwhile are being removed there first."
    ),
    "nodes.started_again": N_("%(names)s: off after the host had been away, started again"),
    "nodes.title_return": Plural(
        "Remove %(count)s desktop that was left on %(node)s", "Remove %(count)s desktops that were left on %(node)s"
    ),
    "nodes.removed_remains": Plural(
        "%(count)s desktop that was left there is removed", "%(count)s desktops that were left there are removed"
    ),
    "nodes.double_runs": N_("A desktop that was deleted or made again elsewhere still runs there: %(why)s"),
    # Given up
    "nodes.title_give_up": N_("Give up %(node)s"),
    "nodes.given_up_already": N_("%(node)s was given up. Take it back on its page if it is there again."),
    "nodes.not_given_up": N_("%(node)s was not given up."),
    "nodes.give_up_under_way": N_("%(node)s is being given up. Wait for that to end, then take it back."),
    "nodes.give_up_answers": N_("%(node)s is up. Disable it and delete its desktops instead."),
    "nodes.give_up_master": N_("The master cannot be given up: the product runs there."),
    "nodes.given_up_by": N_("by %(name)s: it will not come back"),
    "nodes.given_up_with": N_("with its node %(node)s, which will not come back"),
    # Room for the loss of one node
    "nodes.reserve_whole": N_("If any one node fails, all desktops that are made again fit on the others."),
    "nodes.reserve_lost": N_(
        "%(node)s failed, and %(missing_mib)s of memory is missing to make its desktops again on the others."
    ),
    "nodes.reserve_short": Plural(
        "If %(node)s fails, %(missing_mib)s of memory is missing to make its desktops again on the others.",
        "If %(node)s fails, %(missing_mib)s of memory is missing to make its desktops again on the others; for "
        "%(count)s nodes there is too little.",
    ),
    # Another host in its place
    "nodes.title_replace": N_("Join a new host in the place of %(node)s"),
    "nodes.replace_master": N_("No other host can take the place of the master: the product runs there."),
    "nodes.yet_another_host": N_("Yet another host answers at the address of %(node)s. Reload the page."),
    "nodes.confirm_lost": N_("Confirm that the persistent desktops of this node are lost, or cancel."),
    "nodes.replaced": N_(
        "before: host key %(old)s, machine ID %(old_id)s; now: host key %(new)s, machine ID %(new_id)s"
    ),
    "nodes.replaced_with": N_("with the disks of its node %(node)s, which was installed anew"),
    "nodes.title_orphans": N_("Look for orphans on %(node)s"),
    "nodes.ignored": N_("%(name)s, an orphan there"),
    "nodes.title_export": N_("Export disks of %(name)s on %(node)s"),
    "nodes.exports": N_("disks of %(name)s, left there"),
    "nodes.exporting": N_("writing %(path)s"),
    "nodes.exported": N_("Exported to %(paths)s on the node."),
    "nodes.export_runs": N_("%(name)s is not off on %(node)s. Shut it down there, then export its disks."),
    "nodes.being_exported": N_("The disks of %(name)s are being exported. Wait until that is done, or cancel it."),
    "nodes.nothing_to_export": N_("%(name)s has no disks to export."),
    "nodes.deleted_by": N_("A desktop of this name was deleted by %(actor)s at %(deleted_at)s."),
    "nodes.file_in_use": N_("%(path)s is used by %(name)s."),
    "nodes.watched_again": N_("%(name)s, an orphan there that was ignored"),
    "nodes.not_ignored": N_("%(name)s is not ignored."),
    "nodes.no_base_known": N_("The base of %(name)s no longer exists."),
    "nodes.no_machine": N_("%(name)s is files without a virtual machine. Export or delete them."),
    "nodes.not_up_now": N_("%(node)s is not up. Try again once it is."),
    "nodes.choose": N_("Choose one."),
    "nodes.has_clones_away": Plural(
        "Node %(node)s has %(count)s clone and is not responding. If it will not come back, give it up on its page.",
        "Node %(node)s has %(count)s clones and is not responding. If it will not come back, give it up on its page.",
    ),
    "nodes.no_such_remains": N_("It is no longer listed there. Reload the page."),
    "nodes.take_back_first": N_("%(node)s is not up. Desktops are brought back once it is taken back and up."),
    "nodes.name_in_use": N_("Another desktop is named %(name)s by now. Delete or rename it first."),
    "nodes.brought_back": N_("on %(node)s, where it was left"),
    "nodes.to_be_deleted": N_("%(name)s, left there when the node was given up"),
    # Maintenance, and the power of the host
    "nodes.maintenance": N_("By %(name)s since %(since_at)s."),
    "nodes.maintenance_planned": N_("By %(name)s since %(since_at)s, planned until %(until_at)s."),
    "nodes.maintenance_over_time": N_(
        "By %(name)s since %(since_at)s. It was planned until %(until_at)s: enable it, or plan for longer. Its alerts "
        "are raised again."
    ),
    "nodes.maintenance_new": N_("%(node)s is not in service yet. Complete its setup first."),
    "nodes.title_host_off": N_("Shut down host %(node)s"),
    "nodes.title_host_restart": N_("Restart host %(node)s"),
    "nodes.title_host_wake": N_("Wake host %(node)s"),
    "nodes.power_under_way": N_("%(node)s is being shut down, restarted or woken already."),
    "nodes.power_this_server": N_(
        "Ravada Web runs on this host: shut it down or restart it from its own console, once its desktops are off."
    ),
    "nodes.power_not_up": N_("%(node)s is not up, so it cannot be asked. Use its power control, if it has one."),
    "nodes.power_draining": N_("%(node)s is being drained. Wait until it is empty, or cancel the drain."),
    "nodes.power_cancelled": N_(
        "Cancelled before the host was asked. %(node)s stays in maintenance; enable it to use it again."
    ),
    "nodes.power_in_service": N_("%(node)s is no longer in maintenance, so its host was not asked."),
    "nodes.power_cancelled_late": N_("No longer watched. The host %(node)s was asked already, and may still do it."),
    "nodes.power_guests": Plural(
        "Waiting for %(count)s desktop to shut down.", "Waiting for %(count)s desktops to shut down."
    ),
    "nodes.power_work": N_("Waiting for other work on this node to end."),
    "nodes.power_forced": Plural(
        "Forcing off %(count)s desktop that did not shut down.",
        "Forcing off %(count)s desktops that did not shut down.",
    ),
    "nodes.power_guests_left": Plural(
        "%(names)s did not shut down, so the host %(node)s was left on, in maintenance. Force it off, or try again.",
        "%(names)s did not shut down, so the host %(node)s was left on, in maintenance. Force them off, or try again.",
    ),
    "nodes.power_busy": N_(
        "Other work on %(node)s did not end in time, so the host was left on, in maintenance. See its operations."
    ),
    "nodes.power_host_next": N_("Nothing runs there any more. Asking the host."),
    "nodes.host_off_asked": N_("The host is shutting down."),
    "nodes.host_restart_asked": N_("The host is restarting."),
    "nodes.host_off_refuses": N_("The host is shutting down: it no longer takes connections, but is still on."),
    "nodes.host_restart_refuses": N_("The host is restarting: it takes no connections."),
    "nodes.host_off_silent": N_("The host no longer answers."),
    "nodes.host_restart_silent": N_("The host is down. Waiting until it is up again."),
    "nodes.host_off_done": N_("The host %(node)s was shut down, and no longer answers."),
    "nodes.host_restart_done": N_("The host %(node)s has restarted and is up."),
    "nodes.host_off_late": N_("The host %(node)s was asked to shut down, but still answers. Look at its console."),
    "nodes.host_restart_late": N_(
        "The host %(node)s was asked to restart, but has not come back. Look at its console. It stays in maintenance."
    ),
    "nodes.enabled_after_restart": N_("up again after its restart"),
    # Why a check found it so
    "nodes.no_login": N_("The host is starting up or shutting down (/run/nologin is there)."),
    "nodes.check_hangs": N_("The check did not finish within %(deadline_seconds)s: something on the node hangs."),
    "nodes.link_starting": N_("SSH answers; the connection to libvirt is being set up, which takes a few seconds."),
    "nodes.libvirt_silent": N_("SSH answers, libvirt does not: %(why)s"),
    "nodes.libvirt_stopped": N_(
        "SSH answers, but libvirt is not running there. Start it on that host: systemctl start libvirtd"
    ),
    "nodes.libvirt_modular": N_(
        "SSH answers, but libvirt’s separate daemons (virtqemud) run without virtproxyd. Start it on that host: "
        "systemctl enable --now virtproxyd.socket"
    ),
    "nodes.no_forwarding": N_(
        "SSH and libvirt answer on that host, but its sshd does not forward libvirt’s socket. Check DisableForwarding, "
        "AllowTcpForwarding and AllowStreamLocalForwarding in its sshd_config, and that the key of %(user)s is not "
        "limited by restrict or no-port-forwarding."
    ),
    "nodes.slow_libvirt": Plural(
        "SSH answers; libvirt was slow in %(count)s check: it took %(took_seconds)s, more than %(limit_seconds)s.",
        "SSH answers; libvirt was slow in %(count)s checks in a row: it took %(took_seconds)s, more than "
        "%(limit_seconds)s.",
    ),
    "nodes.recovering": N_(
        "libvirt answers again after %(bad)s bad checks: %(good)s of the %(needed)s good checks needed in a row."
    ),
    # Its host UUID, for the audit log
    "nodes.new_uuid": N_(
        "%(new)s instead of %(old)s, under the accepted host key. A host without a DMI UUID makes up a new one each "
        "time libvirtd starts; set host_uuid in /etc/libvirt/libvirtd.conf to keep one."
    ),
    "nodes.same_uuid": N_(
        "%(uuid)s, the same as node %(node)s. Their host keys differ, so both work; to move running VMs between them, "
        "set a different host_uuid in /etc/libvirt/libvirtd.conf on one of them."
    ),
    # Its machine ID, likewise
    "nodes.rebooted": N_("The host was restarted. Whatever ran there has ended."),
    "nodes.new_machine_id": N_(
        "%(new)s instead of %(old)s, under the accepted host key. Either the system was installed anew and kept its "
        "host keys, or another machine has a copy of them. If it is right, accept it on the page of the node."
    ),
    "nodes.same_machine_id": N_(
        "%(id)s, the same as node %(node)s, as copies of a disk have. Their host keys differ, so both work; give one "
        "of them its own: rm -f /etc/machine-id && systemd-machine-id-setup"
    ),
    "nodes.no_other_machine_id": N_("%(node)s reports no other machine ID than the accepted one."),
    "nodes.unstorable": N_("What the check saw cannot be stored: %(why)s"),
    # What a check saw, for the audit log
    "nodes.state_unknown": N_("not checked yet"),
    "nodes.state_up": N_("up"),
    "nodes.state_degraded": N_("degraded"),
    "nodes.state_down": N_("down"),
    "nodes.state_refuses": N_("down, its address answers"),
    "nodes.state_silent": N_("down"),
    "nodes.state_off": N_("down, known to be off"),
    "nodes.state_quarantined": N_("quarantined"),
    "nodes.state_because": N_("%(state)s: %(why)s"),
    # What may be done now while it is away
    "nodes.now_refuses": N_(
        "The host is on and its desktops may still be running: persistent ones are not started anywhere else, and "
        "nothing there can be changed until SSH answers again."
    ),
    "nodes.now_silent": N_(
        "Its desktops may still be running, so persistent ones are not started anywhere else until it answers or is "
        "known to be off."
    ),
    "nodes.now_off": N_(
        "Known to be off since %(since_at)s (%(by)s): nothing runs there, so persistent desktops may be started "
        "elsewhere from a copy, where there is one."
    ),
    "nodes.now_shut_down": N_("Shut down from here by %(name)s at %(off_at)s. Nothing has answered there since."),
    # Known to be off
    "nodes.vouched": N_("confirmed by %(name)s"),
    "nodes.type_name": N_("Enter the name of the node: %(node)s"),
    "nodes.off_not_down": N_("%(node)s is not down. Only a node that does not answer can be off."),
    "nodes.off_answers": N_(
        "%(node)s answers at its address, so it is not off. Switch it off, wait until nothing answers, then try again."
    ),
    "nodes.off_not_known": N_("%(node)s is not known to be off."),
    "nodes.off_used": N_(
        "Desktops of %(node)s were started elsewhere because it is off, so this can no longer be undone."
    ),
    "nodes.off_over": N_("It answers again: %(why)s"),
    # Which node
    "nodes.no_such": N_("Node not found."),
    "nodes.not_found": N_("There is no node “%(name)s”."),
    "nodes.gone": N_("One of these nodes no longer exists. Reload the page."),
    "nodes.no_master": N_("There is no master node yet. Add a node; the first one becomes the master."),
    "nodes.this_host": N_("this host"),
    "nodes.no_such_span": N_("Charts cover an hour, a day, a week or a month."),
    # Name and address
    "nodes.bad_name": N_("Use letters, digits, dots, dashes and underscores, starting with a letter or digit."),
    "nodes.name_taken": N_("Another node has this name."),
    "nodes.bad_port": N_("Enter a port between 1 and 65535."),
    "nodes.address_taken": N_("Node %(node)s already has this address."),
    # Settings
    "nodes.range": N_("Enter a number between %(least)s and %(most)s."),
    "nodes.optional_range": N_("Enter a number between %(least)s and %(most)s, or leave empty for no limit."),
    "nodes.memory_range": N_("Enter a number between 0 and the node’s memory, %(most)s MiB."),
    "nodes.bad_display_address": N_("Enter an IP address of the node, or leave empty to disable desktop viewers."),
    "nodes.nat_without_display": N_("This replaces the address for desktop viewers; enter that one too."),
    "nodes.bad_nat_address": N_("Enter an IP address, or leave empty."),
    "nodes.bad_mac": N_("Enter six pairs of hexadecimal digits, such as 52:54:00:12:34:56."),
    "nodes.notes_too_long": N_("Use at most %(most)s characters."),
    "nodes.bad_labels": N_(
        "Enter at most %(most)s labels, separated by commas, made of letters, digits and . _ = / -."
    ),
    # Enabling, disabling and removing
    "nodes.enabled_or_disabled": N_("Choose enabled or disabled."),
    "nodes.no_root": N_(
        "%(node)s cannot be enabled: clones need root access there. Allow it, then check the node again."
    ),
    "nodes.not_tested": N_("%(node)s has not passed its test. Test it first, or enable it without a test."),
    "nodes.has_clones": Plural(
        "Node %(node)s has %(count)s clone. Delete it first.", "Node %(node)s has %(count)s clones. Delete them first."
    ),
    "nodes.has_arriving": N_("Desktops are being moved to node %(node)s. Cancel that first, or wait until it is over."),
    "nodes.master_has_bases": N_("The master cannot be removed: it holds the original of every base."),
    "nodes.has_replicas": N_("Node %(node)s has copies of bases. Deselect it on their Nodes tabs first."),
}
