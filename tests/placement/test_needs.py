"""What a base needs of a node is a filter: a node that lacks it takes none, and the verdict says what."""

import json
from dataclasses import replace

from ravada_web.messages.placement import shortage, stored_reason
from ravada_web.needs import Need
from ravada_web.placement import grouping
from ravada_web.placement.select import place
from ravada_web.placement.types import Demand, NodeState
from tests.placement.test_select import GOOD

BRIDGE = Need("bridge", "br-lan")
DEMAND = Demand(count=4, memory_mib=128, disk_mib=64, start=False, needs=(BRIDGE,))


def with_bridges(number: int, *bridges: str) -> NodeState:
    return replace(GOOD, id=number, offers={"bridge": bridges})


def test_clones_go_only_where_the_bridge_is() -> None:
    decision = place([with_bridges(1, "br-lan"), with_bridges(2, "virbr0"), with_bridges(3)], DEMAND)
    assert decision.placed == (1, 1, 1, 1)
    assert [(verdict.taken, verdict.reason and verdict.reason.code) for verdict in decision.verdicts] == [
        (4, None), (0, "lacks"), (0, "lacks"),
    ]  # fmt: skip


def test_the_verdict_names_all_that_is_lacking_also_when_it_was_kept() -> None:
    demand = replace(DEMAND, needs=(BRIDGE, Need("tpm", "2.0")))
    decision = place([replace(GOOD, offers={"bridge": (), "tpm": ()})], demand)
    (verdict,) = grouping.spread(json.loads(json.dumps(grouping.grouped(decision))), {GOOD.id: GOOD.name})["verdicts"]
    assert str(stored_reason(verdict["reason"])) == "needs the bridge br-lan and an emulated TPM 2.0 for this base"
    assert "needs the bridge br-lan" in str(shortage(4, 0, decision.verdicts))


def test_what_was_never_looked_at_is_not_held_against_a_node() -> None:
    assert place([replace(GOOD, offers={})], DEMAND).complete
