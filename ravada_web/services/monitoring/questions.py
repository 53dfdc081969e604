"""What a check is to ask of nodes, by their rows: read at once, so that the threads that ask need no database."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from ravada_web.clock import is_recent
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.models import Node, Observed, Trust
from ravada_web.services.bases.replica_files import Expected
from ravada_web.services.clones import remains
from ravada_web.services.monitoring.answers import Answer, Question
from ravada_web.services.nodes import endpoints, offers
from ravada_web.services.storage import pools

# Pools, networks and firmware may be changed on a node while it is up.
FACTS_AGE = timedelta(minutes=1)


def questions_of(
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
            question = question_of(node, numbers[node.id], files.get(node.id, []), firmware, node.id in wanted)
            ended = frozenset(row.uuid for row in doomed.get(node.id, ()) if row.uuid)
            used_pools = pools_used(node, question.files)
            questions.append(replace(question, doomed=ended, used_networks=networks, used_pools=used_pools))
        if answer.reason:
            unasked.append(answer)
    return questions, unasked


def question_of(
    node: Node, number: int, files: Sequence[Expected], firmware: tuple[str, ...], want_facts: bool
) -> Question:
    """What to ask of one node, by its row alone. Raises InvalidTarget."""
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
