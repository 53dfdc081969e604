"""States of planned moves."""

from ravada_web.web.labels.look import Look
from ravada_web.web.rendering import later as _l

STATES = {
    "waiting": Look(_l("Waiting"), "blue", "hourglass"),
    "under_way": Look(_l("Moving"), "blue", "loader-2", busy=True),
    "done": Look(_l("Moved"), "green", "circle-check"),
    "gone": Look(_l("Gone"), "secondary", "circle-off"),
    "stays": Look(_l("Stays"), "orange", "alert-triangle"),
    "cancelled": Look(_l("Cancelled"), "secondary", "circle-x"),
}
