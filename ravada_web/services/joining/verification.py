"""The test of a node: a tiny VM is created, started, viewed as desktops are, and removed."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.verification import boot, end, machine_xml
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import Node, Observed, Operation, ServiceState, User
from ravada_web.models import now as this_moment
from ravada_web.remote.displays import display_opened
from ravada_web.remote.errors import NodeUnreachable, RemoteError
from ravada_web.remote.files import remove_files
from ravada_web.remote.links import link_is_up
from ravada_web.remote.overlays import make_empty
from ravada_web.remote.screens import first_frame
from ravada_web.remote.target import Target, Workspace
from ravada_web.services.audit import events
from ravada_web.services.joining import inspection
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes.facts import facts_of
from ravada_web.services.operations import outbox
from ravada_web.services.operations.execution import Handle
from ravada_web.services.operations.requests import request
from ravada_web.services.permissions import rights
from ravada_web.services.storage import leftovers, pools
from ravada_web.services.storage.file_names import temporary_name
from ravada_web.services.transaction import transaction

LINK_SECONDS, DISK_SECONDS, FRAME_SECONDS = 15.0, 20.0, 30.0
DISK_BYTES = 16 << 20


def request_verification(actor: User, node: Node) -> Operation:
    """Request the test; a new node is enabled when it passes, or is what the node was
    whose place it took. Raises Conflict where it cannot be run."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        inspection.require_own_host(node)
        if not node.allows_root:
            raise Conflict(message("joining.test_needs_root", node=node.name))
        inspection.require_idle(session, node)
        return request(session, "node_prove", message("joining.test", node=node.name), actor=actor, node=node)


@dataclass(frozen=True)
class Step:
    """One step of a test: "running", "pass" or "fail", and the seconds it took."""

    code: str
    text: Message
    state: str
    seconds: float


def steps(stored: Iterable[Mapping[str, Any]]) -> list[Step]:
    """The steps of a test as its node's row, or its operation's result, keeps them."""
    return [Step(line["code"], Message.from_json(line["text"]), line["state"], line["seconds"]) for line in stored]


@dataclass
class _Steps:
    """The steps so far, written as they go, so that they can be watched."""

    handle: Handle
    done: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def step(self, code: str) -> Iterator[None]:
        text = message(f"joining.step_{code}")
        line = {"code": code, "text": text.to_json(), "state": "running", "seconds": 0.0}
        self.done.append(line)
        self._write()
        started = time.monotonic()
        try:
            yield
            line["state"] = "pass"
        except (HypervisorError, RemoteError, Conflict):
            line["state"] = "fail"
            raise
        finally:
            line["seconds"] = round(time.monotonic() - started, 2)
            self._write()

    def _write(self) -> None:
        with self.handle.writing() as session:
            session.get_one(Node, self.handle.node_id).proof = [dict(line) for line in self.done]


def verify(handle: Handle) -> None:
    """The job's part; whatever happens, the machine and its disk are gone afterwards."""
    node = db.session.get_one(Node, handle.node_id)
    where, facts, name = endpoints.target(node), facts_of(node), f"ravada-proof-{handle.token}"
    directory = pools.require_pool(node).path
    disk = pools.in_pool(directory, temporary_name("ravada-proof", handle.token))
    db.session.rollback()
    progress = _Steps(handle)
    with progress.step("link"):
        _wait_for_link(endpoints.workspace(), where)
    leftovers.sweep(where, [directory])
    try:
        with progress.step("disk"):
            make_empty(endpoints.workspace(), where, disk, DISK_BYTES, deadline=DISK_SECONDS)
        _run_machine(progress, where, name, machine_xml(name, disk, facts))
    finally:
        with suppress(RemoteError):
            remove_files(endpoints.workspace(), where, [disk])
    handle.result = {"steps": progress.done}
    _passed(handle)


def _run_machine(progress: _Steps, where: Target, name: str, xml: str) -> None:
    workspace = endpoints.workspace()
    with open_connection(endpoints.libvirt_uri(where)) as connection:
        with progress.step("start"):
            display = boot(connection, xml)
        with ExitStack() as opened:
            with progress.step("display"):
                plug = opened.enter_context(opened.enter_context(display_opened(workspace, where, display)))
            with progress.step("frame"):
                first_frame(plug, FRAME_SECONDS)
        with progress.step("remove"):
            end(connection, name)


def _wait_for_link(workspace: Workspace, where: Target) -> None:
    """The links process makes it once we have access."""
    until = time.monotonic() + LINK_SECONDS
    while not (where.local or link_is_up(workspace, where)):
        if time.monotonic() > until:
            raise NodeUnreachable("lost", message("joining.link_down", name=where.name))
        time.sleep(0.05)


def _passed(handle: Handle) -> None:
    actor = db.session.get(User, handle.user_id) if handle.user_id else None
    with handle.writing() as session:
        node = session.get_one(Node, handle.node_id)
        # It has just been seen to work: no need to wait for the next check, and none that was asked before counts.
        node.proved_at = node.checked_at = node.last_seen_at = this_moment()
        node.seen_round = node.rounds_begun
        node.observed, node.reason = Observed.UP, NOTHING
        events.record(session, actor, "prove", node)
        if node.service_state == ServiceState.NEW:
            node.service_state, node.serves_as = node.serves_as or ServiceState.ENABLED, ""
            if node.service_state == ServiceState.ENABLED:
                events.record(session, actor, "enable", node)
