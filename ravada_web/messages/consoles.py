"""What is said of consoles: why one closes, who may view a screen, and the files for virt-viewer."""

from ravada_web.messages.marks import N_, Template

TEXTS: dict[str, Template] = {
    # Why one does not open, or closes
    "consoles.closed_ticket": N_("The console ticket has expired. Requesting a new one."),
    "consoles.closed_sign_in": N_("Your session has ended. Sign in to continue."),
    "consoles.closed_refused": N_("You don’t have access to this desktop, or its user has blocked screen viewing."),
    "consoles.closed_not_running": N_("The desktop is not running."),
    "consoles.closed_stopped": N_("The desktop was shut down or is restarting."),
    "consoles.closed_unreachable": N_(
        "The desktop’s host is not responding. Your data is safe; the desktop returns when the host is back."
    ),
    "consoles.closed_made_again": N_(
        "The desktop’s host is not responding. If it has failed, your desktop is made again on another host within "
        "seconds and opens here by itself."
    ),
    "consoles.closed_moved": N_("The desktop was moved to another host. Reconnecting…"),
    "consoles.closed_taken_over": N_("This desktop was opened in another window or on another device."),
    "consoles.closed_too_many": N_("Too many consoles open. Close one and try again."),
    "consoles.closed_silent": N_("Your browser stopped responding; connection closed."),
    "consoles.closed_shutdown": N_("The console service is restarting."),
    "consoles.closed_left": N_("You have left the desktop."),
    "consoles.closed_broken": N_("Something went wrong. The error has been logged; your desktop is not affected."),
    "consoles.closed_too_fast": N_("Too much input from your browser; connection closed."),
    "consoles.no_picture": N_("There is no picture of this desktop."),
    # The same for the audit log
    "consoles.end_ticket": N_("ticket expired"),
    "consoles.end_sign_in": N_("session ended"),
    "consoles.end_refused": N_("access lost"),
    "consoles.end_not_running": N_("desktop not running"),
    "consoles.end_stopped": N_("desktop shut down"),
    "consoles.end_unreachable": N_("host not responding"),
    "consoles.end_made_again": N_("host not responding, desktop made again if it failed"),
    "consoles.end_moved": N_("desktop moved to another host"),
    "consoles.end_taken_over": N_("opened elsewhere"),
    "consoles.end_too_many": N_("too many consoles open"),
    "consoles.end_silent": N_("browser stopped responding"),
    "consoles.end_shutdown": N_("console service restarted"),
    "consoles.end_left": N_("left by the user"),
    "consoles.end_broken": N_("internal error"),
    "consoles.end_too_fast": N_("too much input"),
    # Viewing another user's screen
    "consoles.viewing_blocked": N_("The user of %(clone)s has blocked screen viewing."),
    "consoles.only_its_user": N_("Only the desktop’s user can change this."),
    "consoles.never_blocked": N_("Screen viewing can’t be blocked for desktops of this base."),
    # Files for virt-viewer
    "consoles.viewer_not_yours": N_("Only the desktop’s user can open it in virt-viewer."),
    "consoles.viewer_not_enabled": N_(
        "Opening in virt-viewer is not enabled for this desktop. Use the screen in the browser."
    ),
    "consoles.viewer_no_spice": N_("This desktop’s host does not support virt-viewer. Use the screen in the browser."),
    "consoles.viewer_host_away": N_("The desktop’s host is not responding. Try again in a few minutes."),
    "consoles.viewer_not_running": N_("Launch the desktop first."),
    "consoles.viewer_title": N_("Open %(clone)s in virt-viewer"),
    "consoles.viewer_file_expired": N_("This file has expired or was already downloaded. Create a new one."),
}
