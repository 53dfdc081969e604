"""What is said of storage pools."""

from ravada_web.messages.marks import N_, Template

TEXTS: dict[str, Template] = {
    # Why nothing fits
    "storage.no_active_pool": N_(
        "Node %(node)s has no active storage pool. Start one there: virsh pool-start default."
    ),
    "storage.free_unknown": N_("The free space of pool %(pool)s on node %(node)s is not known, which counts as full."),
    "storage.pool_full": N_(
        "Pool %(pool)s on node %(node)s has %(free_mib)s free, and %(floor_mib)s are reserved. Free up space there."
    ),
    "storage.not_enough_room": N_(
        "The pool at %(directory)s on %(node)s does not have enough space: %(need_mib)s are needed, %(free_mib)s are "
        "free after the %(reserve_mib)s reserved. Free up space there, then retry."
    ),
    # How a node's pools differ from the master's
    "storage.pool_missing": N_("The master’s pool %(pool)s (%(path)s) is missing here."),
    "storage.pool_elsewhere": N_("Pool %(pool)s is at %(here)s here, but at %(there)s on the master."),
    # One pool
    "storage.no_such_pool": N_("Storage pool not found."),
    "storage.scan_pools": N_("Scan the storage pools of %(node)s"),
    "storage.warning_range": N_("Enter a number between 1 and 99."),
    "storage.critical_range": N_("Enter a number above the warning threshold of %(warn)s, up to 100."),
    "storage.floor_range": N_(
        "Enter a number between 0 and the pool’s size, %(most)s MiB, or leave empty for the default."
    ),
    "storage.marks": N_("%(pool)s: warning at %(warn_percent)s, critical at %(critical_percent)s"),
}
