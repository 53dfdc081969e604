"""The product as `make run` starts it: on a host that is a node itself, root's part being the helper's alone."""

import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from ravada_web import ROOT, create_app, system_users
from ravada_web.cli.common import wait
from ravada_web.config import Settings
from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Node, Observed, OperationState, Remains
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.joining import inspection, verification
from ravada_web.services.moves import requests
from tests.lab import Lab, build_guest, missing_requirements
from tests.lab.files import make_files
from tests.support.cluster import GUEST, IMAGES, Cluster, allow, ended, join, make_base
from tests.support.processes import children_by_name, name_of, tree
from tests.support.servers import wait_until

# The first disk of a guest, as QEMU knows it.
DEVICE = "/machine/peripheral/virtio-disk0/virtio-backend"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A host with libvirt, and the product on it; another one beside it."""
    if reason := missing_requirements():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("l")
    guest, lab = build_guest(folder / "guest"), Lab(folder / "lab", "rvl", 2)
    settings = Settings(data=folder / "d", master="local", disk_reserve_mib=256)
    system_users.ensure(print)  # the host gets a copy of the files that they are in, and cannot add to it
    make_files(lab.master.folder, lab.master.name, {lab.master.name: lab.master.address})
    for home in ("root", "home"):  # the product's own Python may be there
        shutil.rmtree(lab.master.folder / home)
    process = None
    try:
        lab.up()
        lab.master.put(guest, GUEST)
        words = [
            "env",
            f"RAVADA_DATA={settings.data}",
            "RAVADA_MASTER=local",
            "USER=root",
            sys.executable,
            "-m",
            "flask",
            "up",
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(lab.master.entering(*words, at=ROOT), stdout=log, stderr=log)
        app = create_app(settings)
        with app.app_context():
            cluster = Cluster(lab, settings, app, process)
            wait_until(settings.web_socket.exists, 60, f"it is up; its log is {folder / 'log'}")
            yield cluster
            db.session.remove()
    finally:
        lab.down(purge=True)
        if process:
            process.wait(30)


def owners(parent: int) -> dict[str, int]:
    """The users of the processes, by name. One that has only just been forked has neither its own yet."""
    found = {}
    for name, pid in children_by_name(parent).items():
        with suppress(FileNotFoundError):
            found[name] = Path(f"/proc/{pid}").stat().st_uid
    return found


def test_root_is_the_parent_and_the_helper_alone(host: Cluster) -> None:
    users = {user: pwd.getpwnam(user).pw_uid for user in (system_users.WEB, system_users.WORK, system_users.REDIS)}
    parent = next(pid for pid in tree(host.process.pid) if name_of(pid) == "parent")
    workers = {f"worker {queue}" for queue in ("default", "bulk")}
    expected = {"helper": 0, "redis": users[system_users.REDIS], "web": users[system_users.WEB]}
    expected |= dict.fromkeys({"links", "ticker", *workers}, users[system_users.WORK])

    def are_settled() -> bool:
        seen = owners(parent)
        return expected.items() <= seen.items() and [name for name, uid in seen.items() if uid == 0] == ["helper"]

    wait_until(are_settled, 30, "each process has its name and its user, and only the helper is root")


@pytest.fixture(scope="module")
def base_id(host: Cluster) -> int:
    """A base on the host, which has passed its checks."""
    (master,) = [row.name for row in db.session.scalars(select(Node))]
    wait_until(lambda: host.node(master).observed == Observed.UP, 30, "the host is seen up")
    wait([inspection.request_inspection(host.admin, host.node(master)).id], 60)
    # Its disk is made, its display is looked at.
    wait([verification.request_verification(host.admin, host.node(master)).id], 120)
    return make_base(host, "linux", [GUEST])


def one_that_runs(host: Cluster, base_id: int, prefix: str, count: int) -> list[Clone]:
    wanted = clone_requests.Request(
        base_id=base_id, count=count, prefix=prefix, owner=host.admin.name, volatile=False, start_after=True
    )
    clone_requests.request_clones(host.admin, wanted)
    return host.wait_state(prefix, CloneState.RUNNING, 120)


def test_a_base_and_clones_are_made_run_shown_and_deleted(host: Cluster, base_id: int) -> None:
    rows = one_that_runs(host, base_id, "here", 2)
    assert {row.name for row in rows} <= host.domains(host.lab.master)
    clone_actions.delete(host.admin, [row.id for row in rows])
    wait_until(lambda: not host.clones("here"), 60, "they are deleted")
    assert not host.disks(host.lab.master, "here")


def test_a_running_desktop_leaves_the_host_and_comes_back(host: Cluster, base_id: int) -> None:
    own, other = host.lab.nodes
    (clone,) = one_that_runs(host, base_id, "roam", 1)
    write = f'qemu-io -d {DEVICE} "write -P 0x5a 9M 1M"'
    own.virsh("qemu-monitor-command", clone.name, "--hmp", write)
    join(host, other)
    allow(host, base_id)
    for here, there in ((own, other), (other, own)):
        asked = requests.request_move(host.admin, clone.id, host.node(there.name).id, live=True)
        done = ended(asked.id)
        assert (done.state, done.error.kind) == (OperationState.DONE, "")
        wait_until(lambda: db.session.rollback() or not db.session.scalar(select(Remains.id)), 60, "nothing is left")
        (clone,) = host.clones("roam")
        assert (clone.state, clone.node.name) == (CloneState.RUNNING, there.name)
        assert there.virsh("domstate", clone.name).strip() == "running" and clone.name not in host.domains(here)
        assert host.disks(there, "roam-") == [clone.disk_file("vda")] and not host.disks(here, "roam-")
        for node in (own, other):
            assert node.run(["sh", "-c", "ls -d /run/libvirt/ravada-move-* || :"]).stdout == "", node.name
    read = ["qemu-io", "-r", "-U", "-c", "read -P 0x5a 9M 1M", f"{IMAGES}/{clone.disk_file('vda')}"]
    assert "verification failed" not in own.run(read).stdout
