"""What is said of no topic in particular: what is refused everywhere."""

from ravada_web.messages.marks import N_, Plural, Template

TEXTS: dict[str, Template] = {
    "general.database_busy": N_("The database is busy. Nothing was changed; try again in a moment."),
    "general.disk_full": N_(
        "The disk of the server is full. Nothing was changed; an administrator has to make room on it first."
    ),
    "general.not_allowed": N_("Your role does not allow this. Ask an administrator for another role."),
    "general.unexpected": N_("Unexpected error: %(error)s. The server’s log has the details."),
    "general.archive_damaged": N_("The archive’s file %(file)s is damaged: %(error)s."),
    # For the audit log
    "general.denied": Plural("%(request)s", "%(count)s requests, the last one %(request)s"),
    "general.no_topic": N_("There are no live updates for this."),
}
