"""Fencing: a node is turned off by its fence agent, and known to be off when that has said so twice."""

import json
import re
import time
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.identity.sealing import Purpose, seal, unseal
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import Clone, CloneState, Fence, Node, Operation, User, now
from ravada_web.remote import presence
from ravada_web.services.audit import events
from ravada_web.services.lifecycle import fence_agents, known_off
from ravada_web.services.lifecycle.fence_agents import Agent, FenceFailed, Option, Power
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import outbox
from ravada_web.services.operations.execution import Handle
from ravada_web.services.operations.requests import request
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

# In the form, an option's field is called so and its name.
FIELD = "option-"
LONGEST_VALUE = 512
# Between the two times that it must say "off".
APART_SECONDS = 3.0
PRESENCE_SECONDS = 2.0
# What was asked for and has waited longer is asked for again by a person, or not at all.
STALE = timedelta(minutes=10)
_NUMBER = re.compile(r"[0-9]{1,9}")


def fence_of(viewer: User, node: Node) -> Fence | None:
    """What turns the node off; None where nothing is set, and for those whom it does not concern."""
    return db.session.get(Fence, node.id) if rights.can(viewer, "nodes.change") else None


def agent_of(session: Session, node: Node) -> str:
    """The name of the node's fence agent; "" where none is set."""
    row = session.get(Fence, node.id)
    return row.agent if row else ""


def running_clones(node: Node) -> int:
    """How many clones run there, as last seen."""
    query = select(func.count()).select_from(Clone)
    return db.session.scalar(query.where(Clone.node_id == node.id, Clone.state_in_use == CloneState.RUNNING)) or 0


def configure(actor: User, node: Node, agent: Agent, entered: Mapping[str, str]) -> None:
    """Set the node's agent and its options; an empty one is the agent's default.

    A secret that is left empty is kept, but only while nothing else changes: nobody may have a password that they do
    not know sent to another place. Raises InvalidInput with a reason for each field, and Conflict for this server.
    """
    rights.require(actor, "nodes.change")
    require_remote(node)
    plain, secret, wrong = _sorted(agent, entered)
    with transaction() as session:
        row = session.get(Fence, node.id, with_for_update=True, populate_existing=True)
        kept = _kept(row) if row is not None and row.agent == agent.name else {}
        if any(name not in secret for name in kept):
            if row is not None and row.options == plain:
                secret = kept | secret
            else:
                wrong |= {FIELD + name: message("fencing.enter_again") for name in kept if name not in secret}
        required = [each.name for each in agent.options if each.required and each.name not in {**plain, **secret}]
        wrong = {FIELD + name: message("fencing.required") for name in required} | wrong
        if wrong:
            raise InvalidInput(wrong)
        if row is None:
            row = Fence(node_id=node.id)
            session.add(row)
        row.agent, row.options, row.secrets = agent.name, plain, _sealed(secret)
        row.asked_at, row.power, row.said = None, "", NOTHING
        events.record(session, actor, "set_fence", node, agent.name)


def forget(actor: User, node: Node) -> None:
    """Remove what turns the node off, its secrets with it."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        row = session.get(Fence, node.id)
        if row is not None:
            session.delete(row)
            events.record(session, actor, "remove_fence", node, row.agent)


def request_test(actor: User, node: Node) -> Operation:
    """Request that the agent is asked whether the node is on. Raises Conflict where none is set."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        _row(session, node.id)
        return request(session, "fence_test", message("fencing.title_test", node=node.name), actor=actor, node=node)


def request_off(actor: User, node: Node, typed: str) -> Operation:
    """Request that the node is turned off; `typed` is its name, as the person typed it. Raises InvalidInput for another
    name, and Conflict where no agent is set."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    require_remote(node)
    if typed.strip() != node.name:
        raise InvalidInput({"typed": message("nodes.type_name", node=node.name)})
    with transaction() as session:
        row = _row(session, node.id)
        events.record(session, actor, "turn_off", node, row.agent)
        return request(session, "fence_off", message("fencing.title_off", node=node.name), actor=actor, node=node)


def require_remote(node: Node) -> None:
    """Raise Conflict for this very server, which cannot turn itself off and go on."""
    if node.local:
        raise Conflict(message("fencing.this_server"))


def test(handle: Handle) -> None:
    """The job's part: ask, and keep what was said."""
    agent, options = _settings(handle)
    handle.result = {"power": _asked(handle, agent, options)}


def turn_off(handle: Handle) -> None:
    """The job's part: turn it off, and record that it is known to be off once that was said twice and nothing answers
    at the node's address: a wrong plug turns another machine off."""
    agent, options = _settings(handle)
    handle.check()
    failed = None
    try:
        fence_agents.turn_off(agent, options)
    except FenceFailed as error:
        failed = error
    for time_no in range(2):
        if time_no:
            time.sleep(APART_SECONDS)
        if _asked(handle, agent, options) != "off":
            raise failed or FenceFailed(message("fencing.still_on", agent=agent))
    node = db.session.get_one(Node, handle.node_id)
    where = endpoints.target(node)
    db.session.rollback()
    fault = presence.fault(where, PRESENCE_SECONDS)
    if fault is None or fault.code == "refused":
        raise FenceFailed(message("fencing.node_answers", name=where.name))
    with handle.writing() as session:
        by = session.get(User, handle.user_id) if handle.user_id else None
        node = session.get_one(Node, handle.node_id)
        known_off.record(session, node, message("fencing.off_by", agent=agent, name=by.name if by else ""))
    handle.result = {"power": "off"}


def _asked(handle: Handle, agent: str, options: Mapping[str, str]) -> Power:
    """What the agent says, kept for the page. Raises FenceFailed."""
    try:
        power = fence_agents.ask(agent, options)
    except FenceFailed as error:
        _keep(handle, "", error.message)
        raise
    _keep(handle, power, NOTHING)
    return power


def _keep(handle: Handle, power: str, said: Message) -> None:
    with handle.writing() as session:
        row = session.get(Fence, handle.node_id)
        if row is not None:
            row.asked_at, row.power, row.said = now(), power, said


def _settings(handle: Handle) -> tuple[str, dict[str, str]]:
    """The agent and all of its options. Raises Conflict where there are none any more, or it was asked for long ago."""
    if now() - db.session.get_one(Operation, handle.operation_id).created_at > STALE:
        raise Conflict(message("fencing.stale"))
    row = _row(db.session(), handle.node_id or 0)
    found = row.agent, options_of(db.session(), row.node_id)
    db.session.rollback()
    return found


def options_of(session: Session, node_id: int) -> dict[str, str]:
    """All options of the node's agent, the secret ones too. Raises Conflict where none is set, or another key has
    sealed them."""
    row = _row(session, node_id)
    return {**row.options, **_kept(row)}


def _row(session: Session, node_id: int) -> Fence:
    row = session.get(Fence, node_id)
    if row is None:
        raise Conflict(message("fencing.not_set"))
    return row


def _sealed(secrets: Mapping[str, str]) -> str:
    return seal(json.dumps(secrets), Purpose.FENCE, settings().secret_key()) if secrets else ""


def _kept(row: Fence) -> dict[str, str]:
    """The row's secrets. Raises Conflict where another key has sealed them."""
    if not row.secrets:
        return {}
    opened = unseal(row.secrets, Purpose.FENCE, settings().secret_key())
    if opened is None:
        raise Conflict(message("fencing.sealed_by_another"))
    found: dict[str, str] = json.loads(opened)
    return found


def _sorted(agent: Agent, entered: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], dict[str, Message]]:
    """What was entered for the agent's options: the plain ones, the secret ones, and what is wrong, by field."""
    plain, secret, wrong = dict[str, str](), dict[str, str](), dict[str, Message]()
    for option in agent.options:
        value = entered.get(option.name, "")
        value = value if option.secret else value.strip()
        if not value:
            continue
        if why := _wrong(option, value):
            wrong[FIELD + option.name] = why
        else:
            (secret if option.secret else plain)[option.name] = value
    return plain, secret, wrong


def _wrong(option: Option, value: str) -> Message:
    """Why the option cannot have that value; an empty message for a good one."""
    # A line of its own would be another option.
    if len(value) > LONGEST_VALUE or not value.isprintable():
        return message("fencing.not_one_line", most=LONGEST_VALUE)
    if option.kind in ("integer", "second") and not _NUMBER.fullmatch(value):
        return message("fencing.not_a_number")
    known = {"boolean": ("0", "1"), "select": option.choices}.get(option.kind)
    return message("fencing.not_a_choice") if known is not None and value not in known else NOTHING
