"""Maintenance of a node, and the power of its host."""

from datetime import timedelta
from math import ceil
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from wtforms import RadioField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Optional

from ravada_web.models import Node, ServiceState, now
from ravada_web.services.lifecycle import fencing, host_power, service_state, waking
from ravada_web.services.nodes import listing as node_list
from ravada_web.web.confirm import Question, show_question
from ravada_web.web.forms import Form, IntegerField
from ravada_web.web.guard import me, needs
from ravada_web.web.htmx import done

blueprint = Blueprint("maintenance", __name__, url_prefix="/nodes/<int:node_id>")
_KEEP, _SHUT_DOWN = "keep", "shut_down"


class MaintenanceForm(Form):
    """Why, for how long, and what becomes of the desktops that run there."""

    why = StringField(_l("Reason"), description=_l("Optional. Shown to everybody who sees the node."))
    hours = IntegerField(
        _l("Planned hours"), [Optional()], description=_l("Optional. If it takes longer, its alerts are raised again.")
    )
    desktops = RadioField(
        _l("Desktops running there"),
        choices=[SelectChoice(_KEEP, _l("Keep them running")), SelectChoice(_SHUT_DOWN, _l("Shut them down"))],
        default=_KEEP,
    )


class StubbornForm(Form):
    """What becomes of desktops that do not shut down."""

    stubborn = RadioField(
        _l("Desktops that do not shut down within two minutes"),
        choices=[
            SelectChoice(host_power.LEAVE, _l("Leave them and the host running")),
            SelectChoice(host_power.FORCE, _l("Force them off: unsaved work is lost")),
        ],
        default=host_power.LEAVE,
    )


def _page(node_id: int) -> str:
    return url_for("nodes.node", node_id=node_id)


def _standing(node: Node, more: str = "") -> list[str]:
    """What runs there, and what becomes of it; nothing where nothing does."""
    if not (running := fencing.running_clones(node)):
        return []
    return [ngettext("%(num)s desktop is running there.", "%(num)s desktops are running there.", running) + more]


@blueprint.get("/maintenance")
@needs("nodes.change")
def confirm_maintenance(node_id: int) -> Response:
    """What maintenance means, with its reason and its plan."""
    node = node_list.get(me(), node_id)
    left = node.maintenance_until - now() if node.maintenance_until else timedelta()
    hours = ceil(left / timedelta(hours=1)) if left > timedelta() else None
    return _ask_maintenance(node, MaintenanceForm(formdata=None, why=node.maintenance_why, hours=hours))


def _ask_maintenance(node: Node, form: MaintenanceForm, status: int = 200) -> Response:
    if node.service_state == ServiceState.MAINTENANCE:
        del form.desktops
        changed = Question(
            title=_("Maintenance of %(node)s", node=node.name),
            effects=[_("The planned hours count from now.")],
            action=url_for("maintenance.begin", node_id=node.id),
            button=_("Save"),
            back=_page(node.id),
            form=form,
            danger=False,
        )
        return show_question(changed, status)
    return show_question(
        Question(
            title=_("Put %(node)s into maintenance?", node=node.name),
            effects=[
                _("No new desktops are placed here, stopped ones can’t be started, and it raises no alerts."),
                *_standing(node),
            ],
            action=url_for("maintenance.begin", node_id=node.id),
            button=_("Begin maintenance"),
            back=_page(node.id),
            form=form,
            danger=False,
        ),
        status,
    )


@blueprint.post("/maintenance")
@needs("nodes.change")
def begin(node_id: int) -> ResponseReturnValue:
    """Put the node into maintenance."""
    node, form = node_list.get(me(), node_id), MaintenanceForm()

    def act() -> None:
        values: dict[str, Any] = form.values
        service_state.begin_maintenance(
            me(), node, values["why"] or "", values["hours"], shut_down=values["desktops"] == _SHUT_DOWN
        )

    if form.submit(act):
        return done(_page(node_id), _("%(node)s is in maintenance.", node=node.name))
    return _ask_maintenance(node, form, 422)


@blueprint.get("/shut-down")
@needs("nodes.change")
def confirm_shut_down(node_id: int) -> Response:
    """What shutting the host down means."""
    return _ask_power(node_list.get(me(), node_id), host_power.OFF, StubbornForm(formdata=None))


@blueprint.post("/shut-down")
@needs("nodes.change")
def shut_down(node_id: int) -> ResponseReturnValue:
    """Shut the host down."""
    return _power(node_id, host_power.OFF)


@blueprint.get("/restart")
@needs("nodes.change")
def confirm_restart(node_id: int) -> Response:
    """What restarting the host means."""
    return _ask_power(node_list.get(me(), node_id), host_power.RESTART, StubbornForm(formdata=None))


@blueprint.post("/restart")
@needs("nodes.change")
def restart(node_id: int) -> ResponseReturnValue:
    """Restart the host."""
    return _power(node_id, host_power.RESTART)


@blueprint.post("/wake")
@needs("nodes.change")
def wake(node_id: int) -> ResponseReturnValue:
    """Wake the host; a node in maintenance is enabled then, where that was asked for."""
    node = node_list.get(me(), node_id)
    operation = waking.request_wake(me(), node, enable="enable" in request.args)
    return done(url_for("operations.operation", operation_id=operation.id))


def _power(node_id: int, kind: str) -> ResponseReturnValue:
    node, form = node_list.get(me(), node_id), StubbornForm()
    accepted = form.submit(lambda: host_power.request_power(me(), node, kind, form.values["stubborn"] or ""))
    if accepted:
        return done(url_for("operations.operation", operation_id=accepted.result.id))
    return _ask_power(node, kind, form, 422)


def _ask_power(node: Node, kind: str, form: StubbornForm, status: int = 200) -> Response:
    host_power.require_possible(node)
    if kind == host_power.OFF:
        title, button, action = _("Shut down the host %(node)s?", node=node.name), _("Shut down host"), "shut_down"
        end = _("It stays off, in maintenance, until somebody turns it on and enables it.")
        end = f"{end} {waking.outlook(me(), node)}"
    else:
        title, button, action = _("Restart the host %(node)s?", node=node.name), _("Restart host"), "restart"
        end = _("Once it is up again it is enabled, if it is now.")
    lost = _("They are shut down first, and users lose unsaved work. Volatile ones are deleted.")
    kept = _("Drain the node first to have them moved instead.")
    running, every = fencing.running_clones(node), node_list.row_of(node).clones
    effects = [*_standing(node, f" {lost} {kept}"), _("No new desktops are placed or started here meanwhile."), end]
    if off := every - running:
        said = ngettext(
            "%(num)s desktop that is off there can’t be started until the host is back.",
            "%(num)s desktops that are off there can’t be started until the host is back.",
            off,
        )
        effects.insert(1 if running else 0, said)
    if not running:
        del form.stubborn
    if node.is_master:
        effects.append(_("It holds the original of every base: until it is up again, no base is prepared or copied."))
    return show_question(
        Question(
            title=title,
            effects=effects,
            action=url_for(f"maintenance.{action}", node_id=node.id),
            button=button,
            back=_page(node.id),
            form=form,
        ),
        status,
    )
