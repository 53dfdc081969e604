"""A small installation to look at: nodes, a base, clones of two users, operations, all through the services."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from sqlalchemy import select

from ravada_web.identity.passwords import hash_password
from ravada_web.models import Base, Clone, CloneState, Node, Operation, OperationState, Role, User, attempt_id
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.clones.requests import Request
from ravada_web.services.joining import host_keys
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction
from tests.conftest import PASSWORD, People
from tests.support.factories import make_base, make_group, make_nodes, make_operation, make_user

FINGERPRINT = "SHA256:mVPwvezndPv/ARoIadVY98vAC0g+P/5633yTC4d/wXE"


@pytest.fixture(scope="session")
def password_hash() -> str:
    """Everybody's password hashed once: hundreds of these tests would else spend their time on argon2."""
    return hash_password(PASSWORD)


@pytest.fixture
def people(app: Flask, password_hash: str) -> People:
    roles = {"user": Role.USER, "other": Role.USER, "operator": Role.OPERATOR, "administrator": Role.ADMINISTRATOR}
    with transaction():
        return People(**{name: make_user(name, role, password_hash=password_hash) for name, role in roles.items()})


@pytest.fixture
def sign_in(client: FlaskClient, people: People) -> Callable[[User | str], FlaskClient]:
    """Sign the client in as somebody, without the form (test_forms and test_safety use that)."""

    def as_user(user: User | str) -> FlaskClient:
        person = getattr(people, user) if isinstance(user, str) else user
        g.pop("_login_user", None)
        with client.session_transaction() as session:
            session["_user_id"], session["_fresh"] = sessions.begin(person, "192.0.2.1", "a test"), True
        return client

    return as_user


@dataclass
class World:
    """The ids of what is there; `mine` and `foreign` are stopped clones of the user and of the other one."""

    nodes: list[int]
    base: int
    mine: int
    foreign: int
    scan: int

    def path(self, template: str) -> str:
        """An address with these ids filled in."""
        return template.format(node=self.nodes[1], base=self.base, mine=self.mine, foreign=self.foreign, scan=self.scan)


KEY = {"fingerprint": FINGERPRINT, "key_type": "ssh-ed25519", "source": "192.0.2.1"}


@pytest.fixture
def world(people: People) -> World:
    """Three nodes, a base that is ready, a stopped clone for each of two users, and a host key that was read."""
    with transaction() as session:
        nodes = make_nodes(3)
        base = make_base(nodes)
        # One request for both, which is most of the time that this takes; then each has its owner and its name.
        clone_requests.request_clones(people.administrator, Request(base, 2, "mine", people.user.name))
        scan = host_keys.request_join(people.administrator, name="n9", address="192.0.2.9", port=22, user="root").id
        mine, foreign = session.scalars(select(Clone).order_by(Clone.id))
        mine.state = foreign.state = CloneState.STOPPED
        foreign.name, foreign.owner = "foreign-1", people.other
        session.get_one(Node, nodes[0]).other_domains = ["workstation"]
        finish(session.get_one(Operation, scan), result=KEY)
        return World(nodes, base, mine.id, foreign.id, scan)


def finish(operation: Operation, *, result: dict[str, object] | None = None, error: str = "") -> None:
    """Leave an operation as its job would have."""
    operation.state = OperationState.FAILED if error else OperationState.DONE
    operation.error, operation.result = error, {"host_key": "ssh-ed25519 AAAA"} | (result or {})


@pytest.fixture
def objects(world: World, people: People) -> dict[str, dict[str, int | str]]:
    """For each name in an address, the id of the user's own object and of a foreign one."""
    with transaction() as session:
        mine = make_operation("viewer_offer", user_id=people.user.id, params={"clone_id": world.mine})
        theirs = make_operation("viewer_offer", user_id=people.other.id, params={"clone_id": world.foreign})
        group = make_group()
        session.get_one(Base, world.base).users_may_refuse = True
        operations, group_id = (mine.id, theirs.id), group.id
        tokens = {user.name: sessions.begin(user, "192.0.2.1", "a test") for user in (people.user, people.other)}
    found = {name: sessions.find(token) for name, token in tokens.items()}
    rows = {name: row.id for name, row in found.items() if row is not None}
    common: dict[str, int | str] = {
        "node_id": world.nodes[1],
        "pool_id": world.nodes[1],
        "remains_id": 1,
        "plan_id": 1,
        "base_id": world.base,
        "group_id": group_id,
    }
    common |= {"action": "start", "filename": "app.css", "key": "nothing", "queue": "bulk", "state": "failed"}
    common["job_id"] = attempt_id(world.scan, 1)
    own = {"clone_id": world.mine, "operation_id": operations[0], "sign_in_id": rows["user"], "user_id": people.user.id}
    foreign = {"clone_id": world.foreign, "operation_id": operations[1]}
    foreign |= {"sign_in_id": rows["other"], "user_id": people.other.id}
    return {"own": common | own, "foreign": common | foreign}
