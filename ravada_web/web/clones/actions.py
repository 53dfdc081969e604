"""What can be done to clones from a page: for each action its service, the question before it, the message after it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import url_for
from flask_babel import LazyString, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from ravada_web.models import Clone, CloneState
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.outcomes import Outcome
from ravada_web.web.confirm import Question

Chosen = Sequence[Clone]


@dataclass(frozen=True)
class Action:
    """`of_one` (with the name), `of_many` and `of_some` (of those selected) ask about clones; `effects` say what is
    lost; `outcome` says for how many it was requested."""

    service: clone_actions.Action
    button: LazyString
    of_one: LazyString
    of_many: Callable[[int], str]
    of_some: LazyString
    effects: Callable[[Chosen], list[str]]
    outcome: Callable[[int], str]
    danger: bool = True


def question(name: str, chosen: Chosen, outcome: Outcome, back: str) -> Question:
    """Ask before doing it to these clones, saying what is lost, and which of those selected are skipped and why."""
    action = ACTIONS[name]
    return Question(
        title=_title(action, chosen, outcome),
        effects=action.effects(chosen) if chosen else [],
        skipped=_skipped(outcome),
        action=url_for("clones.act", action=name),
        button=str(action.button),
        back=back,
        names=[clone.name for clone in chosen],
        fields=[*(("id", str(clone.id)) for clone in chosen), *_left(outcome)],
        danger=action.danger,
    )


def _skipped(outcome: Outcome) -> list[str]:
    count = len(outcome.skipped)
    heading = [ngettext("%(num)s is skipped:", "%(num)s are skipped:", count)] if count < outcome.requested else []
    return [*heading, *map(str, outcome.reasons())] if count else []


def _title(action: Action, chosen: Chosen, outcome: Outcome) -> str:
    if outcome.requested == 1:
        return str(action.of_one) % {"name": [*outcome.done, *outcome.skipped][0].name}
    if outcome.skipped:
        return str(action.of_some) % {"done": len(chosen), "count": outcome.requested}
    return action.of_many(len(chosen))


def _left(outcome: Outcome) -> list[tuple[str, str]]:
    """What is not asked about is not done either, though it became possible since. With nothing that can be done now,
    all are tried again."""
    if outcome.done:
        return [("left", str(len(outcome.skipped)))] if outcome.skipped else []
    return [("id", str(skipped.id)) for skipped in outcome.skipped]


def said(name: str, outcome: Outcome, left: int) -> tuple[str, str]:
    """The message once it is requested, and its kind; `left` were skipped when it was asked about."""
    if outcome.refused or (left and outcome.done):
        return _lines(outcome, left), "warning"
    if not outcome.done:
        return _("No selected desktop needed this."), "success"
    if outcome.skipped:
        return _lines(outcome, left), "success"
    return ACTIONS[name].outcome(len(outcome.done)), "success"


def _lines(outcome: Outcome, left: int) -> str:
    """How many, and a line for each reason of those that are skipped."""
    return "\n".join(map(str, (outcome.head(left), *outcome.reasons())))


def _lost_by_shutting_down(chosen: Chosen) -> list[str]:
    return [_("The guest OS is asked to shut down. Anyone using it is interrupted."), *_lost_with_volatile(chosen)]


def _lost_by_restarting(chosen: Chosen) -> list[str]:
    effects = [_("The guest OS is asked to shut down, then started again. Anyone using it is interrupted.")]
    if any(clone.volatile for clone in chosen):
        effects.append(_("Volatile desktops keep their data, unless the restart fails."))
    return effects


def _lost_by_force(chosen: Chosen) -> list[str]:
    effect = _("The power is cut immediately: unsaved work is lost, and files may be damaged.")
    return [effect, *_lost_with_volatile(chosen)]


def _lost_by_deleting(chosen: Chosen) -> list[str]:
    effects = [
        ngettext(
            "All data saved on this desktop is permanently deleted.",
            "All data saved on these desktops is permanently deleted.",
            len(chosen),
        )
    ]
    if running := sum(clone.state == CloneState.RUNNING for clone in chosen):
        text = ngettext("%(num)s of them is running.", "%(num)s of them are running.", running)
        effects.append(text if len(chosen) > 1 else _("It is running."))
    if away := sum(not clone.node.is_reachable for clone in chosen):
        text = ngettext(
            "%(num)s of them is on a node that is not responding: it disappears from all lists now, and is deleted "
            "there once the node answers.",
            "%(num)s of them are on nodes that are not responding: they disappear from all lists now, and are deleted "
            "there once the nodes answer.",
            away,
        )
        one = _("Its node is not responding: it disappears from all lists now, and is deleted there once that answers.")
        effects.append(text if len(chosen) > 1 else one)
    return effects


def _lost_with_volatile(chosen: Chosen) -> list[str]:
    volatile = sum(clone.volatile for clone in chosen)
    if not volatile:
        return []
    if len(chosen) == 1:
        return [_("This desktop is volatile: it is deleted, with all its data, when it shuts down.")]
    text = ngettext(
        "%(num)s of them is volatile: it is deleted, with all its data, when it shuts down.",
        "%(num)s of them are volatile: they are deleted, with all their data, when they shut down.",
        volatile,
    )
    return [text]


ACTIONS = {
    "start": Action(
        service=clone_actions.start,
        button=_l("Start"),
        of_one=_l("Start %(name)s?"),
        of_many=lambda count: ngettext("Start %(num)s desktop?", "Start %(num)s desktops?", count),
        of_some=_l("Start %(done)s of %(count)s desktops?"),
        effects=lambda _chosen: [],
        outcome=lambda count: ngettext("%(num)s desktop is starting.", "%(num)s desktops are starting.", count),
        danger=False,
    ),
    "shut-down": Action(
        service=clone_actions.shut_down,
        button=_l("Shut down"),
        of_one=_l("Shut down %(name)s?"),
        of_many=lambda count: ngettext("Shut down %(num)s desktop?", "Shut down %(num)s desktops?", count),
        of_some=_l("Shut down %(done)s of %(count)s desktops?"),
        effects=_lost_by_shutting_down,
        outcome=lambda count: ngettext(
            "%(num)s desktop is shutting down.", "%(num)s desktops are shutting down.", count
        ),
    ),
    "restart": Action(
        service=clone_actions.restart,
        button=_l("Restart"),
        of_one=_l("Restart %(name)s?"),
        of_many=lambda count: ngettext("Restart %(num)s desktop?", "Restart %(num)s desktops?", count),
        of_some=_l("Restart %(done)s of %(count)s desktops?"),
        effects=_lost_by_restarting,
        outcome=lambda count: ngettext("%(num)s desktop is restarting.", "%(num)s desktops are restarting.", count),
    ),
    "force-off": Action(
        service=clone_actions.force_off,
        button=_l("Force off"),
        of_one=_l("Force off %(name)s?"),
        of_many=lambda count: ngettext("Force off %(num)s desktop?", "Force off %(num)s desktops?", count),
        of_some=_l("Force off %(done)s of %(count)s desktops?"),
        effects=_lost_by_force,
        outcome=lambda count: ngettext(
            "%(num)s desktop is being powered off.", "%(num)s desktops are being powered off.", count
        ),
    ),
    "delete": Action(
        service=clone_actions.delete,
        button=_l("Delete"),
        of_one=_l("Delete %(name)s?"),
        of_many=lambda count: ngettext("Delete %(num)s desktop?", "Delete %(num)s desktops?", count),
        of_some=_l("Delete %(done)s of %(count)s desktops?"),
        effects=_lost_by_deleting,
        outcome=lambda count: ngettext(
            "%(num)s desktop is being deleted.", "%(num)s desktops are being deleted.", count
        ),
    ),
}
