"""May a clone start on the node it is on: the rule, and what is named first where much is in the way."""

from dataclasses import replace

import pytest

from ravada_web.needs import Need
from ravada_web.placement.starting import Start, charge, obstacle, unserved
from ravada_web.placement.types import NodeState

WELL = NodeState(
    id=1,
    name="n1",
    service_state="enabled",
    observed="up",
    reason={},
    trust="pinned",
    allowed=True,
    replica="ready",
    memory_total_mib=4096,
    memory_free_mib=1024,
    memory_reserve_mib=512,
    disk_free_mib=300,
    disk_reserve_mib=256,
    cpu_load=0.1,
    clones=3,
    running=1,
    clone_limit=None,
    vcpus_free=2,
)
CLONE = Start(node_id=1, memory_mib=512, vcpus=2)
PAUSED = replace(CLONE, paused=True)
# All that can be in the way at once, the hardest to remove first.
WORST = {
    "trust": ("changed", "quarantined"),
    "observed": ("down", "not_up"),
    "service_state": ("draining", "not_enabled"),
    "disk_free_mib": (256, "disk"),
    "memory_free_mib": (1023, "memory"),
    "vcpus_free": (1, "processors"),
}


def code(node: NodeState, start: Start) -> str:
    reason = obstacle(node, start)
    return reason.code if reason else ""


@pytest.mark.parametrize(
    ("values", "starts", "resumes"),
    [
        ({}, "", ""),
        ({"trust": "changed"}, "quarantined", "quarantined"),
        ({"observed": "down"}, "not_up", "not_up"),
        ({"observed": "degraded"}, "not_up", "not_up"),
        ({"observed": "unknown"}, "not_up", "not_up"),
        # What is paused holds its memory and processors still, and goes on where nothing new may start; but it may
        # write to its disk.
        ({"service_state": "disabled"}, "not_enabled", ""),
        ({"service_state": "draining"}, "not_enabled", ""),
        ({"disk_free_mib": 256}, "disk", "disk"),
        ({"disk_free_mib": 257}, "", ""),
        ({"disk_free_mib": None}, "disk_unknown", "disk_unknown"),
        ({"memory_free_mib": 1023}, "memory", ""),
        ({"memory_free_mib": None}, "memory_unknown", ""),
        ({"vcpus_free": 1}, "processors", ""),
        ({"vcpus_free": 0}, "processors", ""),
        ({"vcpus_free": None}, "", ""),
        # It stands there already: what only new clones are held against is no obstacle.
        ({"allowed": False, "replica": None, "clone_limit": 3, "runs_clones": False}, "", ""),
    ],
)
def test_the_rule(values: dict[str, object], starts: str, resumes: str) -> None:
    node = replace(WELL, **values)
    assert (code(node, CLONE), code(node, PAUSED)) == (starts, resumes)


def test_the_hardest_to_remove_is_named_first() -> None:
    left, named = {name: value for name, (value, _code) in WORST.items()}, []
    for name in WORST:
        named.append(code(replace(WELL, **left), CLONE))
        del left[name]
    assert named == [expected for _value, expected in WORST.values()]


def test_the_copy_of_its_own_base_counts_whatever_the_node_has_of_others() -> None:
    node = replace(WELL, replica=None)
    assert code(node, CLONE) == ""
    assert code(node, replace(CLONE, replica="copying")) == "replica_not_ready"
    # What is paused has its files open.
    assert code(node, replace(PAUSED, replica="failed")) == ""


def test_what_starts_is_counted_for_the_next_and_what_resumes_is_not() -> None:
    after = charge(WELL, CLONE)
    assert (after.memory_free_mib, after.vcpus_free, after.running) == (512, 0, 2)
    assert code(after, CLONE) == "memory" and code(replace(after, memory_free_mib=1024), CLONE) == "processors"
    assert charge(WELL, PAUSED) == WELL


def test_only_a_trusted_node_that_answers_is_sent_any_work() -> None:
    assert unserved(replace(WELL, service_state="disabled", disk_free_mib=0, memory_free_mib=0)) is None
    assert unserved(replace(WELL, observed="degraded")) and unserved(replace(WELL, trust="changed"))


def test_a_clone_does_not_start_where_what_its_base_needs_is_gone_and_resumes_there() -> None:
    bridge = Need("bridge", "br-lan")
    node = replace(WELL, offers={"bridge": ["virbr0"]})
    assert code(node, replace(CLONE, needs=(bridge,))) == "lacks"
    assert code(replace(WELL, offers={"bridge": ["br-lan"]}), replace(CLONE, needs=(bridge,))) == ""
    assert code(node, replace(PAUSED, needs=(bridge,))) == ""
