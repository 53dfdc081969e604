"""How clones can move to nodes: while they run, only while they are off, or not at all, and why."""

from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from ravada_web.config import settings
from ravada_web.guard import guarded
from ravada_web.hypervisor.domain_xml import boots_by_uefi
from ravada_web.models import USING_MEMORY, Base, BaseVersion, Clone, FileKind, Node, Remains
from ravada_web.placement.moving import CloneTraits, MoveVerdict, Way, move_verdict
from ravada_web.placement.types import Reason
from ravada_web.platforms import Platform
from ravada_web.services.nodes.offers import needs_of
from ravada_web.services.nodes.platforms import hosts_among
from ravada_web.services.placements.loads import NodeViews

_FORMER = MoveVerdict(Way.NONE, Reason("move_former"))


def verdicts(session: Session, clones: Collection[Clone], nodes: Collection[Node]) -> "Verdicts":
    """The verdicts on moves of these clones to these nodes, by the ids of both. Hold the placement lock to decide by
    them. Whether its own node can give a clone away, and room that is kept for the loss of a node, are not asked."""
    return Verdicts(session, clones, nodes)


@lru_cache(maxsize=256)
def _by_uefi(template: str) -> bool:
    """Whether clones of a base with this template boot by UEFI; not known of one that cannot be read."""
    with guarded(lambda _reason: None):
        return boots_by_uefi(template)
    return False


class Verdicts(Mapping[tuple[int, int], MoveVerdict]):
    """Read in a handful of queries, however many clones and nodes there are; each verdict is made when it is asked
    for."""

    def __init__(self, session: Session, clones: Collection[Clone], nodes: Collection[Node]) -> None:
        self._clones = {clone.id: clone for clone in clones}
        self._node_ids = {node.id for node in nodes}
        base_ids = {clone.base_id for clone in clones}
        self._bases = {base.id: base for base in session.scalars(select(Base).where(Base.id.in_(base_ids)))}
        of_these = select(BaseVersion).where(BaseVersion.id.in_({clone.version_id for clone in clones}))
        versions = session.scalars(of_these.options(selectinload(BaseVersion.files))).all()
        self._versions = {version.id: version for version in versions}
        self._views = NodeViews(session, nodes, versions)
        concerned = self._node_ids | {clone.node_id for clone in clones}
        self._hosts = hosts_among(session, select(Node.id).where(Node.id.in_(concerned)))
        left = select(Remains.uuid, Remains.node_id).where(Remains.node_id.in_(self._node_ids))
        self._former = {(uuid, node_id) for uuid, node_id in session.execute(left)}

    def __getitem__(self, key: tuple[int, int]) -> MoveVerdict:
        clone_id, node_id = key
        clone = self._clones[clone_id]
        verdict = move_verdict(
            self.traits_of(clone), self._views.of(self._versions[clone.version_id], node_id), self._hosts.get(node_id)
        )
        if verdict.way != Way.NONE and (clone.uuid, node_id) in self._former:
            return _FORMER
        return verdict

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((clone_id, node_id) for clone_id in self._clones for node_id in self._node_ids)

    def __len__(self) -> int:
        return len(self._clones) * len(self._node_ids)

    def traits_of(self, clone: Clone) -> CloneTraits:
        """What of the clone decides where it can move."""
        base, host = self._bases[clone.base_id], self._hosts.get(clone.node_id)
        return CloneTraits(
            node_id=clone.node_id,
            running=clone.state_in_use in USING_MEMORY,
            memory_mib=clone.memory_mib,
            disk_mib=settings().overlay_charge_mib * len(self._versions[clone.version_id].disks),
            vcpus=base.vcpus,
            needs=needs_of(base),
            arch=host.arch if host else "x86_64",
            virt_type=clone.virt_type,
            platform=Platform(clone.machine, clone.processor),
            only_off=self._only_off(clone),
        )

    def _only_off(self, clone: Clone) -> Reason | None:
        """Why it moves only while it is off, wherever to: UEFI variables that are in no file of its own are where its
        host's libvirt has put them."""
        if any(file.kind == FileKind.NVRAM for file in self._versions[clone.version_id].files):
            return None
        return Reason("move_firmware") if _by_uefi(self._bases[clone.base_id].template_xml) else None
