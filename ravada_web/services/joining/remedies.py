"""Mending what an inspection found: the remedies that were shown are run as they were shown, as root on the node."""

from collections.abc import Collection
from typing import Any

from flask_babel import gettext as _

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.models import Node, Operation, User
from ravada_web.remote.commands import run
from ravada_web.remote.errors import RemoteError
from ravada_web.remote.login import examine_login
from ravada_web.remote.target import Target
from ravada_web.services.audit import events
from ravada_web.services.joining import inspection
from ravada_web.services.joining.checks.firewall import KEPT, TRIAL_SECONDS
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import outbox
from ravada_web.services.operations.execution import Handle
from ravada_web.services.operations.requests import request
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

# An installation of packages over a slow line.
MEND_SECONDS = 900.0
LOGIN_SECONDS = 8.0


def remedies(node: Node, codes: Collection[str] = ()) -> list[dict[str, Any]]:
    """The findings that we can mend: those of these codes, or, without codes, all that failed."""
    return [
        finding
        for finding in node.findings
        if finding["remedy"] and finding["applied"] and finding["state"] != "pass"
        if (finding["code"] in codes if codes else finding["state"] == "fail")
    ]


def request_fix(actor: User, node: Node, codes: Collection[str]) -> Operation:
    """Ask for the remedies of these findings to be run. Raises InvalidInput where there is none, and Conflict."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        if not node.allows_root:
            raise Conflict(_("Ravada has no root access on %(node)s. Run the command there yourself.", node=node.name))
        inspection.require_idle(session, node)
        chosen = remedies(node, codes)
        if not codes or not chosen:
            raise InvalidInput({"codes": _("Nothing left to fix here. Run the checks again.")})
        kept = [finding["code"] for finding in chosen]
        title = _("Fix %(what)s on %(node)s", what=", ".join(kept), node=node.name)
        events.record(session, actor, "mend", node, ", ".join(kept))
        return request(session, "node_mend", title, actor=actor, node=node, params={"codes": kept})


def fix(handle: Handle) -> None:
    """The job's part: run them one after the other, then check the node anew."""
    node = db.session.get_one(Node, handle.node_id)
    where, chosen = endpoints.target(node), remedies(node, handle.params["codes"])
    db.session.rollback()
    for number, finding in enumerate(chosen):
        handle.check()
        handle.progress(100 * number / (len(chosen) + 1), finding["text"])
        _run(where, finding)
    inspection.inspect(handle)


def _run(where: Target, finding: dict[str, Any]) -> None:
    what = _("The remedy of “%(code)s”", code=finding["code"])
    argv = ["sh", "-c", finding["remedy"]]
    run(endpoints.workspace(), where, argv, deadline=MEND_SECONDS, fresh=True, step=what)
    if finding["code"] == "firewall":
        _keep_the_rules(where)


def _keep_the_rules(where: Target) -> None:
    """Log in anew past the rules; only then do they stay."""
    try:
        examine_login(endpoints.workspace(), where, deadline=LOGIN_SECONDS)
        run(endpoints.workspace(), where, ["touch", KEPT], deadline=LOGIN_SECONDS, fresh=True)
    except RemoteError as error:
        text = _(
            "The rules were in force, and we could not log in past them (%(error)s). They go by themselves within "
            "%(seconds)s s; nothing is changed then.",
            error=str(error),
            seconds=TRIAL_SECONDS,
        )
        raise Conflict(text) from error
