"""The demo: `python -m tests.lab.demo stay|up|down`. A lab of three nodes, the product, and its main job done on them.

Everything is done through the product's own services, as its pages do it; only the lab itself, and letting the
product's key into its nodes, is the demo's own. Each step is left out when it was done before.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from ravada_web import ROOT, create_app
from ravada_web.cli.common import administrator, show, wait
from ravada_web.config import Settings
from ravada_web.extensions import db
from ravada_web.models import Base, BaseState, CloneState, Node, Observed, ReplicaState, now
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.bases import listing as base_list
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.joining import host_keys, verification
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.people import users
from ravada_web.services.sign_in import passwords as sign_in_passwords
from tests.lab import Lab, LabNode, build_guest, missing_requirements
from tests.support.factories import give_password

FOLDER = ROOT / "var" / "demo"
DATA = FOLDER / "data"
BASE, GUEST_PATH = "demo-linux", "/var/lib/libvirt/images/guest.qcow2"
CLONES = {"alice": 6, "bob": 6}
STARTED = 3


def lab() -> Lab:
    """The demo's lab."""
    return Lab(FOLDER / "lab", name="demo", count=3)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    print(f"{what} ...", end=" ", flush=True)
    begun = time.monotonic()
    yield
    print(f"{time.monotonic() - begun:.1f} s", flush=True)


def up() -> None:
    """Bring all up, do the main job, and say what there is."""
    if reason := missing_requirements():
        sys.exit(f"The lab cannot run here: {reason}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with step("Building the guest image"):
        guest = build_guest(FOLDER / "guest")
    cluster = lab()
    with step("Starting a lab of three nodes"):
        cluster.up()
    facts = _facts()
    os.environ |= {"RAVADA_DATA": str(DATA), "RAVADA_MASTER": "ssh", "RAVADA_PORT": str(facts["port"])}
    with step("Starting the product"):
        _flask("setup")
        _start_product(facts)
    _main_job(cluster, guest, facts)


def _facts() -> dict[str, Any]:
    """The demo's port and passwords: drawn at the first time, kept (0600) for the next."""
    path = FOLDER / "facts.json"
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    names = ["admin", *CLONES]
    facts = {"port": _free_port(8000), "passwords": {name: secrets.token_urlsafe(9) for name in names}}
    path.touch(mode=0o600)
    path.write_text(json.dumps(facts))
    return facts


def _free_port(first: int) -> int:
    for port in range(first, first + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    sys.exit("no free port from 8000 to 8099")


def _flask(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "flask", *arguments], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def _start_product(facts: dict[str, Any]) -> None:
    """Start all processes in the background, unless they run, and wait until a page answers."""
    if _product() is None:
        with (FOLDER / "product.log").open("ab") as log:
            command = [sys.executable, "-m", "flask", "up"]
            subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    end = time.monotonic() + 60
    while not _answers(facts["port"]):
        if time.monotonic() > end:
            sys.exit(f"the product did not start; its log is {FOLDER / 'product.log'}")
        time.sleep(0.1)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _product() -> int | None:
    """The process that runs the product, if it does."""
    pid_file = Settings(data=DATA).run_dir / "parent.pid"
    try:
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if command.startswith(b"ravada: parent") else None


def _main_job(cluster: Lab, guest: Path, facts: dict[str, Any]) -> None:
    with create_app().app_context():
        with step("Making users"):
            _make_users(facts["passwords"])
        for node in cluster.nodes:
            with step(f"Adding node {node.name}"):
                _add_node(node)
        with step("Waiting until all nodes are seen up"):
            begun = now()
            _until(lambda: all(_up_since(row.node, begun) for row in node_list.listing(administrator())), 60)
        cluster.master.put(guest, GUEST_PATH)
        with step("Importing and preparing the base"):
            _make_base()
        with step("Bringing the base to all three nodes"):
            _allow_everywhere()
        with step("Creating 12 clones for two users"):
            _make_clones()
        with step("Starting three of them"):
            _start_some()
        _report(facts)


def _make_users(passwords: dict[str, str]) -> None:
    """Alice and Bob, and the first administrator with a password that the demo knows."""
    known = {user.name: user for user in users.listing(users.first_administrator())}
    for name in CLONES:
        if name not in known:
            users.create(None, name, "user", passwords[name])
    if sign_in_passwords.authenticate("admin", passwords["admin"]) is None:
        give_password(known["admin"], passwords["admin"])


def _add_node(node: LabNode) -> None:
    """Add a node, accepting the host key only if it is the lab node's own."""
    node.authorize(endpoints.public_key())
    if node.name in {row.node.name for row in node_list.listing(administrator())}:
        return
    actor = administrator()
    scan = host_keys.request_join(actor, name=node.name, address=node.address, port=22, user="root")
    wait([scan.id], timeout=60)
    join = host_keys.accept_join(actor, scan.id, node.host_key_fingerprint)
    wait([join.id], timeout=60)
    known = next(row.node for row in node_list.listing(actor) if row.node.name == node.name)
    wait([verification.request_verification(actor, known).id], timeout=60)


def _up_since(node: Node, moment: datetime) -> bool:
    """Whether a check since then saw the node up: what stands in the rows may be from before a restart."""
    return node.observed == Observed.UP and node.checked_at is not None and node.checked_at > moment


def _make_base() -> None:
    actor = administrator()
    if BASE not in {row.base.name for row in base_list.listing(administrator())}:
        description = "A small Linux that shows its own name on its screen"
        begun = base_actions.request_import(
            actor,
            name=BASE,
            description=description,
            source="file",
            paths=GUEST_PATH,
            memory_mib=128,
            vcpus=1,
        )
        wait([begun.id], timeout=120)
    base = _base()
    if base.state != BaseState.READY:
        wait([base_actions.prepare(actor, base).id], timeout=300)


def _base() -> Base:
    return base_list.by_name(administrator(), BASE)


def _allow_everywhere() -> None:
    base_actions.allow(administrator(), _base(), {row.node.id for row in node_list.listing(administrator())})
    _until(
        lambda: all(
            row.replica and row.replica.state == ReplicaState.READY for row in base_list.tab(administrator(), _base())
        ),
        120,
    )


def _until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit("this took too long; see the Operations page for the reason")
        time.sleep(0.1)
        db.session.rollback()


def _make_clones() -> None:
    actor = administrator()
    owned = clone_list.listing(actor, clone_list.Filters()).items
    for name, count in CLONES.items():
        if not any(clone.owner.name == name for clone in owned):
            owner = users.by_name(actor, name)
            wanted = clone_requests.Request(_base().id, count, f"{name}-desk", owner.name)
            clone_requests.request_clones(actor, wanted)
    making = (CloneState.REQUESTED, CloneState.CREATING)
    _until(lambda: not any(c.state in making for c in clone_list.listing(actor, clone_list.Filters()).items), 120)


def _start_some() -> None:
    """Have one clone running on each node."""
    actor = administrator()
    every = clone_list.listing(actor, clone_list.Filters()).items
    running = sum(clone.state == CloneState.RUNNING for clone in every)
    first_of = {clone.node_id: clone.id for clone in reversed(every) if clone.state == CloneState.STOPPED}
    chosen = list(first_of.values())[: max(0, STARTED - running)]
    if chosen:
        clone_actions.start(actor, chosen)
    _until(
        lambda: all(c.state != CloneState.STARTING for c in clone_list.listing(actor, clone_list.Filters()).items),
        120,
    )


def _report(facts: dict[str, Any]) -> None:
    found = node_list.listing(administrator())
    rows = [{"node": row.node.name, "clones": row.clones, "running": row.running} for row in found]
    user = next(iter(CLONES))
    result = {
        "url": f"http://127.0.0.1:{facts['port']}/",
        "admin": "admin",
        "admin_password": facts["passwords"]["admin"],
        "user": user,
        "user_password": facts["passwords"][user],
        "data": str(DATA),
    }
    print()
    show(rows, as_json=False)
    print(f"\nOpen {result['url']}")
    print(f"  administrator: {result['admin']}   password: {result['admin_password']}")
    print(f"  user:          {result['user']}   password: {result['user_password']}")
    print("`make demo-down` takes everything away.\n")
    print(json.dumps(result), flush=True)


def _stop_product() -> None:
    """End all its processes, and wait until they have ended."""
    if (pid := _product()) is not None:
        os.kill(pid, signal.SIGTERM)
        while _product() is not None:
            time.sleep(0.1)


def down() -> None:
    """Take everything away: the product, the lab, their data."""
    there = FOLDER.exists()
    _stop_product()
    lab().down(purge=True)
    shutil.rmtree(Settings(data=DATA).run_dir, ignore_errors=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    print("The demo is gone." if there else "There is no demo here.")


def stay() -> None:
    """Up, and stopped again with Ctrl-C; what was made is kept for the next time."""
    up()
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("\nStopping ...")
        _stop_product()
        lab().down()


if __name__ == "__main__":
    commands = {"stay": stay, "up": up, "down": down}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit("usage: python -m tests.lab.demo stay|up|down")
    commands[sys.argv[1]]()
