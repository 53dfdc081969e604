"""What goes wrong on the way to a node, or with a command there."""

from ravada_web.messages.marks import N_, Template

TEXTS: dict[str, Template] = {
    "remote.host_key_changed": N_(
        "The host key of %(name)s has changed: %(old)s was accepted, the host now shows %(new)s. Either the host was "
        "reinstalled, or another machine answers at its address. Compare the fingerprint on the host itself "
        "(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) before you accept the new key."
    ),
    "remote.host_key_gone": N_(
        "The host key of %(name)s has changed: %(old)s was accepted, the host no longer shows that key. Either the "
        "host was reinstalled, or another machine answers at its address. Compare the fingerprint on the host itself "
        "(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) before you accept the new key."
    ),
    "remote.command_failed": N_("%(step)s failed on %(name)s (exit status %(status)s): %(stderr)s"),
    "remote.command_silent": N_("%(step)s failed on %(name)s (exit status %(status)s) without an error message."),
    "remote.command_missing": N_(
        "%(step)s failed on %(name)s (exit status 127): %(stderr)s (Is it installed on the node? Debian, Ubuntu: "
        "apt install qemu-utils coreutils)"
    ),
    "remote.deadline": N_(
        "%(name)s did not answer within %(deadline_seconds)s (%(step)s). It may be off, cut off from the network, or "
        "overloaded."
    ),
    "remote.late_words": N_(
        "%(name)s did not finish within %(deadline_seconds)s (%(step)s). The last it said: “%(said)s”"
    ),
    "remote.late_inside": N_(
        "%(name)s accepted the login of %(user)s, but did not finish within %(deadline_seconds)s (%(step)s). Log in "
        "there to see what hangs: an overloaded host, a disk or a network mount."
    ),
    "remote.it_said": N_("The host says: “%(said)s”"),
    "remote.no_end": N_("%(step)s on %(name)s did not end in time."),
    "remote.step_look": N_("looking at libvirt"),
    "remote.step_admit": N_("access to the display"),
    "remote.not_our_overlay": N_("%(path)s is no disk that stands on a base of ours there."),
    "remote.step_list_pools": N_("listing the pools"),
    "remote.step_room": N_("reading free space"),
    "remote.step_read_header": N_("reading the header of an image"),
    "remote.step_hash": N_("hashing"),
    "remote.step_publish": N_("publishing"),
    "remote.step_login": N_("login"),
    "remote.step_install_key": N_("installing the key"),
    "remote.step_make_template": N_("making the overlay template"),
    "remote.step_read_tpm": N_("reading the state of the TPM"),
    "remote.step_passage": N_("preparing the way of a running desktop"),
    "remote.step_put_tpm": N_("writing the state of the TPM"),
    "remote.step_make_overlays": N_("making overlays"),
    "remote.step_check": N_("node check"),
    "remote.step_look_at_files": N_("looking at files"),
    "remote.step_list_leftovers": N_("listing leftovers"),
    "remote.step_survey": N_("survey"),
    "remote.step_read_original": N_("reading the original"),
    "remote.step_wake": N_("sending the Wake-on-LAN packet"),
    "remote.step_offers": N_("reading what the host offers"),
    "remote.step_copy_within": N_("copying a file"),
    "remote.step_write_copy": N_("writing the copy"),
    "remote.unreadable": N_("%(step)s: the answer of %(name)s cannot be read."),
    "remote.helper_away": N_("The helper that acts on %(name)s, this very host, does not answer: %(said)s"),
    "remote.helper_unknown": N_("Ravada Web runs no such command on its own host. Run it there yourself, as root."),
    "remote.no_folder": N_("no such folder: %(paths)s"),
    "remote.too_much_output": N_("%(step)s on %(name)s wrote more than %(most_bytes)s and was stopped."),
    "remote.incomplete": N_("%(step)s: the answer of %(name)s ends early; it lacks %(parts)s."),
    "remote.not_run": N_(
        "%(step)s failed on %(name)s: the login of %(user)s there runs no commands. It said: %(said)s"
    ),
    "remote.said_nothing": N_("nothing"),
    # Address and user of a host
    "remote.bad_address": N_("Enter a host name or an IP address, without scheme, user or port."),
    "remote.user_in_address": N_("Enter the address alone; the user has a field of its own."),
    "remote.zone_missing": N_(
        "A link-local address needs the interface of this host that leads to it, such as %(address)s%%eth0."
    ),
    "remote.zone_elsewhere": N_("%(address)s is not a link-local address; enter it without an interface."),
    "remote.bad_zone": N_("Enter the name of an interface of this host after the percent sign, such as eth0."),
    "remote.bad_user": N_("Enter a user name on that host, such as root."),
    "remote.bad_user_character": N_("SSH takes no user name with “%(character)s” in it."),
    "remote.invalid_address": N_("The address of %(name)s, “%(host)s”, cannot be used: %(why)s"),
    "remote.invalid_port": N_("The port of %(name)s, %(port)s, cannot be used."),
    "remote.invalid_user": N_("The user of %(name)s, “%(user)s”, cannot be used: %(why)s"),
    "remote.invalid_host_key": N_("The host key stored for %(name)s is damaged. Read it from the host again."),
    # The connection of a node
    "remote.link_starting": N_("Connecting to %(name)s."),
    "remote.link_down": N_("The connection to %(name)s is down."),
    "remote.link_silent": N_("The connection to %(name)s does not answer."),
    "remote.links_taken": N_("Another links process is using %(folder)s. Stop it first; only one can run."),
    "remote.key_refused": N_(
        "%(name)s answers, but does not accept our key for user %(user)s. Add the public key of this installation to "
        "~%(user)s/.ssh/authorized_keys there. If it is there already, the log of sshd on that host says why it does "
        "not count, for example PermitRootLogin, AllowUsers, or a from= before the key."
    ),
    "remote.unknown_address_of": N_(
        "The address of %(name)s, %(host)s, could not be resolved. Check its spelling, or enter an IP address."
    ),
    "remote.refused": N_(
        "%(name)s refused the connection to %(host)s port %(port)s: nothing listens there. Check the port and that "
        "sshd is running."
    ),
    "remote.no_answer": N_(
        "%(name)s did not answer at %(host)s port %(port)s. It may be off, cut off from the network, or behind a "
        "firewall."
    ),
    "remote.no_answer_because": N_("%(name)s did not answer at %(host)s port %(port)s (%(said)s)."),
    "remote.not_ssh": N_("%(host)s port %(port)s is not an SSH server we can talk to. Check the port of %(name)s."),
    "remote.stopped_answering": N_(
        "%(name)s stopped answering over SSH. It may be off, cut off from the network, or overloaded."
    ),
    "remote.silent_port": N_(
        "%(name)s accepts connections at %(host)s port %(port)s, but its SSH server says nothing. It may be "
        "overloaded, or another program listens there."
    ),
    "remote.turned_away": N_(
        "%(name)s closes connections to %(host)s port %(port)s as soon as they are made. Its sshd takes no more of "
        "them for now (MaxStartups, PerSourcePenalties), or a firewall, fail2ban or hosts.deny blocks this server. "
        "Ravada keeps trying."
    ),
    "remote.closed_at_login": N_(
        "%(name)s (%(host)s port %(port)s) closed the connection during login. Check on that host that the account is "
        "not locked or expired; the log of its sshd says why."
    ),
    "remote.no_sessions": N_(
        "%(name)s accepts the login of %(user)s, but opens no session for a command. Check MaxSessions in its "
        "sshd_config."
    ),
    "remote.no_forward": N_("The connection to %(name)s does not forward the display: %(said)s"),
    "remote.own_fault": N_(
        "SSH on this server failed before it reached %(name)s: %(said)s Check the key and the data folder of Ravada."
    ),
    "remote.closed_silently": N_("closed without an error message"),
    "remote.broke": N_("The SSH connection to %(name)s (%(host)s port %(port)s) was lost: %(said)s"),
    # A host that is being added
    "remote.unknown_address": N_(
        "The address %(host)s could not be resolved. Check its spelling, or enter an IP address."
    ),
    "remote.port_refused": N_(
        "%(host)s port %(port)s refused the connection: nothing listens there. Check the port and that sshd is "
        "running on that host."
    ),
    "remote.port_no_answer": N_(
        "%(host)s port %(port)s did not answer. Check the address, that the host is on, and that no firewall is in "
        "the way."
    ),
    "remote.port_silent": N_(
        "%(host)s port %(port)s accepts connections but sends nothing: it is not an SSH server, or it is overloaded. "
        "Check the port."
    ),
    "remote.port_not_ssh": N_("%(host)s port %(port)s is open, but what answers there is not SSH. Check the port."),
    "remote.no_key": N_(
        "%(host)s port %(port)s speaks SSH, but the key exchange failed (%(said)s). Check the log of its sshd."
    ),
    # Logging in
    "remote.no_commands": N_("%(user)s can log in to %(name)s, but cannot run commands there: %(why)s"),
    "remote.powerless": N_(
        "%(user)s can log in to %(name)s, but can neither become root there nor use libvirt. sudo says: “%(said)s” Run "
        "this there as root: %(command)s"
    ),
    "remote.powerless_because": N_(
        "%(user)s can log in to %(name)s, but can neither become root there nor use libvirt. sudo says: “%(said)s” "
        "Correct that there, or log in as root."
    ),
    "remote.no_passwords": N_(
        "%(name)s does not accept passwords from %(user)s (it offers %(offers)s). Install the key with the command on "
        "this page instead."
    ),
    "remote.wrong_password": N_("%(name)s did not accept this password for %(user)s. Enter it again."),
    "remote.login_broke": N_("The connection to %(name)s was lost during login: %(said)s"),
    # Disk images
    "remote.not_of_format": N_("%(path)s on %(name)s cannot be read as a %(format)s image: %(said)s"),
    "remote.no_format": N_("Images of the format %(format)s are not read. Convert %(path)s to qcow2 first."),
    "remote.header_differs": N_("the file is not in %(format)s format"),
    "remote.not_plain_link": N_("%(path)s is a symbolic link. Use the path of the file itself."),
    "remote.not_plain_names": N_(
        "%(path)s has other names (hard links), so others may write to it. Use a copy of its own."
    ),
    "remote.not_plain_kind": N_("%(path)s is not a plain file. Use a disk image that is one."),
    "remote.refers": N_(
        "%(path)s names other files that hold its data. Convert it to one qcow2 file where it comes from."
    ),
    "remote.huge_tables": N_(
        "The tables of the image are larger than QEMU reads: it is damaged, or was made to use up memory. Do not use "
        "it; export the disk again where it comes from."
    ),
    "remote.beyond_limits": N_(
        "%(step)s of %(path)s was stopped: it went beyond the memory, processor time or room that any sound image "
        "takes. Do not use it; export the disk again where it comes from."
    ),
    "remote.image_too_large": N_(
        "The disk has a virtual size of %(virtual_bytes)s; the most for a base is %(most_bytes)s. Shrink it first."
    ),
    "remote.backing_file": N_(
        "The image has a backing file (%(path)s): a snapshot or a linked clone that was not merged. Flatten it first."
    ),
    "remote.data_file": N_("The image keeps its data in another file (%(path)s). Make it a single file first."),
    "remote.corrupt": N_("QEMU has marked the image as damaged. Repair it first."),
    "remote.encrypted": N_("The image is encrypted, and there is no key here to read it. Decrypt it first."),
    "remote.encrypted_inside": N_("The content of the image is encrypted as a whole (LUKS). Decrypt it first."),
    "remote.name_taken": N_(
        "%(path)s on %(name)s already exists with other content, or its copy has gone. Nothing was overwritten. Move "
        "that file away if it is not needed, then retry."
    ),
    # Copies from node to node
    "remote.copy_length": N_(
        "The copy of %(path)s from %(source)s to %(dest)s ended after %(copied_bytes)s instead of %(expected_bytes)s. "
        "Retry."
    ),
    "remote.copy_stalled": N_(
        "The copy of %(path)s from %(source)s to %(dest)s made no progress for %(stall_seconds)s and was stopped. "
        "Check both nodes and the network, then retry."
    ),
    "remote.copy_unfinished": N_(
        "The copy of %(path)s from %(source)s to %(dest)s: %(name)s did not finish within %(stall_seconds)s of the "
        "last byte. Retry."
    ),
    # Displays
    "remote.blank": N_("the screen (%(width)s × %(height)s) stayed blank for %(deadline_seconds)s"),
    "remote.display_silent": N_("the display does not answer (%(said)s)"),
    "remote.hung_up": N_("it hung up"),
    "remote.no_vnc": N_("what answers is not a VNC display"),
    "remote.display_locked": N_("the display asks for a password"),
    "remote.display_refused": N_("the display refused the connection"),
    "remote.screen_impossible": N_("the display reports an impossible screen size, %(width)s × %(height)s"),
    "remote.display_confused": N_("the display uses an encoding that was not requested"),
    "remote.display_unknown": N_("the display sent an unknown message (%(kind)s)"),
}
