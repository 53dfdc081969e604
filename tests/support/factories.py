"""Rows for tests that need no host: nodes as a check would have left them, and a base that is ready on them."""

from collections.abc import Sequence
from datetime import timedelta

from ravada_web.hypervisor.domain_xml import new_template
from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.models import (
    AllowedNode,
    Base,
    BaseDisk,
    BaseState,
    BaseVersion,
    Node,
    Observed,
    Pool,
    Replica,
    ReplicaState,
    now,
)
from ravada_web.services.transaction import transaction

POOL = "/var/lib/libvirt/images"
FACTS = NodeFacts(
    host_uuid="uuid-1",
    hostname="n1",
    libvirt_version="9.0.0",
    qemu_version="7.2.0",
    cpus=4,
    memory_mib=16_000,
    arch="x86_64",
    virt_type="kvm",
    emulator="/usr/bin/qemu-system-x86_64",
    machines=("pc-q35-7.2",),
    firmwares=("efi",),
    networks=("default",),
    pools=(),
)


def make_nodes(count: int = 3, *, memory_mib: int = 16384, disk_mib: int = 100_000) -> list[int]:
    """Nodes n1, n2, …, the first the master, all up and idle; returns their ids."""
    moment = now()
    with transaction() as session:
        nodes = [
            Node(
                name=f"n{number}",
                address=f"192.0.2.{number}",
                host_key="ssh-ed25519 AAAA",
                is_master=number == 1,
                observed=Observed.UP,
                last_seen_at=moment,
                checked_at=moment,
                figures_at=moment,
                cpus=8,
                cpu_load=0.1,
                memory_total_mib=memory_mib,
                memory_free_mib=memory_mib,
                memory_reserve_mib=0,
                pools=[Pool(name="default", path=POOL, total_mib=disk_mib, free_mib=disk_mib, sampled_at=moment)],
            )
            for number in range(1, count + 1)
        ]
        session.add_all(nodes)
        session.flush()
        return [node.id for node in nodes]


def make_base(node_ids: Sequence[int], *, name: str = "linux", memory_mib: int = 512, nics: int = 1) -> int:
    """A prepared base, ticked and ready on these nodes (the first made it); returns its id."""
    with transaction() as session:
        disk = BaseDisk(
            target="vda",
            file_name="ravada-base-1-v1-vda.qcow2",
            size=1 << 24,
            virtual_size=1 << 26,
            sha256="0" * 64,
            block_size=1 << 22,
            blocks=["0" * 64] * 4,
        )
        replicas = [
            Replica(node_id=node_id, state=ReplicaState.READY, progress=100, directory=POOL) for node_id in node_ids
        ]
        base = Base(
            name=name,
            state=BaseState.READY,
            template_xml=new_template(name, memory_mib, 1, ["vda"]),
            memory_mib=memory_mib,
            vcpus=1,
            nics=nics,
            node_id=node_ids[0],
            source_disks=[],
            allowed=[AllowedNode(node_id=node_id) for node_id in node_ids],
            versions=[BaseVersion(number=1, prepared_at=now() - timedelta(hours=1), disks=[disk], replicas=replicas)],
        )
        session.add(base)
        session.flush()
        return base.id
