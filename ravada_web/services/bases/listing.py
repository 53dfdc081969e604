"""Bases as pages list them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, func, select
from sqlalchemy.orm import selectinload

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.hypervisor.hardware.findings import Finding, Verdict
from ravada_web.messages import Message, message
from ravada_web.messages.needs import how_message, need_message
from ravada_web.models import (
    AllowedNode,
    Base,
    BaseState,
    Clone,
    Node,
    Operation,
    OperationState,
    Replica,
    ReplicaState,
    ServiceState,
    User,
)
from ravada_web.needs import Need, lacking
from ravada_web.services.audit import events
from ravada_web.services.audit.events import Line
from ravada_web.services.bases import migration
from ravada_web.services.nodes.offers import needs_of, offers_of
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import REPLICA
from ravada_web.services.paging import natural
from ravada_web.services.permissions import scopes


def choices(viewer: User) -> list[Row[int, str]]:
    """The id and name of each base that the viewer may know of, by name."""
    bases = db.session.execute(select(Base.id, Base.name).where(scopes.bases(viewer)))
    return sorted(bases, key=lambda row: natural(row.name))


@dataclass(frozen=True)
class BaseRow:
    """A line of the list: the base, its version's number, and counts of nodes, ready replicas and clones."""

    base: Base
    version: int | None
    allowed: int
    replicas_ready: int
    clones: int


@dataclass(frozen=True)
class TabRow:
    """A line of the Base tab: a node, whether it is ticked, its replica, this base's clones on it, what it lacks of
    what the base needs (each thing, and how it gets it), and what it means for the base's migration group."""

    node: Node
    allowed: bool
    replica: Replica | None
    clones: int
    lacks: Sequence[tuple[Message, Message]]
    group_note: Message


def listing(viewer: User) -> list[BaseRow]:
    """The bases that the viewer may know of, by name, with their counts."""
    query = select(Base).options(selectinload(Base.versions), selectinload(Base.allowed)).where(scopes.bases(viewer))
    bases = sorted(db.session.scalars(query), key=lambda base: natural(base.name))
    clones_of = dict(db.session.execute(select(Clone.base_id, func.count()).group_by(Clone.base_id)).all())
    ready = select(Replica.version_id, func.count()).where(Replica.state == ReplicaState.READY)
    ready_of = dict(db.session.execute(ready.group_by(Replica.version_id)).all())
    return [_row(base, clones_of, ready_of) for base in bases]


def _row(base: Base, clones_of: dict[int, int], ready_of: dict[int, int]) -> BaseRow:
    version = base.current
    number, ready = (version.number, ready_of.get(version.id, 0)) if version else (None, 0)
    return BaseRow(base, number, len(base.allowed), ready, clones_of.get(base.id, 0))


def cloneable(viewer: User) -> Sequence[Base]:
    """The bases that the viewer can create clones from, by name."""
    ready = db.session.scalars(select(Base).where(Base.state == BaseState.READY, scopes.bases(viewer)))
    return sorted(ready, key=lambda base: natural(base.name))


def get(viewer: User, base_id: int) -> Base:
    """One base. Raises NotFound, for one that the viewer may not know of too."""
    base = db.session.scalar(select(Base).where(Base.id == base_id, scopes.bases(viewer)))
    if base is None:
        raise NotFound(message("bases.no_such"))
    return base


def by_name(viewer: User, name: str) -> Base:
    """The base of that name. Raises NotFound, for one that the viewer may not know of too."""
    base = db.session.scalar(select(Base).where(Base.name == name, scopes.bases(viewer)))
    if base is None:
        raise NotFound(message("bases.none_called", name=name))
    return base


def copies_under_way(viewer: User, base: Base) -> Sequence[int]:
    """The ids of the operations that bring the base's disks to nodes or remove them there, and are not over."""
    query = select(Operation.id).where(
        Operation.base_id == base.id,
        Operation.kind.in_(kinds_on(REPLICA)),
        Operation.state.in_([OperationState.WAITING, OperationState.RUNNING]),
        scopes.operations(viewer),
    )
    return db.session.scalars(query).all()


@dataclass(frozen=True)
class BasePage:
    """A base, a line for every node that the viewer may know of, its needs, and what has happened to it."""

    base: Base
    rows: Sequence[TabRow]
    needs: Sequence[Message]
    events: Sequence[Line]


def base_page(viewer: User, base_id: int) -> BasePage:
    """What the page of one base shows. Raises NotFound."""
    base = get(viewer, base_id)
    needs = [need_message(need.kind, need.value) for need in needs_of(base)]
    return BasePage(base, tab(viewer, base), needs, events.recent(viewer, "base", base_id))


def importable() -> list[str]:
    """The names of the master's domains that are none of ours, as its last check saw them."""
    master = db.session.scalar(select(Node).where(Node.is_master))
    return master.other_domains if master else []


@dataclass(frozen=True)
class ListedLine:
    """What becomes of these elements alike (`elements` are names and counts), why, and the command that fixes it."""

    verdict: Verdict
    elements: Sequence[tuple[str, int]]
    text: Message
    remedy: str


def listed(inspection: Operation) -> list[ListedLine]:
    """What an inspection found, refused first; elements of which the same is said share a line."""
    lines: dict[tuple[Verdict, Message, str], list[tuple[str, int]]] = {}
    for finding in map(Finding.from_dict, inspection.result["findings"]):
        key = (finding.verdict, finding.text, finding.remedy)
        lines.setdefault(key, []).append((finding.element, finding.count))
    return [ListedLine(verdict, elements, text, remedy) for (verdict, text, remedy), elements in lines.items()]


def tab(viewer: User, base: Base) -> list[TabRow]:
    """The Base tab: a line for every node that the viewer may know of, the master first; none for one given up."""
    nodes = sorted(
        db.session.scalars(select(Node).where(scopes.nodes(viewer), Node.service_state != ServiceState.GIVEN_UP)),
        key=lambda node: (not node.is_master, natural(node.name)),
    )
    allowed = set(db.session.scalars(select(AllowedNode.node_id).where(AllowedNode.base_id == base.id)))
    version_id = base.current.id if base.current else None
    held = {r.node_id: r for r in db.session.scalars(select(Replica).where(Replica.version_id == version_id))}
    count = select(Clone.node_id, func.count()).where(Clone.base_id == base.id).group_by(Clone.node_id)
    clones_on = dict(db.session.execute(count).all())
    needs, groups = needs_of(base), migration.groups_for(db.session(), base)

    def row(node: Node) -> TabRow:
        count, lacks = clones_on.get(node.id, 0), _lacks(node, needs)
        return TabRow(node, node.id in allowed, held.get(node.id), count, lacks, groups.note(node.id))

    return [row(node) for node in nodes]


def migration_groups(base: Base, rows: Iterable[TabRow]) -> list[Message]:
    """A line for each of the base's migration groups, with the nodes of these rows."""
    return migration.groups_for(db.session(), base).lines({row.node.id: row.node.name for row in rows})


def _lacks(node: Node, needs: Iterable[Need]) -> list[tuple[Message, Message]]:
    missing = lacking(needs, offers_of(node))
    return [(need_message(need.kind, need.value), how_message(need.kind, need.value)) for need in missing]
