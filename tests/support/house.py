"""The gateway as it runs, before real web processes, a real Redis and a real QEMU's display on this host."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from websockets.sync.client import ClientConnection, connect
from xdist.scheduler import LoadScopeScheduling

from ravada_web import ROOT, create_app
from ravada_web.config import Settings
from ravada_web.extensions import db, queues
from ravada_web.identity.passwords import hash_password
from ravada_web.models import Clone, CloneState, Node, Role, User, UserSession
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.clones.requests import Request
from ravada_web.services.consoles import tickets
from ravada_web.services.people import users
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction
from tests.support.factories import make_base, make_nodes, make_user
from tests.support.rfb import Viewer
from tests.support.servers import redis_server, wait_until

PASSWORD = "correct horse battery"


@dataclass
class Person:
    """A browser of somebody who is signed in: the row, the token, and the cookie that holds it."""

    user_id: int
    sign_in_id: int
    token: str
    cookie: str


@dataclass
class House:
    """The running processes, and an application in this process on the same database."""

    app: Flask
    settings: Settings
    display: Path
    base_id: int = 0
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    clones: dict[str, int] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)
    opened: ExitStack = field(default_factory=ExitStack)

    @property
    def port(self) -> int:
        return self.settings.port

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str, *command: str) -> None:
        """Start one of its processes; `more` is what its environment is to have, too."""
        environment = os.environ | {
            "RAVADA_DATA": str(self.settings.data),
            "RAVADA_PORT": str(self.settings.port),
            "RAVADA_REDIS_URL": self.settings.redis_url,
            "RAVADA_MASTER": "ssh",
            "RAVADA_CONSOLES_PER_USER": "3",
            "RAVADA_TRUSTED_PROXIES": '["127.0.0.2"]',
            **self.more,
        }
        with (self.settings.data / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def start_web(self) -> None:
        """The pages, as `flask up` runs them."""
        where = f"unix:{self.settings.web_socket}"
        gunicorn = (sys.executable, "-m", "gunicorn", "--threads", "4", "--no-control-socket", "--bind", where)
        self.start("web", *gunicorn, "app:app")

    def start_gateway(self) -> None:
        """The gateway, and wait until it listens."""
        self.start("gateway", sys.executable, "-m", "ravada_web.gateway")
        wait_until(lambda: listens(self.port), 60, f"the gateway listens; see {self.settings.data}/gateway.log")

    def start_links(self) -> None:
        """What passes displays on, and wait until it does."""
        self.settings.displays_socket.unlink(missing_ok=True)
        self.start("links", sys.executable, "-m", "jobs.links")
        wait_until(self.settings.displays_socket.exists, 60, f"links begin; see {self.settings.data}/links.log")

    def stop(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(15)

    def restart(self) -> None:
        """Start the pages and the gateway anew."""
        for name in ("gateway", "web"):
            self.stop(name)
        self.start_web()
        self.start_gateway()

    def sign_in(self, name: str, role: Role = Role.USER) -> Person:
        """A new browser of that user, who is made if need be."""
        user = users.find(name) or make_user(name, role, password_hash=hash_password(PASSWORD))
        token = sessions.begin(user, "127.0.0.1", "a test")
        serializer = self.app.session_interface.get_signing_serializer(self.app)  # type: ignore[attr-defined]
        cookie = serializer.dumps({"_user_id": token, "_fresh": True})
        found = sessions.find(token)
        assert found is not None
        name = self.app.config["SESSION_COOKIE_NAME"]
        return Person(user.id, found.id, token, f"{name}={cookie}")

    def clone(self, owner: Person, name: str, state: CloneState = CloneState.RUNNING) -> int:
        """A clone whose display is the QEMU's, made when first asked for; back in order otherwise."""
        if name not in self.clones:
            admin = db.session.get_one(User, self.sign_in("admin", Role.ADMINISTRATOR).user_id)
            clone_requests.request_clones(
                admin, Request(self.base_id, 1, name, db.session.get_one(User, owner.user_id).name)
            )
            self.clones[name] = db.session.query(Clone).filter_by(name=f"{name}-1").one().id
        with transaction() as session:
            row = session.get_one(Clone, self.clones[name])
            row.state, row.display, row.owner_id, row.viewers_refused = state, str(self.display), owner.user_id, False
            row.node_id, row.state_before = 1, ""
        return self.clones[name]

    def change(self, clone_id: int, **values: object) -> None:
        """Change a clone's row, as a job or an administrator would have."""
        with transaction() as session:
            row = session.get_one(Clone, clone_id)
            for name, value in values.items():
                setattr(row, name, value)

    def ticket(self, person: Person, clone_id: int) -> str:
        """A ticket, as the page's script asks for it."""
        user = db.session.get_one(User, person.user_id)
        return tickets.issue(user, person.sign_in_id, clone_id)

    def open(self, person: Person, ticket: str, origin: str | None = None) -> ClientConnection:
        """A console's WebSocket with that ticket."""
        opening = connect(
            f"ws://127.0.0.1:{self.port}/console/stream",
            origin=origin or self.origin,  # type: ignore[arg-type]
            subprotocols=["binary", f"ticket.{ticket}"],  # type: ignore[list-item]
            additional_headers={"Cookie": person.cookie},
            compression=None,
            open_timeout=10,
            close_timeout=2,
        )
        return self.opened.enter_context(opening)

    def console(self, person: Person, clone_id: int) -> tuple[ClientConnection, Viewer]:
        """A console that shows its screen."""
        socket = self.open(person, self.ticket(person, clone_id))
        viewer = Viewer()
        while not viewer.ready:
            viewer.feed(bytes(socket.recv(10)))  # type: ignore[arg-type]
            if viewer.outgoing:
                socket.send(viewer.take())
        return socket, viewer


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class OneHouse(LoadScopeScheduling):
    """Tests go to whichever worker is free, but those of a folder or a file that share what is slow to start go to one:
    the gateway's house, the whole product, what a file made on the lab."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests/gateway/"):
            return "house"
        together = ("tests/cluster/", "tests/browser/", "tests/jobs/test_parent.py")
        return nodeid.partition("::")[0] if nodeid.startswith(together) else nodeid


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first: one that began last would have the machine for itself."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneHouse:
    """How a parallel run is divided."""
    return OneHouse(config, log)


@pytest.fixture(scope="session")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real display: a QEMU that shows its firmware's screen, VNC on a socket as libvirt has it."""
    program = shutil.which("qemu-system-x86_64")
    if program is None:
        pytest.skip("QEMU is not installed (apt install qemu-system-x86)")
    socket = tmp_path_factory.mktemp("q") / "vnc.sock"
    with qemu(socket):
        yield socket


@contextmanager
def qemu(socket: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A QEMU with a display on that socket, for the block's time."""
    command = ["qemu-system-x86_64", "-accel", "tcg", "-m", "32", "-display", "none", "-nodefaults"]
    command += ["-device", "VGA", "-vnc", f"unix:{socket}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(socket.exists, 60, "QEMU shows its display")
        yield process
    finally:
        process.kill()
        process.wait()
        socket.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def house_data(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Path]:
    """The house's data folder, in it a database with the tables and a Redis that no other test empties."""
    folder = tmp_path_factory.mktemp("g")
    shutil.copy(empty_database, folder / "ravada.sqlite")
    with redis_server(folder / "redis.sock"):
        yield folder


@pytest.fixture(scope="session")
def running_house(house_data: Path, display: Path) -> Iterator[House]:
    """All of it, started once."""
    settings = Settings(data=house_data, redis_url=f"unix://{house_data}/redis.sock", master="ssh", port=free_port())
    house = House(create_app(settings), settings, display)
    with house.app.app_context():
        with transaction() as session:
            for node_id in make_nodes(2):
                session.get_one(Node, node_id).local = True
        house.base_id = make_base([1])
        db.session.remove()
    house.start_links()
    house.start_web()
    house.start_gateway()
    yield house
    for name in list(house.processes):
        house.stop(name)


@pytest.fixture
def house(running_house: House) -> Iterator[House]:
    """The house; what a test leaves open is closed."""
    queues.init_app(running_house.app)
    with running_house.app.app_context():
        if "web" not in running_house.processes:
            running_house.start_web()
        if "gateway" not in running_house.processes:
            running_house.start_gateway()
        yield running_house
        running_house.opened.close()
        with transaction() as session:
            session.query(UserSession).delete()
        db.session.remove()
