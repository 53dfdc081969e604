"""Node checks: probe a batch of nodes in parallel, and record what was seen. No node delays another: each is probed in
a thread of its own, a few at a time; one that takes its time lets the next begin, what has answered is written at once,
and nodes that have not answered by the deadline are given up for this round. A thread that hangs in libvirt dies with
the job's process.
"""

import queue
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

import libvirt
from sqlalchemy import select

from ravada_web.clock import is_recent
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.hypervisor import domains, starting
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.errors import HypervisorError, HypervisorUnreachable
from ravada_web.hypervisor.facts import read_active_pools, read_facts, read_networks
from ravada_web.hypervisor.health import read_health
from ravada_web.messages import Message, message
from ravada_web.models import Away, Node, Observed, Trust
from ravada_web.remote import presence
from ravada_web.remote.errors import HostKeyChanged, NodeUnreachable, OwnFault, RemoteError, UnreadableAnswer
from ravada_web.remote.files import free_space
from ravada_web.remote.libvirt_daemon import look
from ravada_web.remote.links import link_is_up, renew_link
from ravada_web.remote.offers import read_offers
from ravada_web.remote.sampling import Sample, sample
from ravada_web.remote.target import Target, Workspace
from ravada_web.services.bases import replica_files
from ravada_web.services.bases.replica_files import Expected
from ravada_web.services.clones import remains
from ravada_web.services.monitoring import rounds
from ravada_web.services.monitoring.answers import Answer, Question
from ravada_web.services.monitoring.recording import record
from ravada_web.services.nodes import endpoints, offers
from ravada_web.services.storage import pools

# Death must be known within 10 s of it: one interval of 5 s, and these two.
FIRST_SECONDS = 1.0
AGAIN_SECONDS = 2.0
# Longer than what counts as slow (health.SLOW_SECONDS): slow and silent are two things.
LIBVIRT_SECONDS = 4.0
ROUND_SECONDS = 8.0
# Pools, networks and firmware may be changed on a node while it is up.
FACTS_AGE = timedelta(minutes=1)
# Nodes that one worker probes in parallel: more would only wait for a core, until their time is over.
AT_ONCE = 8
# A node that has not answered by then is slow, and the next one begins.
PATIENCE_SECONDS = 0.4
# What has answered by then is written without waiting for the others.
WAVE_SECONDS = 0.7


def check(node_ids: Sequence[int], *, with_facts: bool = False) -> None:
    """Check these nodes and write what was seen, `with_facts` all that they offer too; a node that does not exist any
    more is passed over."""
    numbers = rounds.begin(node_ids)
    questions, unasked = _questions(_nodes(numbers), numbers, replica_files.expected_on(node_ids), with_facts)
    db.session.rollback()
    if unasked:
        record(unasked)
    for answers in Round(questions, endpoints.workspace()).waves():
        record(answers)


def _nodes(node_ids: Collection[int]) -> Sequence[Node]:
    return db.session.scalars(select(Node).where(Node.id.in_(node_ids))).all()


def _questions(
    nodes: Sequence[Node],
    numbers: Mapping[int, int],
    files: Mapping[int, Sequence[Expected]],
    with_facts: bool = False,
) -> tuple[list[Question], list[Answer]]:
    """What to ask of these nodes in the rounds of these numbers, with their replicas' files; and what is written of
    those that cannot be asked."""
    wanted = {node.id for node in nodes if with_facts or _wants_facts(node)}
    firmware = offers.firmware_files(db.session()) if wanted else ()
    doomed = remains.doomed_on(numbers)
    networks = offers.networks_used(db.session()) if wanted else frozenset()
    questions: list[Question] = []
    unasked: list[Answer] = []
    for node in nodes:
        answer = Answer(node.id, Observed.DOWN, round=numbers[node.id])
        with guarded(partial(setattr, answer, "reason"), node=node.name):
            question = _question(node, numbers[node.id], files.get(node.id, []), firmware, node.id in wanted)
            ended = frozenset(row.uuid for row in doomed.get(node.id, ()) if row.uuid)
            used_pools = pools_used(node, question.files)
            questions.append(replace(question, doomed=ended, used_networks=networks, used_pools=used_pools))
        if answer.reason:
            unasked.append(answer)
    return questions, unasked


def _question(
    node: Node, number: int, files: Sequence[Expected], firmware: tuple[str, ...], want_facts: bool
) -> Question:
    where = endpoints.target(node)
    paths = tuple(pool.path for pool in node.pools if pool.active)
    return Question(
        target=where,
        uri=endpoints.libvirt_uri(where),
        paths=paths,
        want_facts=want_facts,
        round=number,
        before=Observed(node.observed),
        quarantined=node.trust == Trust.CHANGED,
        files=tuple(files),
        networks=tuple(node.facts.get("networks", ())),
        pools=tuple(node.facts.get("active_pools", ())),
        firmware=firmware,
    )


def pools_used(node: Node, files: Sequence[Expected]) -> frozenset[str]:
    """The names of the node's pools that we use: the one for desktops, and those with copies of bases."""
    folders = {file.path.rpartition("/")[0] for file in files}
    return frozenset({pools.POOL} | {pool.name for pool in node.pools if pool.path in folders})


def _wants_facts(node: Node) -> bool:
    """A node that was away may have come back with another libvirt, other pools, or as another machine."""
    return not is_recent(node.facts_at, FACTS_AGE) or node.observed != Observed.UP


class Round:
    """One look at a number of nodes, each in a thread of its own."""

    def __init__(self, questions: Sequence[Question], workspace: Workspace) -> None:
        self._questions, self._workspace = questions, workspace
        self._numbers = {question.target.node_id: question.round for question in questions}
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._turns = threading.Semaphore(AT_ONCE)
        # When each one's turn came, by time.monotonic(), and whose turn it still is.
        self._begun: dict[int, float] = {}
        self._holding: dict[int, bool] = {}

    def waves(self) -> Iterator[list[Answer]]:
        """Probe all; yield the answers in lots, as they come."""
        for question in self._questions:
            threading.Thread(target=self._put_answer, args=(question,), daemon=True).start()
        waiting = {question.target.node_id for question in self._questions}
        while waiting:
            lot = [answer for answer in self._lot(len(waiting)) if answer.node_id in waiting]
            waiting -= {answer.node_id for answer in lot}
            late = self._late(waiting)
            waiting -= {answer.node_id for answer in late}
            if lot or late:
                yield lot + late

    def _put_answer(self, question: Question) -> None:
        node_id = question.target.node_id
        if question.before != Observed.DOWN:
            self._turns.acquire()
            self._holding[node_id] = True
        self._begun[node_id] = time.monotonic()
        answer = Answer(node_id, Observed.UP, round=question.round)
        try:
            with guarded(answer.degrade, node=question.target.name):
                probe_node(question, self._workspace, answer)
        finally:
            self._answers.put(answer)
            self._let_others(node_id)

    def _let_others(self, node_id: int) -> None:
        """End the node's turn, once."""
        if self._holding.pop(node_id, False):
            self._turns.release()

    def _lot(self, most: int) -> list[Answer]:
        lot: list[Answer] = []
        until = time.monotonic() + WAVE_SECONDS
        while len(lot) < most and (left := until - time.monotonic()) > 0:
            with suppress(queue.Empty):
                answer = self._answers.get(timeout=min(left, PATIENCE_SECONDS))
                self._begun.pop(answer.node_id, None)
                lot.append(answer)
            self._pass_over()
        return lot

    def _pass_over(self) -> None:
        """Let the next ones begin in place of those that take their time."""
        since = time.monotonic() - PATIENCE_SECONDS
        for node_id, begun in list(self._begun.items()):
            if begun < since:
                self._let_others(node_id)

    def _late(self, waiting: Collection[int]) -> list[Answer]:
        """What is written of those whose turn came long ago."""
        over = time.monotonic() - ROUND_SECONDS
        reason = message("nodes.check_hangs", deadline_seconds=ROUND_SECONDS)
        late = [node_id for node_id in waiting if node_id in self._begun and self._begun[node_id] < over]
        return [
            Answer(node_id, Observed.DEGRADED, reason, round=self._numbers[node_id], libvirt_silent=True)
            for node_id in late
        ]


def probe_node(question: Question, workspace: Workspace, answer: Answer) -> None:
    """Probe one node and complete its answer: SSH (once more at once, by a new connection, when it does not answer),
    then libvirt. A node whose answer makes no sense is asked for the rest all the same.
    """
    started = time.monotonic()
    with guarded(answer.degrade, node=question.target.name):
        try:
            answer.sample = _sample(question, workspace)
        except UnreadableAnswer:
            raise
        except RemoteError as error:
            answer.observed, answer.reason, answer.away = Observed.DOWN, error.message, manner_of(error)
            return
        answer.ssh_seconds = time.monotonic() - started
        answer.pinned_again = question.quarantined
        answer.findings = replica_files.compare(question.files, answer.sample.files)
        if answer.sample.nologin:
            answer.degrade(message("nodes.no_login"))
    if not link_is_up(workspace, question.target):
        answer.degrade(message("nodes.link_starting"))
        return
    _query_libvirt(question, answer, workspace)
    _measure_new_pools(question, answer, workspace)
    if question.want_facts and answer.facts is not None:
        with suppress(RemoteError):  # what was seen before stays
            answer.offers = read_offers(workspace, question.target, question.firmware, deadline=AGAIN_SECONDS)


def manner_of(error: RemoteError) -> Away:
    """How a node is away whose SSH failed so. All but silence is an answer of something at its address, which is alive;
    what is wrong with this server says nothing of the node."""
    silent = isinstance(error, OwnFault) or (isinstance(error, NodeUnreachable) and error.code in _SILENCE)
    return Away.SILENT if silent else Away.REFUSES


_SILENCE = ("timeout", "unknown_address")


def _sample(question: Question, workspace: Workspace) -> Sample:
    """Ask over the link, then by a connection of its own where anything takes one; without a link twice, and once where
    the node is known to be down. A quarantined one is asked by a new connection alone: a link of before says nothing of
    the key that the host shows now. Raises what `sample` and `presence.fault` say.
    """
    where, down = question.target, question.before == Observed.DOWN
    files = replica_files.to_look_at(question.files)
    ask = partial(sample, workspace, where, question.paths, files=files)
    linked = not question.quarantined and link_is_up(workspace, where)
    if linked:
        try:
            return ask(deadline=FIRST_SECONDS)
        except HostKeyChanged:
            raise
        except RemoteError:
            pass  # two failures of different kinds make a death
    if not where.local and (fault := presence.fault(where, FIRST_SECONDS if down else AGAIN_SECONDS)):
        raise fault
    try:
        seen = ask(deadline=AGAIN_SECONDS, fresh=True)
    except HostKeyChanged:
        raise
    except RemoteError:
        if linked or down or question.quarantined:
            raise
        seen = ask(deadline=AGAIN_SECONDS, fresh=True)
    if linked and down:  # what its login may do was settled when the link was made, and has been set right since
        renew_link(workspace, where, after=0)
    return seen


def _query_libvirt(question: Question, answer: Answer, workspace: Workspace) -> None:
    started = time.monotonic()
    try:
        with open_connection(question.uri, deadline=LIBVIRT_SECONDS, within=ROUND_SECONDS) as connection:
            _end_doomed(question, answer, connection)
            _start_again(question, answer, connection)
            answer.health = read_health(connection)
            answer.libvirt_seconds = time.monotonic() - started
            if question.want_facts or answer.observed != Observed.UP or _is_news(question, connection):
                answer.facts = read_facts(connection)
    except HypervisorError as error:
        answer.libvirt_silent = True
        answer.degrade(_why_silent(error, question.target, workspace))


def _end_doomed(question: Question, answer: Answer, connection: libvirt.virConnect) -> None:
    """Before all else: what was deleted or made again elsewhere while the node was away runs no longer."""
    if question.doomed:
        try:
            domains.end_all(connection, question.doomed)
        except HypervisorUnreachable:
            raise
        except HypervisorError as error:
            answer.degrade(message("nodes.double_runs", why=error.message))


def _start_again(question: Question, answer: Answer, connection: libvirt.virConnect) -> None:
    """On a host that was away: what our desktops stand on and was active before is started."""
    if question.before != Observed.UP:
        networks = starting.start_networks(connection, question.used_networks & set(question.networks))
        pools = starting.start_pools(connection, question.used_pools & set(question.pools))
        answer.started = tuple(sorted([*networks, *pools]))


def _measure_new_pools(question: Question, answer: Answer, workspace: Workspace) -> None:
    """Have the room of pools that turn out to be active with the same look at the node."""
    pools = answer.facts.pools if answer.facts else ()
    new = [pool.path for pool in pools if pool.active and pool.path not in question.paths]
    if new and answer.sample:
        with suppress(RemoteError):  # unknown room counts as none
            answer.sample.disks.update(free_space(workspace, question.target, new, deadline=AGAIN_SECONDS))


def _is_news(question: Question, connection: libvirt.virConnect) -> bool:
    """Whether a network or a pool was started or stopped since the facts were read."""
    return (read_networks(connection), read_active_pools(connection)) != (question.networks, question.pools)


def _why_silent(error: HypervisorError, target: Target, workspace: Workspace) -> Message:
    """Why libvirt did not answer, as seen on the host. Where only the link is to blame, it is made anew in time: its
    sshd may have been set right since.
    """
    silent = message("nodes.libvirt_silent", why=error.message)
    if target.local or not isinstance(error, HypervisorUnreachable) or error.hangs:
        return silent
    try:
        daemon = look(workspace, target)
    except RemoteError:
        return silent
    if daemon.answers:
        renew_link(workspace, target)
        return message("nodes.no_forwarding", user=target.user)
    if daemon.listening:
        return message("nodes.libvirt_silent", why=daemon.said or error.message)
    return message("nodes.libvirt_modular") if daemon.modular else message("nodes.libvirt_stopped")
