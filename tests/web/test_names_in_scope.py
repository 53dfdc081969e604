"""An operator with a part of the house reads no name outside of it: every page, fragment, file and refusal is asked."""

import re
from collections.abc import Callable
from itertools import product

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from sqlalchemy import select, update

from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import BaseOffer, Clone, CloneState, Node, Operation, Pool, Role, User
from ravada_web.services.audit import events
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.bases import listing as base_list
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.clones.requests import Request
from ravada_web.services.people import groups, operator_scopes
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_base, make_nodes, make_user
from tests.web.asking import fragment

SignInAs = Callable[[User | str], FlaskClient]


@pytest.fixture
def part(people: People, password_hash: str) -> dict[str, int]:
    """Two nodes that both bases are on and one that the foreign base alone is on; people, groups, clones and their
    operations of each. The operator is given the base `inbase`; returns ids by what a route calls them."""
    n1, n2, n3 = make_nodes(3)
    inbase, foreign = make_base([n1, n2], name="inbase"), make_base([n1, n2, n3], name="foreign-base")
    owner, stranger, guest = (
        make_user(name, Role.USER, password_hash=password_hash) for name in ("inuser", "outsider-1", "inguest")
    )
    boss = make_user("outsider-boss", Role.ADMINISTRATOR, password_hash=password_hash)
    inside = groups.create(boss, name="ingroup")
    outside = groups.create(boss, name="outside-group", description="outside of it")
    groups.add_members(boss, inside, "inguest")
    groups.add_members(boss, outside, "outsider-1 inuser")
    with transaction() as session:
        session.add_all(
            BaseOffer(base_id=base, group_id=group.id) for base, group in ((inbase, inside), (foreign, outside))
        )
    for base, name, prefix in ((inbase, "inuser", "indesk"), (foreign, "outsider-1", "foreign-desk")):
        clone_requests.request_clones(boss, Request(base, 3, prefix, name))
    with transaction() as session:
        session.execute(update(Node).where(Node.id == n3).values(name="foreign-node"))
        session.execute(update(Clone).values(state=CloneState.STOPPED))
        # All the files of a node are seen in its pools.
        biggest = [{"kind": "clone", "name": clone.name, "id": clone.id, "path": f"/p/{clone.name}", "mib": 1.0}
                   for clone in session.scalars(select(Clone))]  # fmt: skip
        biggest.append({"kind": "orphan", "name": "", "id": 0, "path": "/p/outside.qcow2", "mib": 1.0})
        kinds = {kind: {"count": 1, "mib": 1.0} for kind in ("base", "clone", "orphan", "other")}
        session.execute(update(Pool).values(usage={"kinds": kinds, "biggest": biggest, "growth_mib": 1}))
        node, base = session.get_one(Node, n1), base_list.get(boss, inbase)
        events.record(session, None, "host_uuid", node, message("nodes.same_uuid", uuid="u", node="foreign-node"))
        events.record(session, boss, "edit", node)
        events.record(session, boss, "allow", base, message("bases.allowed_nodes", nodes=["n1", "foreign-node"]))
    clones = list(db.session.scalars(select(Clone).order_by(Clone.id)))
    # One at a time names the clone in the title; then they go on, and nothing but that title names them.
    for clone in clones[:2] + clones[-2:]:
        clone_actions.start(boss, [clone.id])
    with transaction() as session:
        session.execute(update(Clone).values(state=CloneState.STOPPED, operation_id=None))
    clone_actions.start(boss, [clone.id for clone in clones])
    base_actions.request_import(boss, name="foreign-new", description="", source="domain", domain="outside-machine")
    operator_scopes.set_scope(boss, people.operator, [], [inbase])
    mine, theirs = clones[0].id, clones[-1].id
    works = {row.id for row in db.session.scalars(select(Operation))}
    return {
        "mine": mine, "theirs": theirs, "inbase": inbase, "foreign": foreign, "n1": n1, "n3": n3, "owner": owner.id,
        "guest": guest.id, "stranger": stranger.id, "boss": boss.id, "ingroup": inside.id, "outgroup": outside.id,
        "last_work": max(works),
    }  # fmt: skip


def addresses(app: Flask, ids: dict[str, int]) -> list[str]:
    """Every address that is read, with every id that there is."""
    known = {
        "clone_id": ("mine", "theirs"), "base_id": ("inbase", "foreign"), "node_id": ("n1", "n3"),
        "user_id": ("owner", "guest", "stranger", "boss"), "group_id": ("ingroup", "outgroup"), "pool_id": ("n1", "n3"),
    }  # fmt: skip
    values: dict[str, list[int | str]] = {name: [ids[one] for one in ones] for name, ones in known.items()}
    values |= {"operation_id": list(range(1, ids["last_work"] + 1)), "action": ["start", "delete"], "key": ["none"]}
    values |= {
        "sign_in_id": [1],
        "remains_id": [1],
        "plan_id": [1],
        "filename": ["app.css"],
        "queue": ["batches", "bulk"],
        "state": ["waiting", "failed"],
    }
    values |= {"job_id": [f"op-{number}-1" for number in range(1, ids["last_work"] + 1)]}
    found = []
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.endpoint == "static":
            continue
        names = sorted(rule.arguments)
        if rule.rule.startswith("/ops/rq"):
            continue
        for chosen in product(*(values[name] for name in names)):
            address = re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", rule.rule)
            address = re.sub(r"<any\(.*\):(\w+)>", r"{\1}", address)
            found.append(address.format(**dict(zip(names, chosen, strict=True))))
    return [*found, f"/clones/delete?id={ids['mine']}&id={ids['theirs']}", f"/clones/start?id={ids['theirs']}",
            "/operations?search=foreign", "/users?search=outsider", "/users/suggestions?owner=o", "/groups?search=out",
            "/clones?owner=outsider-1", "/operations?user=outsider-boss"]  # fmt: skip


def test_every_page_names_what_is_in_the_part_alone(
    app: Flask, part: dict[str, int], people: People, sign_in: SignInAs
) -> None:
    client = sign_in("operator")
    asked = addresses(app, part)
    read = {}
    for address in asked:
        g.pop("_login_user", None)
        page, piece = client.get(address), fragment(client, address)
        read[address] = page.text + piece.text + str(piece.headers)
    for address, text in read.items():
        # What the operator has typed is shown to them again.
        text = re.sub(r'value="[^"]*"|href="[^"]*"|hx-get="[^"]*"', "", text)
        assert not (told := re.findall(r"\b(?:foreign|outside)[\w-]*", text)), (address, told)
    assert len(asked) > 100
    shown = {
        "/users": ["inuser", "inguest"],
        "/users/download": ["inuser", "ingroup"],
        "/users/suggestions?owner=o": ["operator"],
        "/groups": ["ingroup"],
        "/clones": ["indesk"],
        "/operations": ["inbase", "indesk"],
        f"/nodes/{part['n1']}/storage": ["indesk"],
    }
    for address, names in shown.items():
        assert all(name in read[address] for name in names), address


@pytest.mark.parametrize("address", ["/users/{stranger}", "/users/{boss}", "/groups/{outgroup}", "/clones/{theirs}",
                                     "/bases/{foreign}", "/nodes/{n3}", "/bases/{foreign}/offered"])  # fmt: skip
def test_what_is_outside_is_not_there(part: dict[str, int], people: People, sign_in: SignInAs, address: str) -> None:
    assert sign_in("operator").get(address.format(**part)).status_code == 404
    assert sign_in("administrator").get(address.format(**part)).status_code == 200
