"""Nodes in trouble, on the lab: what is seen of them, what is refused there, and that no other node suffers."""

import time

import pytest

from ravada_web.models import Observed
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.errors import NodeRefuses
from ravada_web.services.clones.obstacles import Obstacle
from ravada_web.services.monitoring import probe
from ravada_web.services.monitoring.health import GOOD_RUN, SLOW_RUN
from tests.cluster.test_faults import age, page_seconds
from tests.lab.processes import full_process_table
from tests.support.cluster import Cluster, seconds_until
from tests.support.servers import wait_until

# How soon a death is seen is a promise, and other labs beside this one keep the processors busy.
pytestmark = pytest.mark.clock


def checked(cluster: Cluster, name: str) -> Observed:
    """What one more check of the node sees; the product's own go on meanwhile."""
    probe.check([cluster.node(name).id])
    return cluster.node(name).observed


def test_a_long_hang_of_libvirt_is_degraded_and_over_after_ten_good_checks(cluster: Cluster) -> None:
    clone = next(clone for clone in cluster.create("ill", 3) if clone.node.name == "rvt2")
    cluster.lab.nodes[1].hang()
    try:
        while cluster.node("rvt2").slow_checks < SLOW_RUN:
            assert checked(cluster, "rvt2") == Observed.DEGRADED
        assert cluster.node("rvt2").reason.kind == "nodes.libvirt_silent"
        with pytest.raises(NodeRefuses) as refused:
            clone_actions.start(cluster.admin, [clone.id]).require_some()
        assert refused.value.obstacle == Obstacle.AWAY and clone.node.name in str(refused.value)
    finally:
        cluster.lab.nodes[1].resume()
    assert checked(cluster, "rvt2") == Observed.DEGRADED
    reason = cluster.node("rvt2").reason
    assert (reason.kind, reason.figures["needed"]) == ("nodes.recovering", GOOD_RUN)
    good = 1
    while checked(cluster, "rvt2") == Observed.DEGRADED:
        good += 1
        assert good < GOOD_RUN
    assert cluster.node("rvt2").observed == Observed.UP and not cluster.node("rvt2").reason
    assert good >= GOOD_RUN - 4, "but for the few that the product itself made meanwhile, all ten were waited for"


def test_a_full_process_table_is_one_nodes_trouble_alone(cluster: Cluster) -> None:
    with full_process_table(cluster.lab.nodes[1]):
        seconds_until(lambda: cluster.node("rvt2").observed == Observed.DOWN, 12, "it is down")
        assert "rvt2" in str(cluster.node("rvt2").reason)
        cluster.create("full", 4)
        assert cluster.spread("full") == {"rvt1": 2, "rvt2": 0, "rvt3": 2}
        end = time.monotonic() + 10
        while time.monotonic() < end:
            assert age(cluster, "rvt1") < 8 and age(cluster, "rvt3") < 8, "the others are checked as before"
            assert page_seconds(cluster) < 1
            time.sleep(0.2)
    wait_until(lambda: cluster.node("rvt2").observed == Observed.UP, 30, "it is up again")
