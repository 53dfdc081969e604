"""Rows for tests that need no host, one factory a table: nodes as a check would have left them, a base ready on them.

Each writes and commits; what a test does not name has a value that gets in nobody's way.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, update

from ravada_web.hypervisor.domain_xml import new_template
from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.identity.passwords import hash_password
from ravada_web.models import (
    AllowedNode,
    Base,
    BaseDisk,
    BaseOffer,
    BaseState,
    BaseVersion,
    Group,
    Node,
    Observed,
    Operation,
    Pool,
    Replica,
    ReplicaState,
    Role,
    User,
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
    offers={
        "arch": ["x86_64"],
        "machine": ["pc", "q35"],
        "firmware": ["efi"],
        "secure_boot": [],
        "tpm": [],
        "kvm": ["yes"],
        "network": ["default"],
    },
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
            versions=[BaseVersion(number=1, prepared_at=now() - timedelta(hours=1), files=[disk], replicas=replicas)],
        )
        session.add(base)
        session.flush()
        return base.id


def make_user(name: str, role: Role = Role.USER, **values: Any) -> User:
    """Somebody who has no password to sign in with, unless their `password_hash` is given."""
    with transaction() as session:
        user = User(name=name, role=role, **{"password_hash": "-"} | values)
        session.add(user)
        session.flush()
        return user


def make_group(name: str = "class", *users: User, **values: Any) -> Group:
    """A group of these users, without quotas of its own."""
    with transaction() as session:
        group = Group(name=name, users=list(users), **values)
        session.add(group)
        session.flush()
        return group


def make_offer(base_id: int, user: User) -> None:
    """Offer a base to somebody."""
    with transaction() as session:
        session.add(BaseOffer(base_id=base_id, user_id=user.id))


def make_operation(kind: str = "clones_start", **values: Any) -> Operation:
    """An operation that waits and is not queued."""
    with transaction() as session:
        operation = Operation(kind=kind, **{"title": "A test"} | values)
        session.add(operation)
        session.flush()
        return operation


def change(table: type, *which: ColumnElement[bool], **values: Any) -> None:
    """Change rows of a table, as a job or a check would have: all of them, or those that fulfil every condition."""
    with transaction() as session:
        session.execute(update(table).where(*which).values(**values))


def give_password(user: User, password: str) -> None:
    """Have the user sign in with this password from now on."""
    with transaction():
        user.password_hash = hash_password(password)
