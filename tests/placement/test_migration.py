"""Migration groups and who may move where, on what Debian 12 and 13, Ubuntu and RHEL offer."""

from dataclasses import replace

import pytest

from ravada_web.messages.placement import reason_message
from ravada_web.needs import Need
from ravada_web.placement.migration import Group, best_processor, groups_of
from ravada_web.placement.moving import CloneTraits, MoveVerdict, Way, move_verdict
from ravada_web.placement.types import Reason
from ravada_web.platforms import OF_HOST, Host, Platform, is_versioned, machine_age
from tests.placement.test_starting import WELL


def host(machines: str, processors: str, virt_type: str = "qemu") -> Host:
    return Host("x86_64", virt_type, frozenset(machines.split()), frozenset(processors.split()))


OLD = host("pc q35 pc-i440fx-2.1 pc-i440fx-7.2 pc-q35-2.4 pc-q35-6.2 pc-q35-7.2", "486 qemu64 Penryn Nehalem Westmere")
NEW = host(
    "pc q35 pc-i440fx-7.2 pc-i440fx-10.0 pc-q35-6.2 pc-q35-7.2 pc-q35-8.0 pc-q35-9.2 pc-q35-10.0 microvm",
    "486 qemu64 Penryn Nehalem Westmere Haswell-noTSX Haswell Skylake-Client-noTSX-IBRS max",
)
UBUNTU = host("pc q35 ubuntu pc-q35-7.2 pc-q35-8.2 pc-q35-noble", "qemu64 Nehalem Westmere")
RHEL = host("pc q35 pc-q35-rhel8.6.0 pc-q35-rhel9.2.0 pc-q35-rhel9.10.0", "qemu64 Nehalem Westmere Haswell")
KVM = replace(NEW, virt_type="kvm")


@pytest.mark.parametrize(
    ("wish", "hosts", "expected"),
    [
        # One node alone has its newest; as soon as an older one is there, all have what both have.
        ("q35", [NEW], [("pc-q35-10.0", "Skylake-Client-noTSX-IBRS", (1,))]),
        ("q35", [OLD], [("pc-q35-7.2", "Westmere", (1,))]),
        ("q35", [NEW, OLD], [("pc-q35-7.2", "Westmere", (1, 2))]),
        ("q35", [OLD, NEW, NEW, UBUNTU], [("pc-q35-7.2", "Westmere", (1, 2, 3, 4))]),
        ("pc", [NEW, OLD], [("pc-i440fx-7.2", "Westmere", (1, 2))]),
        ("", [NEW, OLD], [("pc-i440fx-7.2", "Westmere", (1, 2))]),
        # A base's own machine type stays wherever all have it; what no longer fits all is replaced by one before it.
        ("pc-q35-6.2", [NEW, OLD], [("pc-q35-6.2", "Westmere", (1, 2))]),
        ("pc-q35-10.0", [NEW, OLD], [("pc-q35-7.2", "Westmere", (1, 2))]),
        ("pc-q35-9.0", [NEW], [("pc-q35-8.0", "Skylake-Client-noTSX-IBRS", (1,))]),
        ("pc-q35-2.4", [NEW, OLD], [("pc-q35-7.2", "Westmere", (1, 2))]),
        # What numbers itself, by numbers and not by letters; RHEL's and Debian's have no machine type in common.
        ("q35", [RHEL], [("pc-q35-rhel9.10.0", "Haswell", (1,))]),
        ("q35", [UBUNTU], [("pc-q35-8.2", "Westmere", (1,))]),
        ("q35", [RHEL, OLD, NEW], [("pc-q35-7.2", "Westmere", (2, 3)), ("pc-q35-rhel9.10.0", "Haswell", (1,))]),
        # Nothing goes on running where it is emulated, or the other way round.
        (
            "q35",
            [NEW, KVM],
            [("pc-q35-10.0", "Skylake-Client-noTSX-IBRS", (1,)), ("pc-q35-10.0", "Skylake-Client-noTSX-IBRS", (2,))],
        ),
    ],
)
def test_a_group_has_the_newest_that_all_its_nodes_have(
    wish: str, hosts: list[Host], expected: list[tuple[str, str, tuple[int, ...]]]
) -> None:
    groups = groups_of(dict(enumerate(hosts, start=1)), Platform(wish))
    assert groups == [Group(nodes, Platform(machine, processor)) for machine, processor, nodes in expected]


def test_a_processor_that_was_chosen_stays_and_splits_no_group() -> None:
    for processor in ("Haswell", OF_HOST):
        (group,) = groups_of({1: KVM, 2: replace(OLD, virt_type="kvm")}, Platform("q35", processor))
        assert group == Group((1, 2), Platform("pc-q35-7.2", processor))


def test_emulation_has_no_processor_of_the_host_to_give() -> None:
    (group,) = groups_of({1: NEW, 2: OLD}, Platform("q35", OF_HOST))
    assert group == Group((1, 2), Platform("pc-q35-7.2", "Westmere"))


def test_nodes_without_a_processor_in_common_are_in_groups_of_their_own() -> None:
    intel, amd = replace(KVM, processors=frozenset({"Westmere"})), replace(KVM, processors=frozenset({"EPYC"}))
    groups = groups_of({1: intel, 2: amd, 3: amd}, Platform("q35"))
    assert [(group.node_ids, group.platform.processor) for group in groups] == [((2, 3), "EPYC"), ((1,), "Westmere")]
    assert groups_of({}, Platform("q35")) == []


def test_a_node_that_offers_nothing_of_the_kind_is_alone_with_what_the_template_says() -> None:
    groups = groups_of({1: OLD, 2: replace(OLD, machines=frozenset({"q35", "none"}))}, Platform("q35"))
    assert [(group.node_ids, group.platform) for group in groups] == [
        ((1,), Platform("pc-q35-7.2", "Westmere")),
        ((2,), Platform()),
    ]


def test_no_model_of_before_64_bits_and_no_uncertain_one_is_chosen() -> None:
    assert best_processor(["486", "max", "host", "athlon", "qemu32", "nonsense"]) == ""
    assert best_processor(["Haswell", "Haswell-noTSX", "qemu64"]) == "Haswell-noTSX"


def test_machine_types_are_ordered_by_their_numbers() -> None:
    ordered = ["pc-q35-rhel9.2.0", "pc-q35-rhel9.10.0", "pc-q35-2.12", "pc-q35-9.2", "pc-q35-10.0", "pc-q35-10.0.1"]
    mixed = [*ordered[3:], *ordered[:3]]
    assert sorted(mixed, key=machine_age) == ordered
    assert not any(map(is_versioned, ("q35", "pc", "microvm", "virt", "", "isapc")))
    assert all(map(is_versioned, (*ordered, "pc-i440fx-7.2", "virt-8.0", "s390-ccw-virtio-9.0")))


HERE = replace(WELL, id=2, name="n2", memory_free_mib=4096, vcpus_free=None, disk_free_mib=9999)
RUNS = CloneTraits(1, True, 512, 64, virt_type="qemu", platform=Platform("pc-q35-7.2", "Westmere"))
NEWER = replace(RUNS, platform=Platform("pc-q35-10.0", "Westmere"))
FASTER = replace(RUNS, platform=Platform("pc-q35-7.2", "Haswell"))


@pytest.mark.parametrize(
    ("clone", "to", "way", "code"),
    [
        (RUNS, OLD, Way.LIVE, ""),
        (RUNS, NEW, Way.LIVE, ""),
        (NEWER, NEW, Way.LIVE, ""),
        (NEWER, OLD, Way.COLD, "move_machine"),
        (FASTER, NEW, Way.LIVE, ""),
        (FASTER, OLD, Way.COLD, "move_processor"),
        (RUNS, RHEL, Way.COLD, "move_machine"),
        (RUNS, KVM, Way.COLD, "move_virtualization"),
        (replace(RUNS, virt_type="kvm"), KVM, Way.LIVE, ""),
        (replace(RUNS, arch="aarch64"), NEW, Way.COLD, "move_virtualization"),
        (RUNS, None, Way.COLD, "move_host_unknown"),
        # Made before this was kept, or with a name that means something else on each host.
        (replace(RUNS, virt_type="", platform=Platform()), NEW, Way.COLD, "move_clone_unknown"),
        (replace(RUNS, platform=Platform("q35", "Westmere")), NEW, Way.COLD, "move_clone_unknown"),
        (replace(RUNS, platform=Platform("pc-q35-7.2", OF_HOST)), NEW, Way.COLD, "move_processor_of_host"),
        # Emulation's default is the machine type's; KVM's is not known.
        (replace(RUNS, platform=Platform("pc-q35-7.2")), NEW, Way.LIVE, ""),
        (replace(RUNS, virt_type="kvm", platform=Platform("pc-q35-7.2")), KVM, Way.COLD, "move_processor_unknown"),
        # One that is off moves cold; what it could not do running is said all the same.
        (replace(RUNS, running=False), NEW, Way.COLD, ""),
        (replace(NEWER, running=False), OLD, Way.COLD, "move_machine"),
        (replace(RUNS, host_devices=("pci 0000:01:00.0",)), NEW, Way.NONE, "move_host_devices"),
        (replace(RUNS, node_id=2), NEW, Way.NONE, "move_same_node"),
    ],
)
def test_who_may_move_where_and_how(clone: CloneTraits, to: Host | None, way: Way, code: str) -> None:
    verdict = move_verdict(clone, HERE, to)
    assert (verdict.way, verdict.reason.code if verdict.reason else "") == (way, code)
    if verdict.reason:
        assert "placement." not in str(reason_message(verdict.reason))


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"service_state": "maintenance"}, "not_enabled"),
        ({"service_state": "given_up"}, "given_up"),
        ({"runs_clones": False}, "kept_free"),
        ({"trust": "changed"}, "quarantined"),
        ({"observed": "down"}, "not_up"),
        ({"allowed": False}, "not_allowed"),
        ({"replica": None}, "no_replica"),
        ({"replica": "verifying"}, "replica_not_ready"),
        ({"memory_free_mib": 1023}, "memory"),
        ({"vcpus_free": 0}, "processors"),
        ({"disk_free_mib": 300}, "disk"),
        ({"pool_active": False}, "pool_off"),
        ({"clone_limit": 3}, "clone_limit"),
        ({"offers": {"network": ["default"]}}, "lacks"),
    ],
)
def test_what_keeps_a_clone_from_a_node_altogether(values: dict[str, object], code: str) -> None:
    clone = replace(RUNS, needs=(Need("network", "lan"),) if "offers" in values else ())
    verdict = move_verdict(clone, replace(HERE, **values), OLD)
    assert verdict.way == Way.NONE and verdict.reason is not None and verdict.reason.code == code


def test_one_that_is_off_needs_no_memory_free_now() -> None:
    full = replace(HERE, memory_free_mib=0, vcpus_free=0)
    assert move_verdict(replace(RUNS, running=False), full, NEW) == MoveVerdict(Way.COLD)
    assert move_verdict(RUNS, full, NEW).way == Way.NONE


def test_the_reason_names_what_the_clone_has_and_what_is_there() -> None:
    reason = move_verdict(NEWER, HERE, OLD).reason
    assert reason == Reason("move_machine", {"machine": "pc-q35-10.0", "newest": "pc-q35-7.2"})
    said = str(reason_message(reason))
    assert said == "takes it only while it is off: it has the machine type pc-q35-10.0, the newest here is pc-q35-7.2"
