"""What changed: after each commit its topics are published to the open pages, through Redis. Every publication has a
number, one more than the last one, so that a page that was cut off can ask for what it missed.
A topic is a kind of rows ("clones"), or one person's desktops ("desktops-7"); it never says what changed in them.
"""

from collections.abc import Iterable

import structlog
from redis.exceptions import RedisError
from sqlalchemy import event, inspect
from sqlalchemy.orm import InstanceState, ORMExecuteState, Session, UOWTransaction

from ravada_web.extensions import queues
from ravada_web.models import Node
from ravada_web.services.pending import Pending

log = structlog.get_logger()
CHANNEL, NUMBER, TOPICS = "ravada:live", "ravada:live:number", "ravada:live:topics"
_CHANGES = Pending[str]("changes")
_TOPIC_OF = {
    "nodes": "nodes",
    "pools": "nodes",
    "remains": "nodes",
    "move_plans": "plans",
    "planned_moves": "plans",
    "alerts": "nodes",
    "bases": "bases",
    "base_versions": "bases",
    "base_offers": "bases",
    "allowed_nodes": "bases",
    "replicas": "bases",
    "clones": "clones",
    "operations": "operations",
    "consoles": "consoles",
    "users": "people",
    "groups": "people",
    "group_members": "people",
    "operator_scopes": "people",
    "events": "audit",
}
# All kinds of rows that have topics.
KINDS = frozenset(_TOPIC_OF.values()) | {"states"}
# Figures of nodes change every few seconds; lists of clones only change when one comes or goes.
_STATES = ("seen", "away", "trust", "service_state", "reason", "name")
_PUBLISH = """
local number = redis.call('INCR', KEYS[1])
for _, topic in ipairs(ARGV) do redis.call('HSET', KEYS[2], topic, number) end
redis.call('PUBLISH', KEYS[3], number .. ' ' .. table.concat(ARGV, ' '))
return number
"""


def listen() -> None:
    """Bind to the session: a commit publishes what it changed."""
    if not event.contains(Session, "after_flush", _flushed):
        event.listen(Session, "after_flush", _flushed)
        event.listen(Session, "do_orm_execute", _executed)
        event.listen(Session, "after_commit", _committed)


def _flushed(session: Session, _context: UOWTransaction) -> None:
    touched = [*session.new, *session.deleted, *(row for row in session.dirty if session.is_modified(row))]
    topics = {topic for row in touched if (topic := _TOPIC_OF.get(row.__tablename__))}
    if any(isinstance(row, Node) and _changed_state(row) for row in touched):
        topics.add("states")
    _record(session, topics)


def _changed_state(node: Node) -> bool:
    state: InstanceState[Node] = inspect(node)
    return not state.persistent or any(state.attrs[name].history.has_changes() for name in _STATES)


def _executed(state: ORMExecuteState) -> None:
    """Statements that change rows past the session's objects."""
    if not state.is_select and state.bind_mapper is not None:
        table = getattr(state.bind_mapper.local_table, "name", "")
        _record(state.session, {topic} if (topic := _TOPIC_OF.get(table)) else set())


def _record(session: Session, topics: Iterable[str]) -> None:
    _CHANGES.add(session, *topics)


def _committed(session: Session) -> None:
    if topics := set(_CHANGES.take(session)):
        publish(topics)


def publish(topics: Iterable[str]) -> None:
    """Publish to the open pages that these topics changed. Without Redis they poll, more slowly."""
    try:
        queues.redis.eval(_PUBLISH, 3, NUMBER, TOPICS, CHANNEL, *sorted(topics))
    except RedisError as error:
        log.debug("changes not published", error=str(error))


def latest() -> int:
    """The last publication's number; 0 before the first, and while Redis is away."""
    try:
        return int(queues.redis.get(NUMBER) or 0)
    except RedisError:
        return 0
