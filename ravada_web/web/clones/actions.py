"""What can be done to clones from a page: the service for each, the question before it, the word after it."""

from collections.abc import Callable, Sequence

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from ravada_web.models import Clone, User
from ravada_web.services.clones import actions as clone_actions
from ravada_web.web.confirm import Question

SERVICES: dict[str, Callable[[User, Sequence[int]], int]] = {
    "start": clone_actions.start,
    "shut-down": clone_actions.shut_down,
    "restart": clone_actions.restart,
    "force-off": clone_actions.force_off,
    "delete": clone_actions.delete,
}


def question(action: str, chosen: Sequence[Clone], back: str) -> Question:
    """Ask before doing it to these clones, saying what is lost."""
    return Question(
        title=_title(action, chosen),
        effects=_effects(action, chosen),
        action=url_for("clones.act", action=action),
        button=_button(action),
        back=back,
        names=[clone.name for clone in chosen],
        fields=[("id", str(clone.id)) for clone in chosen],
        danger=action != "start",
    )


def _title(action: str, chosen: Sequence[Clone]) -> str:
    count = len(chosen)
    what = chosen[0].name if count == 1 else ngettext("%(num)s desktop", "%(num)s desktops", count)
    titles = {
        "start": _("Start %(what)s?", what=what),
        "shut-down": _("Shut down %(what)s?", what=what),
        "restart": _("Restart %(what)s?", what=what),
        "force-off": _("Force off %(what)s?", what=what),
        "delete": _("Delete %(what)s?", what=what),
    }
    return titles[action]


def _effects(action: str, chosen: Sequence[Clone]) -> list[str]:
    running = sum(clone.state == "running" for clone in chosen)
    volatile = sum(clone.volatile for clone in chosen)
    effects = {
        "start": [],
        "shut-down": [_("The guest system is asked to shut down. Whoever works there is interrupted.")],
        "restart": [
            _("The guest system is asked to shut down, then started again. Whoever works there is interrupted.")
        ],
        "force-off": [_("The power is cut at once: whatever has not been saved is lost, and files may be damaged.")],
        "delete": [_("Everything saved on their disks since they were made is deleted. This cannot be undone.")],
    }[action]
    if running and action == "delete":
        text = ngettext("%(num)s of them is running now.", "%(num)s of them are running now.", running)
        effects.append(text if len(chosen) > 1 else _("It is running now."))
    if volatile and action == "restart":
        effects.append(_("What is on a volatile one stays, unless it does not start again."))
    if volatile and action in ("shut-down", "force-off"):
        text = ngettext(
            "%(num)s is volatile: once off, it is deleted with all that is on it.",
            "%(num)s are volatile: once off, they are deleted with all that is on them.",
            volatile,
        )
        effects.append(text)
    return effects


def _button(action: str) -> str:
    words = {
        "start": _("Start"),
        "shut-down": _("Shut down"),
        "restart": _("Restart"),
        "force-off": _("Force off"),
        "delete": _("Delete"),
    }
    return words[action]


def outcome(action: str, count: int) -> str:
    """The message once it is asked for."""
    if not count:
        return _("There was nothing to do.")
    texts = {
        "start": ngettext("%(num)s desktop is starting.", "%(num)s desktops are starting.", count),
        "shut-down": ngettext("%(num)s desktop is shutting down.", "%(num)s desktops are shutting down.", count),
        "restart": ngettext("%(num)s desktop is restarting.", "%(num)s desktops are restarting.", count),
        "force-off": ngettext("%(num)s desktop is being cut off.", "%(num)s desktops are being cut off.", count),
        "delete": ngettext("%(num)s desktop is being deleted.", "%(num)s desktops are being deleted.", count),
    }
    return texts[action]
