"""Messages to users about their desktops; none mentions nodes."""

from ravada_web.messages.marks import N_, Template

TEXTS: dict[str, Template] = {
    "desktops.lost": N_(
        "%(name)s (%(base)s) was on a server that was installed anew, and was given up on %(given_up_at)s. What was "
        "saved on it is gone."
    ),
    "desktops.given_up": N_(
        "%(name)s (%(base)s) was on a server that will not come back, and was given up on %(given_up_at)s. What was "
        "saved on it is gone unless an administrator can bring that server back."
    ),
    # On a card
    "desktops.failed": N_("This desktop can’t be started. Please show this message to your administrator:"),
    "desktops.last_start_failed": N_(
        "The last start failed. Try again; if it keeps failing, show this message to your administrator:"
    ),
    # What keeps one from starting
    "desktops.obstacle_away": N_(
        "The host is not responding. Your data is safe; the desktop returns when the host is back. If it takes long, "
        "tell your administrator."
    ),
    "desktops.away_refuses": N_(
        "Its host, %(node)s, has refused connections since %(since_at)s: it may be restarting, and the desktop may "
        "still be running. It returns when the host is back. If it takes long, tell your administrator."
    ),
    "desktops.away_silent": N_(
        "Its host, %(node)s, has not responded since %(since_at)s. Your data is safe; the desktop returns when the "
        "host is back. If it takes long, tell your administrator."
    ),
    "desktops.away_off": N_(
        "Its host, %(node)s, has been off since %(since_at)s. Your data is safe on its disk; the desktop returns when "
        "the host is switched on again. If it takes long, tell your administrator."
    ),
    "desktops.obstacle_quarantined": N_(
        "The host is locked until your administrator has verified its identity. Your data is safe; tell your "
        "administrator."
    ),
    "desktops.obstacle_closed": N_(
        "The host is out of service, so the desktop can’t be started there. Your data is safe; ask your administrator "
        "when it will be back."
    ),
    "desktops.obstacle_no_space": N_(
        "The host is out of disk space. Your data is safe; tell your administrator, and try again when there is space."
    ),
    "desktops.obstacle_no_memory": N_(
        "The host is out of memory. Try again in a few minutes, when others have shut down their desktops."
    ),
    "desktops.obstacle_no_pool": N_("The host’s storage is not available. Your data is safe; tell your administrator."),
    "desktops.obstacle_no_processors": N_(
        "The host’s processors are all in use. Try again in a few minutes, when others have shut down their desktops."
    ),
    "desktops.obstacle_not_known": N_("How much memory the host has free is not known yet. Try again in a minute."),
    "desktops.obstacle_no_base": N_(
        "The files that this desktop is based on can’t be used on its host right now. Your data is safe; try again in "
        "a few minutes, and tell your administrator if it stays so."
    ),
    "desktops.obstacle_lacks": N_(
        "The host lacks something that this desktop needs. Your data is safe; tell your administrator."
    ),
    # Launching
    "desktops.not_launched": N_("%(name)s: %(why)s"),
    "desktops.being_moved": N_("%(name)s is being moved to another host. Try again in a few minutes."),
    "desktops.being_created": N_("%(name)s is still being created. Try again in a moment."),
    "desktops.shutting_down": N_("%(name)s is shutting down. Launch it once it is off."),
    "desktops.being_deleted": N_("%(name)s is being deleted."),
    "desktops.broken": N_("%(name)s can’t be started. Please show this message to your administrator: %(why)s"),
    "desktops.no_room": N_(
        "There is no room for a new desktop of %(base)s right now. Try again in a few minutes; if there is still none, "
        "tell your administrator."
    ),
    "desktops.no_room_no_space": N_(
        "There is no room for a new desktop of %(base)s: the hosts are out of disk space. Tell your administrator."
    ),
    "desktops.no_room_no_memory": N_(
        "There is no room for a new desktop of %(base)s: the hosts are out of memory. Try again in a few minutes, when "
        "others have shut down their desktops."
    ),
    "desktops.no_room_no_processors": N_(
        "There is no room for a new desktop of %(base)s: the hosts’ processors are all in use. Try again in a few "
        "minutes, when others have shut down their desktops."
    ),
}
