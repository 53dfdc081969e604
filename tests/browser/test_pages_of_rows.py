"""Pages of what a death leaves behind, from rows alone, without a lab: axe finds nothing, nothing sticks out, and what
can be done can be done by the keyboard."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select
from werkzeug.serving import make_server

from ravada_web.extensions import db
from ravada_web.messages import message, sentences
from ravada_web.models import (
    Alert,
    Away,
    BaseVersion,
    Cause,
    Clone,
    CloneState,
    Cluster,
    Node,
    Observed,
    Operation,
    OperationState,
    Remains,
    RemainsKind,
    Role,
    ServiceState,
    Trust,
    now,
)
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.transaction import transaction
from tests.browser.conftest import NARROW, WIDE, axe
from tests.browser.test_accessibility import wider_than_the_screen
from tests.conftest import PASSWORD
from tests.support.factories import change, give_password, make_base, make_nodes, make_operation, make_user

FETCH = "ssh -p 22 root@192.0.2.3 'cat /var/lib/libvirt/images/exports/a-name-of-a-desktop-1.00000001-vda.qcow2' > y"
PAGES = (
    "/nodes",
    "/nodes/reserve",
    "/nodes/rebalance",
    "/nodes/rebalance/settings",
    "/alerts",
    "/nodes/{up}",
    "/nodes/{up}/left",
    "/nodes/{up}/left?ignored=1",
    "/nodes/{master}/left",
    "/nodes/{up}/left/{machine}/bring-back",
    "/nodes/{up}/left/{machine}/delete",
    "/nodes/{silent}",
    "/nodes/{silent}/off",
    "/nodes/{silent}/give-up",
    "/nodes/{gone}",
    "/nodes/{gone}/take-back",
    "/nodes/{another}",
    "/nodes/{another}/join",
    "/nodes/{another}/join/node",
    "/nodes/{another}/replace",
    "/operations/{export}",
    "/operations/{wake}",
    "/clones/{desk}",
    "/clones/{desk}/move",
    "/",
)


@dataclass
class Served:
    """Where the pages are, and the ids in their addresses."""

    url: str
    ids: dict[str, int]


@pytest.fixture
def served(app: Flask) -> Iterator[Served]:
    ids = rows()
    db.session.rollback()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Served(f"http://127.0.0.1:{server.server_port}", ids)
    server.shutdown()
    thread.join()


def rows() -> dict[str, int]:
    """A master, a node that is silent, one that was given up, one that is full of orphans of all kinds, and one where
    another host answers."""
    chief = make_user("chief", Role.ADMINISTRATOR)
    give_password(chief, PASSWORD)
    master, silent, gone, up, another = make_nodes(5)
    base = make_base([silent, master])
    request_clones(chief, Request(base, 6, "desk", "chief"))
    request_clones(chief, Request(base, 4, "temp", "chief", volatile=True))
    change(Operation, state=OperationState.DONE)
    change(Clone, state=CloneState.STOPPED)
    change(Clone, Clone.node_id == silent, state=CloneState.UNREACHABLE)
    change(Node, Node.id == silent, observed=Observed.DOWN, away=Away.SILENT, observed_at=now())
    change(Node, Node.id == gone, observed=Observed.DOWN, service_state=ServiceState.GIVEN_UP)
    change(Clone, Clone.name.in_(["desk-1", "temp-1"]), state=CloneState.UNREACHABLE, node_id=another)
    said = message("joining.host_kept", node="n5", desktops=2, bases=1).to_json()
    newcomer = {"who": "kept", "machine_id": "c" * 32, "text": said}
    change(Node, Node.id == another, trust=Trust.CHANGED, new_host_key="ssh-ed25519 BBBB", newcomer=newcomer)
    result = {"files": ["/x"], "commands": [FETCH]}
    export = make_operation("node_export", state=OperationState.DONE, node_id=up, result=result)
    sent = message("waking.by_packet", mac="52:54:00:12:34:56", senders=[message("waking.us"), "n1", "n2", "n4"])
    progress = sentences(sent, message("waking.silent"))
    title = message("nodes.title_host_wake", node="n2")
    wake = make_operation("host_wake", title=title, state=OperationState.WATCHED, node_id=silent, message=progress)
    short = message("nodes.reserve_short", count=2, node="n2", missing_mib=12_288)
    change(Cluster, keeps_reserve=True, missing_mib=12_288, reserve_news=short)
    waits = message("clones.waits_for_room", node="n2", place=3, count=7)
    change(Clone, Clone.node_id == silent, Clone.volatile, reason=waits)
    version = db.session.scalars(select(BaseVersion.id)).first()
    with transaction() as session:
        session.add(Alert(state="short", text=short, since=now()))
        session.add_all(_remains(up, number, version) for number in range(60))
        session.add(Remains(node_id=gone, uuid="9" * 36, name="given-1", files=["/x"], macs=[], base_name="linux",
                            owner_id=chief.id, owner_name="chief", cause=Cause.GIVEN_UP))  # fmt: skip
    machine = db.session.scalars(select(Remains.id).where(Remains.uuid == f"{4:036}")).one()
    desk = db.session.scalars(select(Clone.id).where(Clone.node_id == master)).first() or 0
    return {"master": master, "silent": silent, "gone": gone, "up": up, "another": another,
            "export": export.id, "wake": wake.id, "machine": machine, "desk": desk}  # fmt: skip


def _remains(node_id: int, number: int, version: int | None) -> Remains:
    kind = list(RemainsKind)[number % 4]
    path = f"/var/lib/libvirt/images/a-long-name-of-a-former-desktop-{number}.{number:08x}.vda.qcow2"
    return Remains(
        node_id=node_id,
        kind=kind,
        uuid=f"{number:036}" if kind == RemainsKind.MACHINE else None,
        name=f"a-long-name-of-a-former-desktop-of-somebody-{number}",
        files=[path],
        macs=[],
        version_id=version,
        base_name="linux",
        owner_name="chief",
        cause=Cause.UNKNOWN,
        size=number << 30,
        written_at=now() - timedelta(days=number),
        runs=number == 8,
        dismissed=number % 7 == 5,
        ignored_by="chief" if number % 7 in (5, 6) else "",
        ignored_at=now() - timedelta(hours=30),
        reason=message("nodes.file_in_use", path=path, name="accounts") if number % 5 == 1 else "",
    )


def sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/login")
    page.get_by_label("Name").fill("chief")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "/login" not in address)


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide-light", "narrow-dark"])
def test_axe_finds_nothing_on_them(browser: Browser, served: Served, width: dict[str, int], scheme: str) -> None:
    with browser.new_context(viewport=width, color_scheme=scheme) as context:
        page = context.new_page()
        sign_in(page, served.url)
        found: dict[str, list[str]] = {}
        for path in PAGES:
            where = path.format(**served.ids)
            answer = page.goto(f"{served.url}{where}")
            refused = [] if answer and answer.ok else [f"status {answer and answer.status}"]
            if problems := refused + axe(page) + wider_than_the_screen(page):
                found[where] = problems
        assert found == {}


def test_an_orphan_is_ignored_and_listed_again_by_the_keyboard(browser: Browser, served: Served) -> None:
    with browser.new_context(viewport=NARROW) as context:
        page = context.new_page()
        sign_in(page, served.url)
        page.goto(f"{served.url}/nodes/{served.ids['up']}/left")
        row = page.locator(f"#left-{served.ids['machine']}")
        row.locator("summary").press("Enter")
        row.get_by_role("button", name="Ignore").press("Enter")
        expect(row).to_have_count(0)
        page.get_by_role("link", name="ignored").press("Enter")
        row.locator("summary").press("Enter")
        row.get_by_role("button", name="List again").press("Enter")
        expect(row).to_have_count(0)
        db.session.rollback()
        assert not db.session.get_one(Remains, served.ids["machine"]).dismissed
