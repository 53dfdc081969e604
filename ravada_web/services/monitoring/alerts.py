"""Alerts: what is wrong now with nodes and pools, kept from one check to the next; `notifications` sends them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, contains_eager

from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.models import Alert, Level, Node, Observed, Pool, ServiceState, Trust, User, now
from ravada_web.services.lots import write_lot
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.storage import pools as storage_pools

# The worse, the higher; what is not named is well.
RANK = {
    "maintenance": 1,
    "degraded": 1,
    "warning": 1,
    "short": 1,
    "unknown": 1,
    "down": 2,
    "critical": 2,
    "quarantined": 3,
}
# Nodes out of service raise no alerts.
QUIET = (ServiceState.NEW, ServiceState.DISABLED, ServiceState.MAINTENANCE, ServiceState.GIVEN_UP)


def is_quiet(node: Node) -> bool:
    """Whether it raises no alerts: out of service, and in maintenance for no longer than was planned."""
    return node.service_state in QUIET and not node.is_over_time


def update(session: Session, nodes: Collection[Node], moment: datetime) -> None:
    """Begin, change and end the alerts of nodes that were just checked, in the present transaction."""
    known = {
        (alert.node_id, alert.pool_id): alert
        for alert in session.scalars(
            select(Alert)
            .where(Alert.node_id.in_([node.id for node in nodes]))
            # In one order everywhere, and locked before they are read: another process writes what was sent.
            .order_by(Alert.id)
            .with_for_update()
        )
    }
    for node in nodes:
        _update(session, known, node, None, _trouble(node), moment)
        # Nothing new is known of the pools of a node that does not answer: they stay as they were.
        if node.seen != Observed.DOWN:
            for pool in node.pools:
                _update(session, known, node, pool, _pool_trouble(node, pool), moment)


def tell_unwritable(node_id: int, why: Message) -> None:
    """Say of a node whose row takes nothing, so that its state only ages, why that is: without touching its row."""

    def tell(session: Session, _ids: Collection[int]) -> None:
        # One after the other, so that none begins an alert beside another's.
        node = session.get(Node, node_id, with_for_update={"key_share": True})
        if node is not None and not is_quiet(node):
            own = select(Alert).where(Alert.node_id == node_id, Alert.pool_id.is_(None)).with_for_update()
            known: dict[Place, Alert] = {}
            known.update(((node_id, None), alert) for alert in session.scalars(own))
            _update(session, known, node, None, ("unknown", message("nodes.unstorable", why=why)), now())

    write_lot([node_id], tell, lambda _node_id, _why: None)  # what is wrong is in the log


# The state and why; and the ids of the node and the pool, where it is of one.
Trouble = tuple[str, Message]
Place = tuple[int | None, int | None]


def _trouble(node: Node) -> Trouble:
    if is_quiet(node):
        return "", NOTHING
    if node.trust == Trust.CHANGED:
        return "quarantined", node.reason
    if node.seen in (Observed.UP, Observed.UNKNOWN):
        # Well as it is, it is out of service for longer than anybody meant it to be.
        is_late = node.service_state == ServiceState.MAINTENANCE and node.is_over_time
        return ("maintenance", node.maintenance_plan) if is_late else ("", NOTHING)
    # What it was known to be before it was known to be off says no more.
    said = node.what_now if node.is_known_off else sentences(node.reason, node.what_now)
    return node.seen, sentences(node.rest_held, said) if node.rest_held else said


def _pool_trouble(node: Node, pool: Pool) -> Trouble:
    state = storage_pools.level(pool)
    if is_quiet(node) or state == Level.OK:
        return "", NOTHING
    used = storage_pools.used_percent(pool)
    if used is None:
        return state, message("alerts.pool_unknown", pool=pool.name)
    return state, message("alerts.pool_full", pool=pool.name, used_percent=int(used), free_mib=pool.free_mib)


def _update(
    session: Session,
    known: dict[Place, Alert],
    node: Node,
    pool: Pool | None,
    trouble: Trouble,
    moment: datetime,
) -> None:
    place = (node.id, pool.id if pool else None)
    change(session, known.get(place), place, trouble, moment)


def change(session: Session, alert: Alert | None, place: Place, trouble: Trouble, moment: datetime) -> None:
    """Begin the alert of a place, which is there if there ever was one, change it or end it."""
    state, text = trouble
    if alert is None:
        if state:
            node_id, pool_id = place
            session.add(Alert(node_id=node_id, pool_id=pool_id, state=state, text=text, since=moment))
        return
    if alert.state != state:
        alert.state, alert.since, alert.untold, alert.changes = state, moment, True, alert.changes + 1
    alert.text = text or alert.text


@dataclass(frozen=True)
class Summary:
    """What is wrong now, for one line: names of nodes by state, how many pools are in trouble, and what of the
    cluster, if anything."""

    nodes: dict[str, list[str]]
    pools: int
    cluster: Message = NOTHING

    @property
    def worst(self) -> int:
        """The highest rank, 0 where all is well."""
        return max([RANK[state] for state in self.nodes] + ([1] if self.pools or self.cluster else []), default=0)


def current(viewer: User) -> Sequence[Alert]:
    """The alerts that hold now, of the nodes that the viewer may know of, the worst first; and of the cluster, for who
    may know of all nodes."""
    rights.require(viewer, "nodes.see")
    query = select(Alert).outerjoin(Alert.node).options(contains_eager(Alert.node)).where(Alert.state != "")
    alerts = db.session.scalars(query.where(scopes.nodes(viewer))).unique().all()
    return sorted(alerts, key=lambda alert: (-RANK.get(alert.state, 0), alert.since))


def ended(viewer: User, limit: int = 20) -> Sequence[Alert]:
    """The alerts that were over last, newest first."""
    rights.require(viewer, "nodes.see")
    query = select(Alert).outerjoin(Alert.node).options(contains_eager(Alert.node)).where(Alert.state == "")
    return db.session.scalars(query.where(scopes.nodes(viewer)).order_by(Alert.since.desc()).limit(limit)).all()


def summary(viewer: User) -> Summary:
    """What the top of every page says to those who may see nodes: one query."""
    query = select(Alert.state, Alert.pool_id, Node.name, Alert.text).outerjoin(Node, Node.id == Alert.node_id)
    nodes: dict[str, list[str]] = {}
    pools, cluster = 0, NOTHING
    for state, pool_id, name, text in db.session.execute(query.where(Alert.state != "", scopes.nodes(viewer))):
        if name is None:
            cluster = text
        elif pool_id is None:
            nodes.setdefault(state, []).append(name)
        else:
            pools += 1
    return Summary({state: nodes[state] for state in sorted(nodes, key=lambda state: -RANK[state])}, pools, cluster)
