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
    if count == 1:
        of_one = {
            "start": _("Start %(name)s?", name=chosen[0].name),
            "shut-down": _("Shut down %(name)s?", name=chosen[0].name),
            "restart": _("Restart %(name)s?", name=chosen[0].name),
            "force-off": _("Force off %(name)s?", name=chosen[0].name),
            "delete": _("Delete %(name)s?", name=chosen[0].name),
        }
        return of_one[action]
    of_many = {
        "start": ngettext("Start %(num)s desktop?", "Start %(num)s desktops?", count),
        "shut-down": ngettext("Shut down %(num)s desktop?", "Shut down %(num)s desktops?", count),
        "restart": ngettext("Restart %(num)s desktop?", "Restart %(num)s desktops?", count),
        "force-off": ngettext("Force off %(num)s desktop?", "Force off %(num)s desktops?", count),
        "delete": ngettext("Delete %(num)s desktop?", "Delete %(num)s desktops?", count),
    }
    return of_many[action]


def _effects(action: str, chosen: Sequence[Clone]) -> list[str]:
    running = sum(clone.state == "running" for clone in chosen)
    volatile = sum(clone.volatile for clone in chosen)
    effects = {
        "start": [],
        "shut-down": [_("The guest OS is asked to shut down. Anyone using it is interrupted.")],
        "restart": [_("The guest OS is asked to shut down, then started again. Anyone using it is interrupted.")],
        "force-off": [_("The power is cut immediately: unsaved work is lost, and files may be damaged.")],
        "delete": [
            ngettext(
                "All data saved on this desktop is permanently deleted.",
                "All data saved on these desktops is permanently deleted.",
                len(chosen),
            )
        ],
    }[action]
    if running and action == "delete":
        text = ngettext("%(num)s of them is running.", "%(num)s of them are running.", running)
        effects.append(text if len(chosen) > 1 else _("It is running."))
    if volatile and action == "restart":
        effects.append(_("Volatile desktops keep their data, unless the restart fails."))
    if volatile and action in ("shut-down", "force-off"):
        text = ngettext(
            "%(num)s of them is volatile: it is deleted, with all its data, when it shuts down.",
            "%(num)s of them are volatile: they are deleted, with all their data, when they shut down.",
            volatile,
        )
        alone = _("This desktop is volatile: it is deleted, with all its data, when it shuts down.")
        effects.append(text if len(chosen) > 1 else alone)
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
        return _("No selected desktop needed this.")
    texts = {
        "start": ngettext("%(num)s desktop is starting.", "%(num)s desktops are starting.", count),
        "shut-down": ngettext("%(num)s desktop is shutting down.", "%(num)s desktops are shutting down.", count),
        "restart": ngettext("%(num)s desktop is restarting.", "%(num)s desktops are restarting.", count),
        "force-off": ngettext(
            "%(num)s desktop is being powered off.", "%(num)s desktops are being powered off.", count
        ),
        "delete": ngettext("%(num)s desktop is being deleted.", "%(num)s desktops are being deleted.", count),
    }
    return texts[action]
