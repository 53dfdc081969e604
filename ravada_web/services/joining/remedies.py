"""Fixing what an inspection found: the remedies that were shown are run as they were shown, as root on the node."""

from collections.abc import Collection

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import Node, Operation, User
from ravada_web.remote.commands import run
from ravada_web.remote.errors import RemoteError
from ravada_web.remote.login import examine_login
from ravada_web.remote.target import Target
from ravada_web.services.audit import events
from ravada_web.services.joining import inspection
from ravada_web.services.joining.checks.findings import Finding, findings_of
from ravada_web.services.joining.checks.firewall_rules import KEPT, LOCK, TRIAL_SECONDS
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import outbox
from ravada_web.services.operations.execution import Handle
from ravada_web.services.operations.requests import request
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

# An installation of packages over a slow line.
FIX_SECONDS = 900.0
LOGIN_SECONDS = 8.0
KEEP_SECONDS = 60.0


def remedies(node: Node, codes: Collection[str] = ()) -> list[Finding]:
    """The findings that we can fix: those of these codes, or, without codes, all that failed."""
    return [
        finding
        for finding in findings_of(node)
        if finding.remedy and finding.applied and finding.state != "pass"
        if (finding.code in codes if codes else finding.state == "fail")
    ]


def request_fix(actor: User, node: Node, codes: Collection[str]) -> Operation:
    """Request the fixes of these findings. Raises InvalidInput where there is none, and Conflict."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        if not node.allows_root:
            raise Conflict(message("joining.fix_needs_root", node=node.name))
        inspection.require_own_host(node)
        inspection.require_idle(session, node)
        chosen = remedies(node, codes)
        if not codes or not chosen:
            raise InvalidInput({"codes": message("joining.nothing_to_fix")})
        fixed = [finding.code for finding in chosen]
        title = message("joining.fix", checks=fixed, node=node.name)
        events.record(session, actor, "mend", node, ", ".join(fixed))
        return request(session, "node_mend", title, actor=actor, node=node, params={"codes": fixed})


def fix(handle: Handle) -> None:
    """The job's part: run them one after the other, then check the node again."""
    node = db.session.get_one(Node, handle.node_id)
    where, chosen = endpoints.target(node), remedies(node, handle.params["codes"])
    db.session.rollback()
    for number, finding in enumerate(chosen):
        handle.check()
        handle.progress(100 * number / (len(chosen) + 1), finding.text)
        _run(where, finding)
    inspection.inspect(handle)


def _run(where: Target, finding: Finding) -> None:
    step = message("joining.step_fix", check=finding.code)
    argv = ["sh", "-c", finding.remedy]
    run(endpoints.workspace(), where, argv, deadline=FIX_SECONDS, fresh=True, step=step)
    if finding.code == "firewall":
        _confirm_rules(where)


def _confirm_rules(where: Target) -> None:
    """Log in again past the rules; only then do they stay. Returns when they are permanent."""
    try:
        examine_login(endpoints.workspace(), where, deadline=LOGIN_SECONDS)
        run(endpoints.workspace(), where, ["touch", KEPT], deadline=LOGIN_SECONDS, fresh=True)
    except RemoteError as error:
        raise Conflict(message("joining.locked_out", why=error.message, trial_seconds=TRIAL_SECONDS)) from error
    run(endpoints.workspace(), where, ["flock", LOCK, "true"], deadline=KEEP_SECONDS, fresh=True)
