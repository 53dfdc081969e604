"""Live pages: what changes is told within two seconds, to who may know of it, and nothing is missed after a cut."""

import http.client
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from ravada_web.extensions import db, queues
from ravada_web.models import Clone, CloneState, Node, Operation, Role, User
from ravada_web.services import changes
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction
from tests.support.factories import make_operation
from tests.support.house import House, Person

TOLD_WITHIN = 2.0


class Stream:
    """An open stream, read event by event."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.answer = answer
        self.number = ""

    def event(self) -> set[str]:
        """The topics of the next event."""
        lines: dict[str, str] = {}
        while True:
            line = self.answer.readline().decode()
            if not line:
                raise EOFError
            if line == "\n" and "data" in lines:
                self.number = lines["id"]
                return set(lines["data"].split())
            name, colon, value = line.rstrip("\n").partition(": ")
            if colon:
                lines[name] = value

    def told(self, topic: str) -> float:
        """Seconds until that topic is told."""
        begun = time.monotonic()
        while topic not in self.event():
            pass
        return time.monotonic() - begun


@contextmanager
def stream(house: House, person: Person, topics: str, since: object = "", status: int = 200) -> Iterator[Stream]:
    with closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=4)) as connection:
        since = changes.latest() if since == "" else since
        address = f"/live?topics={topics.replace(' ', '+')}&since={since}"
        connection.request("GET", address, headers={"Cookie": person.cookie})
        answer = connection.getresponse()
        assert answer.status == status, answer.read()
        opened = Stream(answer)
        if status == 200:
            opened.first = opened.event()  # type: ignore[attr-defined]
        yield opened


@pytest.fixture
def operator(house: House) -> Person:
    return house.sign_in("operator", Role.OPERATOR)


@pytest.fixture
def alice(house: House) -> Person:
    return house.sign_in("alice")


@pytest.mark.clock
def test_a_change_is_told_within_two_seconds(house: House, alice: Person, operator: Person) -> None:
    clone = house.clone(alice, "desk")
    with stream(house, operator, "clones nodes operations bases") as opened:
        assert opened.first == set()  # type: ignore[attr-defined]
        house.change(clone, state=CloneState.STOPPED)
        assert opened.told("clones") < TOLD_WITHIN
        with transaction() as session:
            session.get_one(Node, 1).cpu_load = 0.5
        assert opened.told("nodes") < TOLD_WITHIN
        make_operation()
        assert opened.told("operations") < TOLD_WITHIN


def test_statements_that_change_rows_in_bulk_are_told_too(house: House, alice: Person, operator: Person) -> None:
    house.clone(alice, "desk")
    with stream(house, operator, "clones") as opened:
        with transaction() as session:
            session.query(Operation).update({"message": "none of it"})
        with transaction() as session:
            session.execute(db.update(Clone).values(reason="in bulk"))
        assert opened.event() == {"clones"}


def test_what_was_missed_during_a_cut_is_told_first(house: House, alice: Person, operator: Person) -> None:
    clone = house.clone(alice, "desk")
    with stream(house, operator, "clones operations") as opened:
        number = opened.number
    house.change(clone, reason="while nobody listened")
    with stream(house, operator, "clones operations", since=number) as again:
        assert again.first == {"clones"}  # type: ignore[attr-defined]
    with stream(house, operator, "clones operations", since=again.number) as again:
        assert again.first == set()  # type: ignore[attr-defined]


def test_a_rollback_tells_nothing(house: House, alice: Person, operator: Person) -> None:
    clone = house.clone(alice, "desk")
    with stream(house, operator, "clones operations") as opened:
        with pytest.raises(ZeroDivisionError), transaction() as session:
            session.get_one(Clone, clone).reason = "never"
            session.flush()
            _ = 1 / 0
        make_operation()
        assert opened.event() == {"operations"}


def test_a_user_is_told_of_their_own_desktops_alone(house: House, alice: Person) -> None:
    bob = house.sign_in("bob")
    mine, theirs = house.clone(alice, "desk"), house.clone(bob, "bobs")
    with stream(house, alice, "desktops") as opened:
        # The first change after a page was opened is told to it in any case: it may be one that was missed.
        house.change(theirs, reason="not hers")
        opened.told("desktops")
        house.change(mine, reason="hers")
        opened.told("desktops")
        house.change(theirs, reason="not hers either")
        with pytest.raises(TimeoutError):
            opened.event()


def test_one_clones_page_is_told_of_it(house: House, alice: Person) -> None:
    clone = house.clone(alice, "desk")
    with stream(house, alice, f"clone-{clone}") as opened:
        house.change(clone, state=CloneState.STOPPING)
        opened.told(f"clone-{clone}")


@pytest.mark.parametrize(
    ("topics", "status"),
    [
        ("nodes", 403),
        ("node-1", 403),
        ("clones", 403),
        ("operations", 403),
        ("base-1", 403),
        ("audit", 403),
        ("people", 403),
        ("clone-{foreign}", 404),
        ("operation-{operation}", 404),
        ("clone-99999", 404),
        ("desktops-1", 404),
        ("nonsense-1", 404),
        ("clone-1' OR 1=1", 404),
    ],
)
def test_a_user_hears_of_nothing_else(house: House, alice: Person, topics: str, status: int) -> None:
    foreign = house.clone(house.sign_in("bob"), "bobs")
    asked = topics.format(foreign=foreign, operation=make_operation().id).replace("'", "%27")
    with stream(house, alice, asked, status=status):
        pass


def test_nobody_hears_anything(house: House) -> None:
    with stream(house, Person(0, 0, "", "session=x"), "desktops", status=401):
        pass


def test_a_stream_ends_with_its_sign_in(house: House, alice: Person) -> None:
    with stream(house, alice, "desktops") as opened:
        opened.answer.fp.raw._sock.settimeout(10)  # type: ignore[attr-defined]
        sessions.end(db.session.get_one(User, alice.user_id), alice.sign_in_id)
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                opened.event()


def test_a_stream_ends_when_its_rights_have_changed(house: House) -> None:
    person = house.sign_in("demoted", Role.OPERATOR)
    with stream(house, person, "nodes") as opened:
        opened.answer.fp.raw._sock.settimeout(10)  # type: ignore[attr-defined]
        with transaction() as session:
            session.get_one(User, person.user_id).role = Role.USER
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                opened.event()
    with stream(house, person, "nodes", status=403):
        pass


def test_after_a_cut_from_redis_everything_may_have_changed(house: House, operator: Person) -> None:
    with stream(house, operator, "nodes bases") as opened:
        assert queues.redis.client_kill_filter(_type="pubsub") >= 1
        assert opened.event() == {"nodes", "bases"}
        with transaction() as session:
            session.get_one(Node, 1).cpu_load = 0.25
        opened.told("nodes")


def test_a_publication_that_makes_no_sense_ends_nothing(house: House, operator: Person) -> None:
    with stream(house, operator, "nodes bases") as opened:
        for odd in ("", "many nodes", "7", "-1 nodes nodes", b"\xff\xfe nodes"):
            queues.redis.publish(changes.CHANNEL, odd)
        with transaction() as session:
            session.get_one(Node, 1).cpu_load = 0.25
        opened.told("nodes")


@pytest.mark.clock
def test_hundreds_of_pages_are_told_at_once(house: House, operator: Person) -> None:
    people = [house.sign_in("operator", Role.OPERATOR) for _browser in range(12)]
    make_operation()
    opened: list[Stream] = []
    with ExitStack() as stack:
        for number in range(240):
            opened.append(stack.enter_context(stream(house, people[number % 12], "operations")))
        make_operation()
        begun = time.monotonic()
        for each in opened:
            assert "operations" in each.event()
        assert time.monotonic() - begun < TOLD_WITHIN
