"""Guests that cost next to nothing, and show all the same that they were not started anew: from their disk they run a
loop that waits for interrupts, so the firmware counts time and keeps what is typed, in memory that can be read."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import libvirt
import libvirt_qemu
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Base
from tests.lab import LabNode
from tests.support.cluster import IMAGES, Cluster, make_base
from tests.support.servers import wait_until

BASE = "ticking"
# xor ax,ax; mov ds,ax; mov word [0x600],0x524d; loop: sti; hlt; jmp loop
LOOP = bytes.fromhex("31c08ed8c70600064d52fbf4ebfc")
SECTOR = LOOP.ljust(510, b"\0") + b"\x55\xaa"
# Where the loop says that it runs, where the firmware counts time, and where it keeps how much of what is typed.
RUNS_AT, RUNS = 0x600, 0x524D
CLOCK_AT, KEYS_AT, MOST_KEYS = 0x46C, 0x41E, 12
# Linux's codes of the keys q to p and a to l.
KEYS = (*range(16, 26), *range(30, 39))
DEVICE = "/machine/peripheral/virtio-disk0/virtio-backend"


def make_ticking(cluster: Cluster) -> None:
    """The base of such guests, ready on all nodes, unless it is there."""
    if db.session.scalar(select(Base.id).where(Base.name == BASE)) is not None:
        return
    master, disk, sector = cluster.lab.master, f"{IMAGES}/{BASE}.qcow2", f"{IMAGES}/{BASE}.sector"
    (master.folder / sector.lstrip("/")).write_bytes(SECTOR)
    master.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"])
    master.run(["qemu-io", "-c", f"write -s {sector} 0 512", disk])
    master.run(["rm", sector])
    make_base(cluster, BASE, [disk])


@contextmanager
def domain_on(node: LabNode, name: str) -> Iterator[libvirt.virDomain]:
    """A node's domain, by its libvirt directly. Raises libvirtError."""
    connection = libvirt.open(node.libvirt_uri)
    try:
        yield connection.lookupByName(name)
    finally:
        connection.close()


def _monitor(domain: libvirt.virDomain, command: str) -> str:
    return str(libvirt_qemu.qemuMonitorCommand(domain, command, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP))


def memory(node: LabNode, name: str, address: int, words: int) -> list[int]:
    """So many words of 16 bits of a running guest's memory."""
    with domain_on(node, name) as domain:
        lines = _monitor(domain, f"xp /{words}xh {address:#x}").splitlines()
    return [int(word, 16) for line in lines for word in line.partition(":")[2].split()]


def runs(node: LabNode, name: str) -> bool:
    """Whether its loop has been begun."""
    return memory(node, name, RUNS_AT, 1) == [RUNS]


def mark_memory(node: LabNode, name: str, rng: random.Random) -> list[int]:
    """Type at random into a guest that has just been started; returns what stands in its memory since then."""
    wait_until(lambda: runs(node, name), 60, "it runs its loop")
    with domain_on(node, name) as domain:
        for key in rng.choices(KEYS, k=MOST_KEYS):
            domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, 30, [key], 1)
    wait_until(lambda: all(memory(node, name, KEYS_AT, MOST_KEYS)), 60, "it has what was typed")
    return memory(node, name, KEYS_AT, MOST_KEYS)


def assert_ticks(node: LabNode, name: str) -> None:
    """Its guest goes on: the firmware's clock does."""
    seen = memory(node, name, CLOCK_AT, 2)
    wait_until(lambda: memory(node, name, CLOCK_AT, 2) != seen, 30, f"the clock of {name} goes on")


def mark_disk(node: LabNode, name: str, places: Sequence[tuple[int, int]]) -> None:
    """Write into a running guest's disk, by its QEMU, each (MiB, byte): so that MiB is full of that byte."""
    with domain_on(node, name) as domain:
        for at, byte in places:
            _monitor(domain, f'qemu-io -d {DEVICE} "write -P {byte} {at}M 1M"')
        _monitor(domain, f'qemu-io -d {DEVICE} "flush"')


def mark_file(node: LabNode, path: str, places: Sequence[tuple[int, int]]) -> None:
    """The same for a disk that nobody has open."""
    node.run(["qemu-io", *_commands("write", places), path])


def assert_marked(node: LabNode, path: str, places: Sequence[tuple[int, int]]) -> None:
    """The disk, in use or not, has all of it still."""
    said = node.run(["qemu-io", "-r", "-U", *_commands("read", places), path], check=False)
    assert said.returncode == 0 and "verification failed" not in said.stdout, said.stdout + said.stderr


def _commands(verb: str, places: Sequence[tuple[int, int]]) -> list[str]:
    return [word for at, byte in places for word in ("-c", f"{verb} -P {byte} {at}M 1M")]
