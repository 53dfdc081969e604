"""States of alerts."""

from ravada_web.web.labels.look import Look
from ravada_web.web.rendering import later as _l

STATES = {
    "degraded": Look(_l("Degraded"), "orange", "alert-triangle"),
    "maintenance": Look(_l("Maintenance overdue"), "orange", "settings"),
    "warning": Look(_l("Filling up"), "orange", "database"),
    "short": Look(_l("Short of room"), "orange", "alert-triangle"),
    "unknown": Look(_l("Unknown"), "orange", "help-circle"),
    "down": Look(_l("Down"), "red", "plug-connected-x"),
    "critical": Look(_l("Nearly full"), "red", "database"),
    "quarantined": Look(_l("Quarantined"), "red", "shield-x"),
    "": Look(_l("Recovered"), "green", "circle-check"),
}
