"""Node checks: probe a batch of nodes in parallel, and record what was seen. No node delays another: each is probed in
a thread of its own, a few at a time; one that takes its time lets the next begin, what has answered is written at once,
and nodes that have not answered by the deadline are given up for this round. A thread that hangs in libvirt dies with
the job's process.
"""

import queue
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import message
from ravada_web.models import Node, Observed
from ravada_web.remote.target import Workspace
from ravada_web.services.bases import replica_files
from ravada_web.services.monitoring import rounds
from ravada_web.services.monitoring.answers import Answer, Question
from ravada_web.services.monitoring.examination import ROUND_SECONDS, probe_node
from ravada_web.services.monitoring.questions import questions_of
from ravada_web.services.monitoring.recording import record
from ravada_web.services.nodes import endpoints

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
    questions, unasked = questions_of(_nodes(numbers), numbers, replica_files.expected_on(node_ids), with_facts)
    db.session.rollback()
    if unasked:
        record(unasked)
    for answers in Round(questions, endpoints.workspace()).waves():
        record(answers)


def _nodes(node_ids: Collection[int]) -> Sequence[Node]:
    return db.session.scalars(select(Node).where(Node.id.in_(node_ids))).all()


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
