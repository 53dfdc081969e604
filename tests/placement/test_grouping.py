"""A decision as it is kept: nothing is lost where nodes are few, and it stays small where they are many."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ravada_web.messages import message
from ravada_web.messages.placement import stored_reason
from ravada_web.needs import Need
from ravada_web.placement.grouping import EXACT, from_ranges, grouped, spread, to_ranges
from ravada_web.placement.select import place
from ravada_web.placement.types import Demand, NodeState
from tests.placement.test_select import GOOD

ONE = Demand(count=1, memory_mib=1024, disk_mib=16, start=True, vcpus=2, needs=(Need("bridge", "br-lan"),))
MANY = 1000
# The most that a decision may take in the database, whatever its nodes are like: it was 180 KB.
MOST_BYTES = 6000


def node(number: int, **values: object) -> NodeState:
    """A node unlike all others: its own memory, disk, load and clones."""
    own = {
        "memory_free_mib": 4096 + 7 * number,
        "memory_total_mib": 64_000,
        "disk_free_mib": 90_000 + 13 * number,
        "cpu_load": number % 97 / 100,
        "clones": number % 5,
        "offers": {"bridge": ("br-lan",)},
    }
    return replace(GOOD, id=number, name=f"host{number * 37 % 9973}.example.org", **{**own, **values})  # type: ignore[arg-type]


def cluster(**values: object) -> list[NodeState]:
    return [node(number, **values) for number in range(1, MANY + 1)]


# A reason against each of a thousand nodes, with figures of each one's own, and what is said of them together.
OWN = {
    "memory": (lambda n: {"memory_free_mib": 512 + n}, "needs 1 GiB of memory for each clone, and has less free"),
    "disk": (
        lambda n: {"disk_free_mib": 10, "disk_reserve_mib": n},
        "needs 16 MiB of disk for each clone, and has less",
    ),
    "processors": (lambda n: {"vcpus_free": -n}, "its overcommit leaves fewer"),
    "clone_limit": (lambda n: {"clones": n, "clone_limit": n}, "has as many clones as its limit allows"),
    "lacks": (lambda n: {"offers": {"bridge": (), "tpm": (f"{n}",)}}, "needs the bridge br-lan for this base"),
    "not_up": (
        lambda n: {"observed": "down", "reason": message("remote.link_down", name=f"n{n}").to_json()},
        "is down",
    ),
}


@pytest.mark.parametrize("code", OWN)
def test_each_of_a_thousand_nodes_keeps_its_reason_in_little(code: str) -> None:
    values, said = OWN[code]
    nodes = [node(number, **values(number)) for number in range(1, MANY)] + [node(MANY)]
    kept = json.dumps(grouped(place(nodes, ONE)))
    assert len(kept) < MOST_BYTES
    verdicts = spread(json.loads(kept), {each.id: each.name for each in nodes})["verdicts"]
    assert [(row["node_id"], row["node_name"]) for row in verdicts] == [(each.id, each.name) for each in nodes]
    assert {row["reason"]["code"] for row in verdicts[:-1]} == {code}
    assert [row["taken"] for row in verdicts] == [0] * (MANY - 1) + [1]
    texts = [str(stored_reason(row["reason"])) for row in verdicts[:-1]]
    assert sum(said in text for text in texts) >= MANY - 1 - EXACT, texts[-1]
    assert not any("%" in text for text in texts)


def test_the_nodes_that_were_passed_over_are_few_groups_the_best_exactly() -> None:
    decision = place(cluster(), ONE)
    kept = grouped(decision)
    assert len(json.dumps(kept)) < MOST_BYTES
    rows = spread(kept, {})["verdicts"]
    real = {verdict.node_id: verdict for verdict in decision.verdicts}
    for row in rows:
        score = real[row["node_id"]].score
        low, high = row["score"], row["score"] if row["best"] is None else row["best"]
        assert low - 0.001 <= score <= high + 0.001  # type: ignore[operator]
    (taken,) = (row for row in rows if row["taken"])
    assert taken["weights"].keys() == {"clones", "memory", "disk", "cpu"} and taken["best"] is None
    exact = {row["node_id"] for row in rows if row["best"] is None} - {taken["node_id"]}
    ranked = sorted(real.values(), key=lambda verdict: -(verdict.score or 0))
    assert exact >= {verdict.node_id for verdict in ranked if verdict.node_id != taken["node_id"]} & set(
        [verdict.node_id for verdict in ranked][: EXACT - 1]
    )


def test_a_thousand_clones_on_a_thousand_nodes() -> None:
    kept = grouped(place(cluster(), replace(ONE, count=MANY, memory_mib=64)))
    assert len(json.dumps(kept)) < 2 * MOST_BYTES
    assert sum(row["taken"] for row in spread(kept, {})["verdicts"]) == MANY


@given(st.sets(st.integers(1, 3000)))
def test_numbers_as_ranges(ids: set[int]) -> None:
    assert from_ranges(to_ranges(ids)) == sorted(ids)


def test_ranges_are_short() -> None:
    assert to_ranges([3, 1, 2, 9, 11, 12]) == "1-3,9,11-12"
    assert (to_ranges([]), from_ranges("")) == ("", [])
