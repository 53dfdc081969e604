"""Consoles through the running gateway, to a real display: who gets in, who is put out, and what breaks nothing."""

import dataclasses
import signal
import socket
import sqlite3
import struct
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.models import Base, CloneState, Console, Event, Node, Observed, Role, Ticket, Trust, User, now
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.consoles import rights as console_rights
from ravada_web.services.consoles.causes import CODES, Cause
from ravada_web.services.consoles.tickets import ConsoleRefused
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction
from tests.support.consoles import open_count
from tests.support.house import House, Person, qemu
from tests.support.rfb import NO_SECURITY, SHARED, VERSION, Viewer
from tests.support.servers import wait_until


@pytest.fixture
def alice(house: House) -> Person:
    return house.sign_in("alice")


@pytest.fixture
def operator(house: House) -> Person:
    return house.sign_in("operator", Role.OPERATOR)


@pytest.fixture
def clone(house: House, alice: Person) -> int:
    return house.clone(alice, "desk")


def cause_of(console: ClientConnection, seconds: float = 5) -> Cause:
    """Why a console was closed."""
    end = time.monotonic() + seconds
    with pytest.raises(ConnectionClosed):
        while True:
            console.recv(max(0.01, end - time.monotonic()))
    assert console.close_code is not None
    return next(cause for cause, code in CODES.items() if code == console.close_code)


def answers(console: ClientConnection, viewer: Viewer) -> None:
    """A frame is asked for, and comes."""
    frames = viewer.frames
    console.send(viewer.ask(16, 16))
    while viewer.frames == frames:
        viewer.feed(bytes(console.recv(10)))  # type: ignore[arg-type]


def test_a_ticket_opens_the_screen_and_it_is_written_down(house: House, alice: Person, clone: int) -> None:
    console, viewer = house.console(alice, clone)
    answers(console, viewer)
    assert viewer.size[0] >= 640
    (row,) = db.session.query(Console).filter_by(clone_id=clone, closed_at=None)
    assert (row.user_id, row.view_only, row.address) == (alice.user_id, False, "127.0.0.1")
    console.close()
    wait_until(lambda: closed_as(row.id) == Cause.LEFT, 5, "its end is written down")
    actions = [event.action for event in db.session.query(Event).filter_by(object_kind="clone", object_id=clone)]
    assert actions[-2:] == ["open_console", "close_console"]


def closed_as(console_id: int) -> str:
    db.session.rollback()
    return db.session.get_one(Console, console_id).closed_as


def test_only_the_hash_of_a_ticket_is_kept(house: House, alice: Person, clone: int) -> None:
    ticket = house.ticket(alice, clone)
    row = db.session.query(Ticket).order_by(Ticket.id.desc()).first()
    assert row is not None and row.token_hash == sessions.digest(ticket) and ticket not in repr(vars(row))
    assert timedelta(0) < row.expires_at - now() <= timedelta(seconds=60)


def test_a_ticket_is_good_once(house: House, alice: Person, clone: int) -> None:
    ticket = house.ticket(alice, clone)
    first = house.open(alice, ticket)
    first.recv(5)
    assert cause_of(house.open(alice, ticket)) == Cause.TICKET
    first.send(b"RFB 003.008\n")
    assert first.recv(5)
    first.close()


def test_a_late_ticket_is_refused(house: House, alice: Person, clone: int) -> None:
    ticket = house.ticket(alice, clone)
    with transaction() as session:
        session.query(Ticket).update({"expires_at": now() - timedelta(seconds=1)})
    assert cause_of(house.open(alice, ticket)) == Cause.TICKET


@pytest.mark.parametrize("who", ["the same user's other browser", "somebody else"])
def test_a_ticket_is_for_one_browser(house: House, alice: Person, clone: int, who: str) -> None:
    other = house.sign_in("alice" if "same" in who else "mallory")
    assert cause_of(house.open(other, house.ticket(alice, clone))) == Cause.TICKET


def test_without_a_sign_in_there_is_no_console(house: House, alice: Person, clone: int) -> None:
    ticket = house.ticket(alice, clone)
    nobody = Person(0, 0, "", "session=nonsense")
    assert cause_of(house.open(nobody, ticket)) == Cause.SIGN_IN


def test_a_foreign_page_gets_no_console(house: House, alice: Person, clone: int) -> None:
    for origin in ("http://evil.example", f"https://127.0.0.1:{house.port}", "null"):
        with pytest.raises(InvalidStatus) as refused:
            house.open(alice, house.ticket(alice, clone), origin=origin)
        assert refused.value.response.status_code == 403
    address = f"ws://127.0.0.1:{house.port}/console/stream"
    with pytest.raises(InvalidStatus), connect(address, additional_headers={"Cookie": alice.cookie}):
        pass


def test_somebody_elses_clone_has_no_ticket_for_me(house: House, alice: Person, clone: int) -> None:
    mallory = house.sign_in("mallory")
    with pytest.raises(NotFound):
        house.ticket(mallory, clone)


def test_a_clone_that_is_off_or_away_says_so(house: House, alice: Person) -> None:
    off = house.clone(alice, "off", CloneState.STOPPED)
    with pytest.raises(ConsoleRefused) as refused:
        house.ticket(alice, off)
    assert refused.value.cause == Cause.NOT_RUNNING
    house.change(off, state=CloneState.UNREACHABLE)
    with pytest.raises(ConsoleRefused) as refused:
        house.ticket(alice, off)
    assert refused.value.cause == Cause.UNREACHABLE


def test_what_changed_since_the_ticket_counts_at_the_door(house: House, alice: Person, clone: int) -> None:
    ticket = house.ticket(alice, clone)
    house.change(clone, state=CloneState.STOPPED)
    assert cause_of(house.open(alice, ticket)) == Cause.NOT_RUNNING
    house.change(clone, state=CloneState.RUNNING)
    ticket = house.ticket(alice, clone)
    house.change(clone, owner_id=house.sign_in("mallory").user_id)
    assert cause_of(house.open(alice, ticket)) == Cause.REFUSED


def test_a_console_closes_when_its_right_is_lost(house: House, alice: Person, clone: int) -> None:
    console, _viewer = house.console(alice, clone)
    house.change(clone, owner_id=house.sign_in("mallory").user_id)
    assert cause_of(console) == Cause.REFUSED


def test_a_console_closes_when_its_sign_in_ends(house: House, alice: Person, clone: int) -> None:
    console, _viewer = house.console(alice, clone)
    sessions.end(db.session.get_one(User, alice.user_id), alice.sign_in_id)
    assert cause_of(console) == Cause.SIGN_IN


def test_a_console_closes_when_its_user_is_switched_off(house: House, clone: int) -> None:
    bob = house.sign_in("bob")
    house.change(clone, owner_id=bob.user_id)
    console, _viewer = house.console(bob, clone)
    with transaction() as session:
        session.get_one(User, bob.user_id).active = False
    assert cause_of(console) == Cause.SIGN_IN
    with transaction() as session:
        session.get_one(User, bob.user_id).active = True


def test_a_console_closes_when_its_clone_stops_or_goes_away(house: House, alice: Person, clone: int) -> None:
    for state, cause in ((CloneState.STOPPED, Cause.STOPPED), (CloneState.UNREACHABLE, Cause.UNREACHABLE)):
        house.change(clone, state=CloneState.RUNNING)
        console, _viewer = house.console(alice, clone)
        house.change(clone, state=state)
        assert cause_of(console) == cause


def test_a_display_that_dies_is_said_so_at_once(house: House, alice: Person, clone: int, tmp_path: Path) -> None:
    with qemu(tmp_path / "own.sock") as process:
        house.change(clone, display=str(tmp_path / "own.sock"))
        console, viewer = house.console(alice, clone)
        answers(console, viewer)
        process.kill()
        assert cause_of(console, 3) == Cause.STOPPED


def test_a_display_that_dies_under_the_mouse_is_no_leaving(
    house: House, alice: Person, clone: int, tmp_path: Path
) -> None:
    with qemu(tmp_path / "own.sock") as process:
        house.change(clone, display=str(tmp_path / "own.sock"))
        console, viewer = house.console(alice, clone)
        answers(console, viewer)
        process.send_signal(signal.SIGSTOP)
        for place in range(50):  # none of it is read any more: the connection will be reset
            console.send(struct.pack("!BBHH", 5, 0, place, place))
        process.kill()
        assert cause_of(console, 3) == Cause.STOPPED


def test_a_console_follows_its_desktop_to_the_node_that_it_moves_to(
    house: House, alice: Person, clone: int, tmp_path: Path
) -> None:
    with qemu(tmp_path / "own.sock") as process:
        moving = {"state": CloneState.MOVING, "state_before": CloneState.RUNNING}
        house.change(clone, display=str(tmp_path / "own.sock"), **moving)
        console, viewer = house.console(alice, clone)
        answers(console, viewer)
        process.kill()
        with pytest.raises(TimeoutError):
            console.recv(0.5)
    house.change(clone, node_id=2, display=str(house.display), state=CloneState.RUNNING)
    assert cause_of(console, 30) == Cause.MOVED
    console, viewer = house.console(alice, clone)
    answers(console, viewer)
    console.close()


def test_who_comes_between_two_nodes_waits_for_the_second_and_sees_no_other_picture(
    house: House, alice: Person, clone: int
) -> None:
    gone = {"display": "/nowhere/vnc.sock", "state": CloneState.MOVING, "state_before": CloneState.RUNNING}
    house.change(clone, **gone)
    console = house.open(alice, house.ticket(alice, clone))
    with pytest.raises(TimeoutError):
        console.recv(0.5)
    house.change(clone, node_id=2, display=str(house.display), state=CloneState.RUNNING)
    assert bytes(console.recv(30)) == VERSION  # type: ignore[arg-type]
    console.close()


def test_one_that_ends_while_it_moves_is_said_to_have_stopped(
    house: House, alice: Person, clone: int, tmp_path: Path
) -> None:
    with qemu(tmp_path / "own.sock") as process:
        moving = {"state": CloneState.MOVING, "state_before": CloneState.RUNNING}
        house.change(clone, display=str(tmp_path / "own.sock"), **moving)
        console, viewer = house.console(alice, clone)
        answers(console, viewer)
        process.kill()
        house.change(clone, state=CloneState.STOPPED)
        assert cause_of(console, 30) == Cause.STOPPED


def asked(house: House, *packets: bytes) -> tuple[bytes, list[int]]:
    """What the links process answers, and what it passes on; b"" where it has hung up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as plug:
        plug.settimeout(30)
        plug.connect(str(house.settings.displays_socket))
        for packet in packets:
            plug.send(packet)
        answer, passed, _flags, _sender = socket.recv_fds(plug, 64, 1)
        return answer, passed


def test_a_display_is_passed_on_as_a_connection(house: House, clone: int) -> None:
    answer, passed = asked(house, b"show %d" % clone)
    with socket.socket(fileno=passed[0]) as display:
        display.settimeout(30)
        assert answer == b"shown" and display.recv(12) == VERSION
    house.change(clone, state=CloneState.STOPPED)
    assert asked(house, b"show %d" % clone) == (b"not_running", [])
    house.change(clone, state=CloneState.STARTING)
    assert asked(house, b"show %d" % clone) == (b"comes", [])
    house.change(clone, state=CloneState.RUNNING, display="/nowhere/vnc.sock")
    assert asked(house, b"show %d" % clone) == (b"gone", [])
    assert asked(house, b"show 999999999999999999") == (b"stopped", [])
    house.change(clone, state=CloneState.MOVING, state_before=CloneState.RUNNING)
    assert asked(house, b"show %d" % clone) == asked(house, b"why %d 1" % clone) == (b"comes", [])
    house.change(clone, state=CloneState.RUNNING, state_before="")
    assert asked(house, b"why %d 1" % clone) == (b"stopped", [])
    assert asked(house, b"why %d 2" % clone) == (b"moved", [])


NO_REQUESTS = [
    b"show",
    b"show 1 ",
    b"show -1",
    b"show 1\n",
    b"show 1;why 1",
    b"why 1",
    b"why 1 x",
    b"show 1 1",
    b"open 1",
    b"show /run/vnc.sock",
]


@pytest.mark.parametrize(
    "packet", [*NO_REQUESTS, b"show " + b"1" * 19, b"show " + b"1" * 100_000, "show ١".encode(), b"SHOW 1", b"\0" * 64]
)
def test_what_is_no_request_for_a_display_has_no_answer(house: House, packet: bytes) -> None:
    assert asked(house, packet) == (b"", [])


def test_who_asks_for_no_display_or_leaves_keeps_nobody_from_theirs(house: House, alice: Person, clone: int) -> None:
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _number in range(12)]
    for plug in silent:
        plug.connect(str(house.settings.displays_socket))
    for plug in silent[:6]:
        plug.send(b"show %d" % clone)
        plug.close()
    console, viewer = house.console(alice, clone)
    answers(console, viewer)
    console.close()
    for plug in silent:
        plug.close()


def test_while_the_links_process_is_away_a_console_says_that_its_node_is(
    house: House, alice: Person, clone: int
) -> None:
    house.stop("links")
    assert cause_of(house.open(alice, house.ticket(alice, clone))) == Cause.UNREACHABLE
    house.start_links()
    console, viewer = house.console(alice, clone)
    answers(console, viewer)
    console.close()


def test_a_console_that_waits_for_its_clone_listens_to_its_browser(house: House, alice: Person, clone: int) -> None:
    ticket = house.ticket(alice, clone)
    house.change(clone, state=CloneState.STARTING)
    console = house.open(alice, ticket)
    assert console.ping().wait(5)
    (row,) = db.session.query(Console).filter_by(clone_id=clone, closed_at=None)
    console.close()
    wait_until(lambda: closed_as(row.id) == Cause.LEFT, 5, "its end is written down")


def test_a_browser_that_floods_is_cut_off_and_slows_nobody(house: House, alice: Person, clone: int) -> None:
    other = house.sign_in("carol")
    theirs, viewer = house.console(other, house.clone(other, "carols"))
    console, _viewer = house.console(alice, clone)
    console.socket.sendall((b"\x89\x80" + bytes(4)) * 20_000)
    answers(theirs, viewer)
    assert cause_of(console) == Cause.TOO_FAST
    theirs.close()


@pytest.mark.parametrize("odd", ['prefs={"a":1}', "a=x y", "theme", "path=/x", "_x[y]=1", 'b="'])
def test_cookies_of_other_products_on_the_host_hide_nobody(house: House, alice: Person, clone: int, odd: str) -> None:
    among_others = dataclasses.replace(alice, cookie=f"{odd}; {alice.cookie}")
    console, viewer = house.console(among_others, clone)
    answers(console, viewer)
    console.close()


def test_an_end_that_could_not_be_written_is_written_later(house: House, alice: Person, clone: int) -> None:
    console, _viewer = house.console(alice, clone)
    (row,) = db.session.query(Console).filter_by(clone_id=clone, closed_at=None)
    number = row.id
    db.session.rollback()
    with closing(sqlite3.connect(house.settings.data / "ravada.sqlite", isolation_level=None)) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")
        console.close()
        log = house.settings.data / "gateway.log"
        wait_until(lambda: "end not written" in log.read_text(), 30, "the database was too busy to write it")
    wait_until(lambda: closed_as(number) == Cause.LEFT, 5, "its end is written down")


def test_the_newest_console_of_a_clone_takes_over(house: House, alice: Person, clone: int) -> None:
    first, _viewer = house.console(alice, clone)
    elsewhere = house.sign_in("alice")
    second, viewer = house.console(elsewhere, clone)
    assert cause_of(first) == Cause.TAKEN_OVER
    answers(second, viewer)
    second.close()


def test_consoles_of_one_user_are_capped(house: House, alice: Person) -> None:
    opened = [house.console(alice, house.clone(alice, f"many{number}"))[0] for number in range(3)]
    one_more = house.clone(alice, "many3")
    assert cause_of(house.open(alice, house.ticket(alice, one_more))) == Cause.TOO_MANY
    opened.pop().close()
    wait_until(lambda: open_count() == 2, 5, "one is closed")
    console, _viewer = house.console(alice, one_more)
    for each in (*opened, console):
        each.close()


def test_an_operator_looks_on_beside_the_user_and_may_be_refused(
    house: House, alice: Person, operator: Person, clone: int
) -> None:
    mine, my_viewer = house.console(alice, clone)
    theirs, their_viewer = house.console(operator, clone)
    answers(mine, my_viewer)
    answers(theirs, their_viewer)
    row = db.session.get_one(User, alice.user_id)
    assert [seen.user.name for seen in console_rights.onlookers(clone_list.get(row, clone))] == ["operator"]
    with transaction() as session:
        session.get_one(Base, house.base_id).users_may_refuse = True
    console_rights.block_onlookers(db.session.get_one(User, alice.user_id), clone, refused=True)
    assert cause_of(theirs) == Cause.REFUSED
    answers(mine, my_viewer)
    with pytest.raises(Exception, match="blocked screen viewing"):
        house.ticket(operator, clone)
    mine.close()


def test_who_looks_on_is_cut_off_for_what_is_no_rfb(house: House, operator: Person, clone: int) -> None:
    theirs, viewer = house.console(operator, clone)
    theirs.send(Viewer.key(0x61) + struct.pack("!BBHHI", 5, 1, 1, 1, 0)[:6])
    answers(theirs, viewer)
    theirs.send(b"\x99 hello")
    assert cause_of(theirs) == Cause.LEFT


@pytest.mark.parametrize(
    "garbage", [b"\xff" * 64, b"\x82\xff" + b"\xff" * 12, b"\x82\x05hello", b"GET / HTTP/1.1\r\n\r\n"]
)
def test_garbage_ends_that_socket_and_no_other(house: House, alice: Person, clone: int, garbage: bytes) -> None:
    other = house.sign_in("carol")
    theirs, viewer = house.console(other, house.clone(other, "carols"))
    console, _viewer = house.console(alice, clone)
    console.socket.sendall(garbage)
    with pytest.raises(ConnectionClosed):
        while True:
            console.recv(5)
    answers(theirs, viewer)
    theirs.close()


def test_a_browser_that_never_reads_costs_no_memory(house: House, alice: Person, clone: int) -> None:
    deaf = deaf_browser(house, alice, house.ticket(alice, clone))
    before = resident(house)
    for _request in range(400):
        deaf.sendall(frame(struct.pack("!BBHHHH", 3, 0, 0, 0, 640, 480)))
    other = house.sign_in("carol")
    theirs, their_viewer = house.console(other, house.clone(other, "carols"))
    for _round in range(10):
        answers(theirs, their_viewer)
    assert resident(house) - before < 16
    assert open_count() == 2
    deaf.close()


def deaf_browser(house: House, person: Person, ticket: str) -> socket.socket:
    """A console's connection that says all that opens a screen, and takes nothing of what comes."""
    plug = socket.create_connection(("127.0.0.1", house.port))
    lines = ("GET /console/stream HTTP/1.1", f"Host: 127.0.0.1:{house.port}", f"Origin: {house.origin}")
    lines += ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Cookie: {person.cookie}")
    lines += ("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", f"Sec-WebSocket-Protocol: binary, ticket.{ticket}", "", "")
    plug.sendall("\r\n".join(lines).encode())
    said = b""
    while not said.endswith(b"RFB 003.008\n"):
        said += plug.recv(64)
    assert b" 101 " in said
    for part in (VERSION, NO_SECURITY, SHARED, struct.pack("!BxHi", 2, 1, 0)):
        plug.sendall(frame(part))
    return plug


def frame(data: bytes) -> bytes:
    """A small masked binary frame (its mask is zero)."""
    return bytes([0x82, 0x80 | len(data)]) + bytes(4) + data


def resident(house: House) -> float:
    """The gateway's memory, MiB."""
    lines = Path(f"/proc/{house.processes['gateway'].pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def test_a_restart_of_the_web_cuts_no_console(house: House, alice: Person, clone: int) -> None:
    console, viewer = house.console(alice, clone)
    house.stop("web")
    answers(console, viewer)
    house.start_web()
    answers(console, viewer)
    console.close()


def test_a_restart_of_the_gateway_leaves_no_console_open_in_the_books(house: House, alice: Person, clone: int) -> None:
    console, _viewer = house.console(alice, clone)
    house.processes["gateway"].kill()
    house.processes.pop("gateway").wait()
    house.start_gateway()
    wait_until(lambda: open_count() == 0, 30, "what the former one left open is closed")
    with pytest.raises(ConnectionClosed):
        console.recv(5)


@pytest.mark.parametrize(
    ("column", "value"), [("observed", Observed.DOWN), ("trust", Trust.CHANGED)], ids=["down", "quarantined"]
)
def test_a_node_that_is_not_reachable_shows_nothing(
    house: House, alice: Person, clone: int, column: str, value: str
) -> None:
    with transaction() as session:
        before = getattr(session.get_one(Node, 1), column)
        setattr(session.get_one(Node, 1), column, value)
    try:
        with pytest.raises(ConsoleRefused) as refused:
            house.ticket(alice, clone)
        assert refused.value.cause == Cause.UNREACHABLE
    finally:
        with transaction() as session:
            setattr(session.get_one(Node, 1), column, before)
