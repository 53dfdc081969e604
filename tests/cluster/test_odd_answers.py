"""Odd rows and odd answers, on the lab: greetings, other shells, odd folders and addresses; none stops the others."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import update

from ravada_web.errors import InvalidInput
from ravada_web.extensions import db
from ravada_web.models import CloneState, Event, Node, Observed
from ravada_web.remote.commands import run
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.nodes import endpoints, settings
from ravada_web.services.transaction import transaction
from tests.cluster.test_faults import age
from tests.lab import LabNode
from tests.support.cluster import Cluster
from tests.support.servers import wait_until

OTHERS = ("rvt1", "rvt3")


def change(name: str, **values: object) -> None:
    with transaction() as session:
        session.execute(update(Node).where(Node.name == name).values(**values))


def is_up(cluster: Cluster, name: str) -> bool:
    return cluster.node(name).observed == Observed.UP


def checked_anew(cluster: Cluster, name: str) -> None:
    """Have its facts read by the next check, and wait until it is up."""
    change(name, facts_at=None, observed=Observed.UNKNOWN)
    wait_until(lambda: is_up(cluster, name) and cluster.node(name).facts_at, 20, f"{name} is up, its facts are read")


@contextmanager
def login_shell(node: LabNode, path: str) -> Iterator[None]:
    """Root's login shell on that node."""
    passwd = node.folder / "etc/passwd"
    kept = passwd.read_text()
    try:
        passwd.write_text(re.sub(r"^(root:.*:)[^:]*$", rf"\g<1>{path}", kept, flags=re.MULTILINE))
        yield
    finally:
        passwd.write_text(kept)


GREETING = 'echo "Welcome to kvm7"; echo "load 99 99 99" >&2; echo load -inf\n'
OWN = f'#!/bin/sh\n{GREETING}shift; eval "$1"\n'


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/tcsh", "/usr/bin/fish", "/root/shell"])
def test_a_greeting_and_any_login_shell_are_no_trouble(cluster: Cluster, shell: str) -> None:
    node = cluster.lab.nodes[1]
    if node.run(["test", "-e", shell], check=False).returncode and shell != "/root/shell":
        pytest.skip(f"not installed: {shell}")
    startup = [node.folder / "root" / name for name in (".bashrc", ".tcshrc", ".profile", ".ssh/rc")]
    own = node.folder / "root/shell"
    kept = [file.read_bytes() if file.exists() else None for file in startup]
    with login_shell(node, shell):
        try:
            for file in startup:
                file.write_text("echo Welcome to kvm7\n")
            own.write_text(OWN)
            own.chmod(0o755)
            where = endpoints.target(cluster.node("rvt2"))
            db.session.rollback()
            assert run(endpoints.workspace(), where, ["printf", "%s", "a!b'c\n"], deadline=10, fresh=True) == b"a!b'c\n"
            checked_anew(cluster, "rvt2")
            clones = [clone for clone in cluster.create("greet", 3) if clone.node.name == "rvt2"]
            assert len(clones) == 1
            clone_actions.start(cluster.admin, [clones[0].id])
            wait_until(
                lambda: {c.id: c.state for c in cluster.clones("greet")}[clones[0].id] == CloneState.RUNNING,
                60,
                "it runs",
            )
            assert is_up(cluster, "rvt2")
        finally:
            for file, content in zip(startup, kept, strict=True):
                file.unlink() if content is None else file.write_bytes(content)
            own.unlink()


@pytest.mark.parametrize("folder", ["iso\u00a0files", "line\u2028two", "a\u0085b", 'it\'s "$(id)" 100%', "tab\there"])
def test_a_pool_in_an_odd_folder_is_a_pool_and_its_end_is_seen(cluster: Cluster, folder: str) -> None:
    node, path = cluster.lab.nodes[1], f"/var/lib/libvirt/images/{folder}"
    node.run(["mkdir", path])
    node.virsh("pool-define-as", "odd", "dir", "--target", path)
    node.virsh("pool-start", "odd")

    def pool() -> object:
        return next((pool for pool in cluster.node("rvt2").pools if pool.name == "odd"), None)

    try:
        checked_anew(cluster, "rvt2")
        wait_until(lambda: getattr(pool(), "free_mib", None), 20, "its room is known")
        assert getattr(pool(), "path", "") == path and is_up(cluster, "rvt2")
    finally:
        node.virsh("pool-destroy", "odd")
        node.virsh("pool-undefine", "odd")
        node.run(["rmdir", path])
    wait_until(lambda: pool() is None, 30, "its end is seen")
    checked_anew(cluster, "rvt2")


def edited(cluster: Cluster, name: str, **values: object) -> None:
    """Save the node's settings, as its page does."""
    node = cluster.node(name)
    kept = {key: getattr(node, key) for key in settings.NodeSettings.__dataclass_fields__}
    settings.edit(cluster.admin, node, replace(settings.NodeSettings(**kept), **values))  # type: ignore[arg-type]


def link_local(node: LabNode) -> str:
    shown = node.run(["ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"]).stdout
    found = re.search(r"inet6 (fe80::[0-9a-f:]+)/", shown)
    assert found, shown
    return found[1]


def test_a_node_is_used_by_its_link_local_address(cluster: Cluster) -> None:
    kept = cluster.node("rvt2").address
    address = link_local(cluster.lab.nodes[1])
    with pytest.raises(InvalidInput, match="needs the interface of this host"):
        edited(cluster, "rvt2", address=address)
    edited(cluster, "rvt2", address=f"{address}%{cluster.lab.bridge}")
    try:
        change("rvt2", observed=Observed.UNKNOWN)
        wait_until(lambda: is_up(cluster, "rvt2"), 20, "it is up by that address")
        clones = cluster.create("local", 3)
        assert cluster.spread("local") == {"rvt1": 1, "rvt2": 1, "rvt3": 1}
        clone_actions.start(cluster.admin, [clone.id for clone in clones])
        wait_until(lambda: all(c.state == CloneState.RUNNING for c in cluster.clones("local")), 60, "all run")
    finally:
        edited(cluster, "rvt2", address=kept)
    change("rvt2", observed=Observed.UNKNOWN)
    wait_until(lambda: is_up(cluster, "rvt2"), 40, "it is up by its first address")


@pytest.mark.parametrize(
    "odd",
    [{"address": "-oProxyCommand=id"}, {"address": "fd00::1%eth0"}, {"user": "a;b"}, {"host_key": "ssh-ed25519 AAA"},
     {"port": 99999}],
)  # fmt: skip
def test_a_row_that_ssh_cannot_be_given_is_that_nodes_state_alone(cluster: Cluster, odd: dict[str, object]) -> None:
    kept = {name: getattr(cluster.node("rvt2"), name) for name in odd}
    before = cluster.node("rvt2").id
    change("rvt2", **odd)
    try:
        wait_until(lambda: cluster.node("rvt2").observed == Observed.DOWN, 15, "it is down")
        assert cluster.node("rvt2").reason.kind.startswith("remote.invalid_")
        told = db.session.query(Event).filter_by(action="observed", object_id=before).order_by(Event.id.desc()).first()
        assert told is not None and "rvt2" in str(told.text)
        assert all(is_up(cluster, name) and age(cluster, name) < 8 for name in OTHERS)
        cluster.create("row", 4)
        assert cluster.spread("row") == {"rvt1": 2, "rvt2": 0, "rvt3": 2}
    finally:
        change("rvt2", **kept)
    wait_until(lambda: is_up(cluster, "rvt2"), 30, "it is up again")
