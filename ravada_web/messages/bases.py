"""What is said of bases and of their copies on nodes."""

from ravada_web.messages.marks import N_, Plural, Template

TEXTS: dict[str, Template] = {
    # Which base
    "bases.no_such": N_("Base not found."),
    "bases.none_called": N_("There is no base “%(name)s”."),
    "bases.gone": N_("One of these bases no longer exists. Reload the page."),
    # Titles of operations
    "bases.inspect": N_("Inspect the original of %(name)s"),
    "bases.import": N_("Import %(name)s"),
    "bases.prepare": N_("Prepare %(base)s"),
    "bases.remove": N_("Remove %(base)s"),
    "bases.copy_to": N_("Copy %(base)s to %(node)s"),
    "bases.remove_from": N_("Remove %(base)s from %(node)s"),
    "bases.verify_on": N_("Verify %(base)s on %(node)s"),
    # How far one is
    "bases.flattening": N_("Flattening"),
    "bases.hashing": N_("Hashing"),
    "bases.copying": N_("Copying"),
    # A base to be made
    "bases.bad_name": N_(
        "Use letters, digits, spaces, dots, dashes and underscores, at most 63 characters, starting with a letter or "
        "digit."
    ),
    "bases.name_taken": N_("Another base has this name."),
    "bases.no_domain": N_("Choose a virtual machine on the master."),
    "bases.no_paths": N_("Enter the path of at least one qcow2 file on the master."),
    "bases.bad_paths": N_("Enter absolute paths on the master, one per line, without “..”."),
    "bases.path_twice": N_("Each file can be only one of the disks."),
    "bases.memory_range": N_("Enter a number of MiB between %(least)s and %(most)s."),
    "bases.processor_range": N_("Enter a number between 1 and %(most)s."),
    "bases.domain_running": N_("%(name)s is running. Shut it down first, so that its disks don’t change."),
    "bases.other_format": N_("%(path)s is not a %(wanted)s image (it looks like %(format)s). Convert it first."),
    "bases.raw_like_another": N_(
        "%(path)s is a raw image whose content begins like a %(format)s image: a guest may have written that. If it is "
        "a %(format)s image, set that as the format of the disk; else convert it first."
    ),
    "bases.fix_with": N_("Run on the master: %(command)s"),
    "bases.not_listed": N_("The original has not been inspected yet. Wait until that has finished."),
    "bases.changed_since_listed": N_("The original has changed since it was inspected. Inspect it again."),
    "bases.domain_disks": N_("%(name)s needs at least one disk, and all its disks must be files."),
    "bases.nvram_too_large": N_(
        "%(file)s is larger than %(most_mib)s: this is not the NVRAM of a UEFI firmware. See virsh edit."
    ),
    # Preparing, copying and removing
    "bases.already_preparing": N_("%(base)s is already being prepared."),
    "bases.already_ready": N_("%(base)s is already prepared."),
    "bases.disks_unreachable": N_("The disks of %(base)s are on node %(node)s, which is not reachable now."),
    "bases.disks_unreachable_because": N_(
        "The disks of %(base)s are on node %(node)s, which is not reachable now: %(why)s"
    ),
    "bases.replica_unreachable": N_("Node %(node)s has a copy of %(base)s and is not reachable now."),
    "bases.replica_unreachable_because": N_("Node %(node)s has a copy of %(base)s and is not reachable now: %(why)s"),
    "bases.node_unreachable": N_("Node %(node)s is not reachable now. Retry when it is back."),
    "bases.node_unreachable_because": N_("Node %(node)s is not reachable now: %(why)s"),
    "bases.has_clones": Plural(
        "%(base)s has %(count)s clone. Delete it first.", "%(base)s has %(count)s clones. Delete them first."
    ),
    "bases.being_prepared": N_("%(base)s is being prepared. Cancel that first."),
    "bases.not_ready": N_("%(base)s is not ready on its own node. Prepare it first, then retry."),
    "bases.original_in_work": N_(
        "The original of %(base)s on %(node)s is being verified or restored. This copy is retried automatically "
        "afterwards."
    ),
    "bases.original_changed": N_(
        "The original of %(base)s on %(node)s is damaged, and no other node has an intact copy: %(why)s Restore that "
        "file from a backup, then save the Nodes tab again. Without a backup, delete the clones and the base, "
        "and import it again."
    ),
    "bases.copy_differs": N_(
        "The copy of %(file)s on %(node)s differs from the original, which is intact: its hash is %(seen)s…, not "
        "%(original)s…. The copy was deleted. Retry; if this happens again, test that node’s memory and disk."
    ),
    "bases.not_wanted": N_("No longer wanted: the node was deselected or selected again."),
    # What a check found of a copy
    "bases.file_missing": N_("%(file)s is missing on %(node)s. It is being copied again automatically."),
    "bases.file_changed": N_(
        "%(file)s was changed on %(node)s after it was prepared. It is being copied again automatically."
    ),
    "bases.file_touched": N_(
        "%(file)s was written to or replaced on %(node)s. It is being verified; until then, clones there are neither "
        "created nor started."
    ),
    "bases.file_damaged": N_("%(file)s on %(node)s was deleted or changed after it was prepared."),
    # Migration groups: which nodes run its clones alike
    "bases.group": N_(
        "%(nodes)s: new clones get the machine type %(machine)s and the processor %(processor)s, and can move among "
        "these nodes while they run."
    ),
    "bases.group_of_one": N_("%(nodes)s: new clones get the machine type %(machine)s and the processor %(processor)s."),
    "bases.group_of_hosts": N_(
        "%(nodes)s: new clones get the machine type %(machine)s and the processor of their host, as the original has "
        "it; so they move only while they are off."
    ),
    "bases.group_unlike": N_(
        "%(nodes)s: no version of this base’s kind of machine is known there; clones move only while they are off."
    ),
    "bases.group_not_seen": N_("%(nodes)s: not known yet."),
    "bases.group_nodes": Plural("%(count)s node", "%(count)s nodes"),
    "bases.processor_default": N_("that QEMU chooses"),
    "bases.processor_of_host": N_("of their host"),
    "bases.would_change": N_("If you select it, new clones get %(changes)s. Existing clones stay as they are."),
    "bases.change_machine": N_("the machine type %(after)s instead of %(before)s"),
    "bases.change_processor": N_("the processor %(after)s instead of %(before)s"),
    "bases.would_be_unknown": N_("What new clones would get if you select it is not known yet."),
    "bases.would_be_apart": N_("If you select it, clones move to and from it only while they are off: %(why)s."),
    "bases.is_apart": N_(
        "Clones move between this node and the largest migration group only while they are off: %(why)s."
    ),
    # For the audit log
    "bases.allowed_nodes": N_("%(nodes)s"),
    "bases.no_nodes": N_("no node"),
    "bases.offered_to": N_("%(parts)s"),
    "bases.offered_to_all": N_("everyone"),
    "bases.offered_to_groups": Plural("%(count)s group", "%(count)s groups"),
    "bases.offered_to_users": Plural("%(count)s user", "%(count)s users"),
    "bases.offered_to_nobody": N_("nobody"),
    "bases.restarts_on": N_("persistent desktops that ran are started again when their node is back"),
    "bases.restarts_off": N_("persistent desktops stay off when their node is back"),
    "bases.gone_with_host": N_("%(node)s was installed anew. It is copied there again as soon as the node is up."),
    "bases.remakes_on": N_("volatile desktops are made again elsewhere when their node fails"),
    "bases.remakes_off": N_("volatile desktops are not made again when their node fails"),
}
