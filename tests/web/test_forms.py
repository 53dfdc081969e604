"""Bad input: the same form again with 422 and the cause beside its field, and nothing written."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete

from ravada_web.extensions import db
from ravada_web.models import AllowedNode, Clone, Node, Operation, User
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.joining import host_keys
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.web.asking import fragment, is_page
from tests.web.conftest import FINGERPRINT, World, finish

SignIn = Callable[[User | str], FlaskClient]
NODE = {"name": "n8", "address": "192.0.2.8", "port": "22", "user": "root"}
SETTINGS = {**NODE, "memory_reserve_mib": "0", "builds_at_once": "2", "clone_limit": "", "memory_overcommit": "1"}
MARKS = {"warn_percent": "80", "critical_percent": "90", "floor_mib": ""}
FILES = {"name": "b2", "source": "file", "paths": "/srv/b2.qcow2", "memory_mib": "512", "vcpus": "1"}
CLONES = {"base_id": "1", "count": "3", "prefix": "new", "owner": "user"}

# address, a form that is right, the field that is made wrong, and how
WRONG = [
    *(("/nodes/add", NODE, "name", value) for value in ("", "a b", "<b>", "n1")),
    *(
        ("/nodes/add", NODE, "address", value)
        for value in ("", "http://x", "192.0.2.1", "-x", "fe80::1", "fd00::1%eth0", "a@b", "kvm:22", "a..b")
    ),
    *(("/nodes/add", NODE, "port", value) for value in ("", "0", "65536", "ssh")),
    *(("/nodes/add", NODE, "user", value) for value in ("", "a;b", "a b", "-l", "a$b")),
    *(("/nodes/{node}/edit", SETTINGS, "memory_reserve_mib", value) for value in ("", "-1", "many", "99999999")),
    *(("/nodes/{node}/edit", SETTINGS, "builds_at_once", value) for value in ("0", "33")),
    *(("/nodes/{node}/edit", SETTINGS, "clone_limit", value) for value in ("-1", "all")),
    *(("/nodes/{node}/edit", SETTINGS, "move_mib_per_second", value) for value in ("-1", "200000", "fast")),
    ("/nodes/{node}/edit", SETTINGS, "name", "n1"),
    *(("/nodes/{node}/edit", SETTINGS, "memory_overcommit", value) for value in ("", "0", "9", "nan")),
    *(("/nodes/{node}/edit", SETTINGS, "cpu_overcommit", value) for value in ("0", "65", "x")),
    *(("/nodes/{node}/edit", SETTINGS, "display_address", value) for value in ("here", "192.0.2.")),
    ("/nodes/{node}/edit", SETTINGS, "nat_address", "203.0.113.5"),
    ("/nodes/{node}/edit", SETTINGS, "mac", "52:54:00:12:34"),
    ("/nodes/{node}/edit", SETTINGS, "labels", "<b>"),
    ("/nodes/{node}/edit", SETTINGS, "notes", "x" * 4001),
    *(("/nodes/{node}/pools/2", MARKS, "warn_percent", value) for value in ("", "0", "100", "x")),
    *(("/nodes/{node}/pools/2", MARKS, "critical_percent", value) for value in ("70", "80", "101")),
    *(("/nodes/{node}/pools/2", MARKS, "floor_mib", value) for value in ("-1", "100001", "x")),
    ("/nodes/{node}/join/key", {"password": "x"}, "password", ""),
    *(("/bases/import", FILES, "name", value) for value in ("", "linux", "<b>")),
    *(("/bases/import", FILES, "paths", value) for value in ("", "relative.qcow2", "/srv/../etc/shadow", "/a\n/a")),
    *(("/bases/import", FILES, "memory_mib", value) for value in ("0", "x")),
    ("/bases/import", FILES, "vcpus", "0"),
    ("/bases/import", FILES | {"source": "domain"}, "domain", ""),
    *(("/clones/new", CLONES, "count", value) for value in ("", "0", "-1", "1001", "ten", "1.5")),
    *(("/clones/new", CLONES, "prefix", value) for value in ("", "A", "a b", "-a", "x" * 41)),
    *(("/clones/new", CLONES, "base_id", value) for value in ("", "99", "x")),
    *(("/clones/new", CLONES, "owner", value) for value in ("", "nobody-is-called-so")),
]


@pytest.mark.parametrize(("address", "right", "field", "value"), WRONG)
def test_the_form_again(
    world: World, people: People, sign_in: SignIn, address: str, right: dict[str, str], field: str, value: str
) -> None:
    client = sign_in(people.administrator)
    before = [db.session.query(table).count() for table in (Operation, Node, Clone)]
    form = right | {field: value}
    page = client.post(world.path(address), data=form)
    part = fragment(client, world.path(address), method="POST", data=form)
    assert (page.status_code, part.status_code) == (422, 422)
    assert is_page(page) and not is_page(part)
    for answer in (page, part):
        assert f'id="{field}-error"' in answer.text
        control = re.search(rf'<(?:input|select|textarea)[^>]*\sid="{field}"[^>]*>', answer.text)
        assert control and f"{field}-error" in control[0] and 'aria-invalid="true"' in control[0]
    assert [db.session.query(table).count() for table in (Operation, Node, Clone)] == before


NO_NUMBER = [("en", "Enter a whole number."), ("es", "Introduzca un número entero.")]


@pytest.mark.parametrize(("language", "said"), NO_NUMBER)
def test_what_is_no_number_is_said_once_in_the_readers_language(
    world: World, people: People, sign_in: SignIn, language: str, said: str
) -> None:
    answer = sign_in(people.administrator).post(
        world.path("/nodes/{node}/edit"), data=SETTINGS | {"port": "ssh"}, headers={"Accept-Language": language}
    )
    assert answer.text.count("invalid-feedback") == 1 and said in answer.text


def test_a_decimal_comma_is_read(world: World, people: People, sign_in: SignIn) -> None:
    path = world.path("/nodes/{node}/edit")
    assert sign_in(people.administrator).post(path, data=SETTINGS | {"memory_overcommit": "1,5"}).status_code == 303
    assert db.session.get_one(Node, world.nodes[1]).memory_overcommit == 1.5


def test_what_was_entered_is_kept_except_the_password(client: FlaskClient, people: People) -> None:
    answer = client.post("/login", data={"name": "user", "password": "secret guess"})
    assert answer.status_code == 422
    assert 'value="user"' in answer.text
    assert "secret guess" not in answer.text


@pytest.mark.parametrize("name", ["user", "nobody-of-that-name"])
def test_a_wrong_sign_in_does_not_say_what_was_wrong(client: FlaskClient, people: People, name: str) -> None:
    answer = client.post("/login", data={"name": name, "password": "wrong password"})
    assert answer.status_code == 422
    assert "Wrong name or password." in answer.text


def test_more_clones_than_fit(world: World, people: People, sign_in: SignIn) -> None:
    form = CLONES | {"base_id": str(world.base), "count": "500", "start_after": "y"}
    answer = fragment(sign_in("operator"), "/clones/new", method="POST", data=form)
    assert answer.status_code == 422
    assert 'id="shortage"' in answer.text and "of 500 would fit" in answer.text
    assert answer.text.count('data-label="Why not more"') == 3
    assert "memory" in answer.text
    assert db.session.query(Clone).count() == 2


def test_no_node_allowed_links_to_the_base_tab(world: World, people: People, sign_in: SignIn) -> None:
    with transaction() as session:
        session.execute(delete(AllowedNode))
    answer = sign_in("operator").post("/clones/new", data=CLONES | {"base_id": str(world.base)})
    assert answer.status_code == 422
    assert f'href="/bases/{world.base}/base"' in answer.text


@pytest.mark.parametrize("field", ["name", "address", "port", "user"])
def test_a_join_that_failed_shows_the_form_with_the_cause(
    world: World, people: People, sign_in: SignIn, field: str
) -> None:
    operation = host_keys.request_join(people.administrator, name="n8", address="192.0.2.8", port=2222, user="root")
    with transaction() as session:
        finish(session.get_one(Operation, operation.id), result={"field": field}, error="It <refuses> us.")
    client = sign_in(people.administrator)
    for answer in (client.get(f"/nodes/add/{operation.id}"), fragment(client, f"/nodes/add/{operation.id}")):
        assert answer.status_code == 422
        assert 'value="192.0.2.8"' in answer.text and 'value="2222"' in answer.text
        assert "It &lt;refuses&gt; us." in answer.text.split(f'id="{field}-error"')[1].split("</div>")[0]


def test_an_import_that_failed_shows_the_form_with_the_cause(world: World, people: People, sign_in: SignIn) -> None:
    operation = base_actions.request_import(
        people.administrator, name="b2", description="", source="file", paths="/srv/a\n/srv/b", memory_mib=512, vcpus=1
    )
    with transaction() as session:
        finish(session.get_one(Operation, operation.id), result={"field": "paths"}, error="It has a backing file.")
    answer = sign_in(people.administrator).get(f"/bases/import/{operation.id}")
    assert answer.status_code == 422
    assert "It has a backing file." in answer.text.split('id="paths-error"')[1].split("</div>")[0]
    assert "/srv/a\n/srv/b" in answer.text


LISTED = [
    {"verdict": "refused", "element": "disk vda", "text": {"kind": "remote.corrupt", "figures": {}},
     "remedy": "qemu-img check -r all '/srv/a <b>'", "count": 1},
    {"verdict": "dropped", "element": "redirdev", "text": {"kind": "hardware.spice", "figures": {}}, "remedy": "",
     "count": 2},
    {"verdict": "dropped", "element": "smartcard", "text": {"kind": "hardware.spice", "figures": {}}, "remedy": "",
     "count": 1},
]  # fmt: skip


def inspected(people: People, findings: list[dict[str, object]]) -> int:
    operation = base_actions.request_inspection(
        people.administrator, name="b2", description="", source="domain", domain="original"
    )
    with transaction() as session:
        finish(session.get_one(Operation, operation.id), result={"findings": findings})
    return operation.id


def test_an_inspection_is_listed_and_what_is_refused_cannot_be_imported(
    world: World, people: People, sign_in: SignIn
) -> None:
    page = sign_in(people.administrator).get(f"/bases/import/listed/{inspected(people, LISTED)}").text
    assert "qemu-img check -r all &#39;/srv/a &lt;b&gt;&#39;" in page
    assert "<code>redirdev</code> ×2, <code>smartcard</code>" in page
    assert "Inspect again" in page and ">Import</button>" not in page


def test_what_was_listed_is_what_is_imported(world: World, people: People, sign_in: SignIn) -> None:
    client = sign_in(people.administrator)
    inspection = inspected(people, LISTED[1:])
    assert ">Import</button>" in client.get(f"/bases/import/listed/{inspection}").text
    answer = client.post(f"/bases/import/listed/{inspection}")
    begun = db.session.query(Operation).filter_by(kind="base_import").one()
    assert answer.location == f"/bases/import/{begun.id}"
    assert (begun.params["domain"], begun.params["listed"]) == ("original", LISTED[1:])


def test_a_name_that_was_taken_meanwhile_brings_the_form_back(world: World, people: People, sign_in: SignIn) -> None:
    inspection = inspected(people, LISTED[1:])
    with transaction() as session:
        operation = session.get_one(Operation, inspection)
        operation.params = operation.params | {"name": "linux"}
    answer = sign_in(people.administrator).post(f"/bases/import/listed/{inspection}")
    assert answer.status_code == 422 and 'id="name-error"' in answer.text


def test_what_is_not_inspected_yet_is_not_imported(world: World, people: People, sign_in: SignIn) -> None:
    operation = base_actions.request_inspection(
        people.administrator, name="b2", description="", source="domain", domain="original"
    )
    assert sign_in(people.administrator).post(f"/bases/import/listed/{operation.id}").status_code == 409
    assert db.session.query(Operation).filter_by(kind="base_import").count() == 0


def test_progress_reloads_by_itself(world: World, people: People, sign_in: SignIn) -> None:
    operation = host_keys.request_join(people.administrator, name="n8", address="192.0.2.8", port=22, user="root")
    client, path = sign_in(people.administrator), f"/nodes/add/{operation.id}"
    assert '<noscript><meta http-equiv="refresh"' in client.get(path).text
    assert 'hx-trigger="live,' in fragment(client, path).text


def test_accepting_the_key_writes_the_node_and_leads_to_its_joining(
    world: World, people: People, sign_in: SignIn
) -> None:
    client = sign_in(people.administrator)
    answer = client.post(f"/nodes/add/{world.scan}", data={"fingerprint": FINGERPRINT})
    node = db.session.query(Node).filter_by(name="n9").one()
    assert answer.location == f"/nodes/{node.id}/join"
    assert (node.service_state, node.access, node.source_address) == ("new", "", "192.0.2.1")
    page = client.get(answer.location).text
    assert "Check n9" in page and 'hx-trigger="live,' in page


def test_a_wrong_fingerprint_is_not_accepted(world: World, people: People, sign_in: SignIn) -> None:
    answer = sign_in(people.administrator).post(f"/nodes/add/{world.scan}", data={"fingerprint": "SHA256:other"})
    assert answer.status_code == 422
    assert db.session.query(Operation).filter_by(kind="node_inspect").count() == 0
