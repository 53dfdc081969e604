"""Looking at a host that answers at a node's address with another host key, once a person has accepted that key: is it
the node? Until it is known to be, nothing else is sent there, and the node stays quarantined under its former key."""

import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.messages.foreign import is_name
from ravada_web.models import BaseDisk, Clone, CloneState, Node, Remains, Replica, Trust, User
from ravada_web.remote.files import list_tree
from ravada_web.remote.survey import Survey, survey
from ravada_web.remote.target import Target, Workspace
from ravada_web.services.audit import events
from ravada_web.services.batches import batched
from ravada_web.services.joining.login import log_in
from ravada_web.services.joining.recognition import MAY_BE_NODE, Holdings, Identity, Verdict, Who, recognise
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.permissions import rights
from ravada_web.services.storage.file_names import FileOf, named
from ravada_web.services.transaction import transaction

LIST_SECONDS = 60.0
# Where pools are on a host whose own are not known yet.
USUAL_FOLDER = "/var/lib/libvirt/images"
_NAMES_AT_ONCE = 500
# A clone that is still to be made has no files.
_UNMADE = (CloneState.REQUESTED, CloneState.CREATING)


def identify(handle: Handle) -> bool:
    """Returns whether the host is the node, whose new key is then its pinned one; else what it is stands in the node's
    row. Raises what a login and the look at its files raise."""
    node = db.session.get_one(Node, handle.node_id)
    where, folders = endpoints.newcomer(node), _folders(node)
    db.session.rollback()
    seen, names = _look(where, folders)
    handle.check()
    with handle.writing() as session:
        row = session.get_one(Node, handle.node_id, with_for_update=True, populate_existing=True)
        if row.trust != Trust.CHANGED or row.new_host_key != where.host_key:
            raise Conflict(message("joining.newcomer_gone", node=row.name))
        found, expected = _found(session, row, names), _expected(session, row)
        verdict = recognise(where.host_key, seen.machine_id, found, _identity(row), expected, _others(session, row))
        if verdict.who == Who.SAME:
            pin(row)
            return True
        text = _text(row, verdict, found)
        row.newcomer = {"who": verdict.who, "machine_id": seen.machine_id, "text": text.to_json()}
        events.record(session, None, "recognised", row, text)
    handle.result = {"who": verdict.who}
    return False


def pin(node: Node) -> None:
    """Have the new host key that was accepted be the node's."""
    node.host_key, node.trust, node.reason = node.new_host_key, Trust.PINNED, NOTHING
    node.forget_newcomer()


def said_of(node: Node) -> Message:
    """What is known of the host with the node's new key, in words; an empty message before it was looked at."""
    return Message.from_json(node.newcomer.get("text"))


def accept_as_node(actor: User, node: Node) -> None:
    """Say that the host is the node though it lacks its machine ID, or what should stand there. Raises Conflict where
    that is not to be decided."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        row = session.get_one(Node, node.id, with_for_update=True, populate_existing=True)
        if row.trust != Trust.CHANGED or row.newcomer.get("who") not in MAY_BE_NODE:
            raise Conflict(message("joining.nothing_to_decide", node=row.name))
        events.record(session, actor, "accept_host", row, said_of(row))
        row.machine_id, row.other_machine_id = row.newcomer["machine_id"], ""
        pin(row)


def _folders(node: Node) -> list[str]:
    """Where its pools are, and where those of other nodes are: all have the same."""
    master = db.session.scalar(select(Node).where(Node.is_master, Node.id != node.id))
    pools = [*node.pools, *(master.pools if master else ())]
    return sorted({USUAL_FOLDER, *(pool.path for pool in pools)})


def _look(where: Target, folders: Sequence[str]) -> tuple[Survey, list[str]]:
    """The host's survey, and the names of the files in these folders that are named like ours. By a known_hosts file of
    its own: checks of the node go on with its former key."""
    with tempfile.TemporaryDirectory(dir=settings().links_dir, prefix="j") as folder:
        apart = Workspace(run_dir=Path(folder), key_file=settings().ssh_key)
        login, _seconds = log_in(apart, where)
        seen = survey(apart, where)
        if login.power == "libvirt" or "find" not in seen.programs:
            raise Conflict(message("joining.cannot_look", name=where.name))
        paths = [file.path for file in list_tree(apart, where, folders, deadline=LIST_SECONDS)]
    return seen, named_like_ours(paths)


def named_like_ours(paths: Iterable[str]) -> list[str]:
    """The names of those of these files that could be ours; a host may name its files by whatever bytes it likes."""
    ours = (FileOf.CLONE, FileOf.BASE)
    names = (path.rpartition("/")[2] for path in paths)
    return [name for name in names if is_name(name) and (own := named(name)) and own.of in ours]


def _expected(session: Session, node: Node) -> Holdings:
    """What should be on the node: desktops that were made there, and the bases under them."""
    made = (Clone.node_id == node.id, Clone.state.not_in(_UNMADE), ~Clone.lost)
    desktop = session.scalar(select(Clone.id).where(*made).limit(1))
    copy = session.scalar(select(Replica.id).where(Replica.node_id == node.id, Replica.directory != "").limit(1))
    return Holdings(desktops=int(desktop is not None), bases=int(copy is not None))


def _found(session: Session, node: Node, names: Sequence[str]) -> Holdings:
    """Whose files these are, by their names."""
    bases = [name.removesuffix(".overlay") for name in names if (file := named(name)) and file.of == FileOf.BASE]
    known = {name for lot in batched(bases, _NAMES_AT_ONCE) for name in _bases_named(session, lot)}
    owners = Counter(_owners(session, names, node.name))
    own = owners.pop(node.name, 0)
    return Holdings(desktops=own, bases=sum(name in known for name in bases), others=dict(owners))


def _bases_named(session: Session, names: Sequence[str]) -> Collection[str]:
    """Which of these are files of bases; those of templates lack the end of the disk's name."""
    whole = [*names, *(f"{name}.qcow2" for name in names)]
    found = session.scalars(select(BaseDisk.file_name).where(BaseDisk.file_name.in_(whole))).all()
    return {*found, *(name.removesuffix(".qcow2") for name in found)}


def _owners(session: Session, names: Sequence[str], here: str) -> Iterator[str]:
    """The name of the node of each file that is a desktop's, or is what one has left; of a desktop that has moved, one
    of its nodes is `here` rather than elsewhere."""
    files = [own for name in names if (own := named(name)) and own.of == FileOf.CLONE]
    for lot in batched(files, _NAMES_AT_ONCE):
        wanted = {own.name for own in lot}
        nodes: dict[tuple[str, str], str] = {}
        for table in (Remains, Clone):
            rows = select(table.name, table.uuid, Node.name).join(Node, Node.id == table.node_id)
            for name, uuid, node in session.execute(rows.where(table.name.in_(wanted))):
                if uuid is not None and nodes.get((name, uuid[:8])) != here:
                    nodes[name, uuid[:8]] = node
        yield from (nodes[key] for own in lot if (key := (own.name, own.uuid)) in nodes)


def _identity(node: Node) -> Identity:
    former = [(host["host_key"], host["machine_id"]) for host in node.former_hosts]
    return Identity(node.name, node.host_key, node.machine_id, former)


def _others(session: Session, node: Node) -> list[Identity]:
    return [_identity(row) for row in session.scalars(select(Node).where(Node.id != node.id).order_by(Node.id))]


def _text(node: Node, verdict: Verdict, found: Holdings) -> Message:
    """What the verdict says, in words."""
    figures: dict[str, str | int] = {"node": node.name, "desktops": found.desktops, "bases": found.bases}
    if verdict.who in (Who.OTHER, Who.FORMER):
        files = found.others.get(verdict.node, 0)
        held = message("joining.host_holds", count=files, other=verdict.node) if files else NOTHING
        return sentences(message(f"joining.host_{verdict.who}", other=verdict.node, **figures), held)
    twin = message("joining.host_twin", other=verdict.node) if verdict.node else NOTHING
    return sentences(message(f"joining.host_{verdict.who}", **figures), twin)
