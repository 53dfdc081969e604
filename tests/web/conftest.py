"""A small installation to look at: nodes, a base, clones of two users, operations, all through the services."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.identity.passwords import hash_password
from ravada_web.models import Clone, CloneState, Node, Operation, OperationState, Role, User
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.clones.requests import Request
from ravada_web.services.joining import host_keys
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction
from tests.conftest import PASSWORD, People
from tests.support.factories import make_base, make_nodes, make_user

FINGERPRINT = "SHA256:mVPwvezndPv/ARoIadVY98vAC0g+P/5633yTC4d/wXE"


@pytest.fixture(scope="session")
def password_hash() -> str:
    """Everybody's password hashed once: hundreds of these tests would else spend their time on argon2."""
    return hash_password(PASSWORD)


@pytest.fixture
def people(app: Flask, password_hash: str) -> People:
    roles = {"user": Role.USER, "other": Role.USER, "operator": Role.OPERATOR, "administrator": Role.ADMINISTRATOR}
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
    nodes = make_nodes(3)
    base = make_base(nodes)
    for owner, prefix in ((people.user, "mine"), (people.other, "foreign")):
        clone_requests.request_clones(people.administrator, Request(base, 1, prefix, owner.name))
    scan = host_keys.request_join(people.administrator, name="n9", address="192.0.2.9", port=22, user="root").id
    with transaction() as session:
        for clone in session.scalars(select(Clone)):
            clone.state = CloneState.STOPPED
        session.get_one(Node, nodes[0]).other_domains = ["workstation"]
        finish(session.get_one(Operation, scan), result=KEY)
    ids = dict(db.session.execute(select(Clone.name, Clone.id)).all())
    return World(nodes, base, ids["mine-1"], ids["foreign-1"], scan)


def finish(operation: Operation, *, result: dict[str, object] | None = None, error: str = "") -> None:
    """Leave an operation as its job would have."""
    operation.state = OperationState.FAILED if error else OperationState.DONE
    operation.error, operation.result = error, {"host_key": "ssh-ed25519 AAAA"} | (result or {})
