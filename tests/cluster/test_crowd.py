"""A node is drained while its users launch and stop their desktops, by the forms of the pages."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from threading import Event as Flag
from threading import Thread
from urllib.error import HTTPError

import pytest

from ravada_web.models import Clone, CloneState, Node, ServiceState
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.people import users
from tests.benchmarks.browser import Browser
from tests.support.cluster import PASSWORD, Cluster
from tests.support.factories import change
from tests.support.servers import wait_until
from tests.support.ticking import BASE, assert_ticks, make_ticking

# Nothing was done, and the page says so: the machine does too much at once.
BUSY = 503
# A drain that stops since its node did not answer any more for half a minute is asked for again, so often.
TRIES = 3
PEOPLE = 40


def _words(page: str) -> str:
    """What a page says."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.partition("<main")[2]).split())[:300]


class Person(Thread):
    """Somebody who launches and cuts off their desktop, again and again, by the forms of the pages; at last it is to
    run."""

    def __init__(self, cluster: Cluster, clone: Clone, over: Flag) -> None:
        super().__init__(name=clone.owner.name, daemon=True)
        self._browser, self._clone_id, self._over = Browser(cluster.url), clone.id, over
        self._rng = random.Random(clone.id)
        self.answers: Counter[int] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        """Go on until it is over."""
        self._browser.post("/login", {"name": self.name, "password": PASSWORD})
        while not self._over.wait(self._rng.uniform(0.2, 4)):
            self.launch()
            self._over.wait(self._rng.uniform(0.2, 4))
            if self._rng.random() < 0.5:
                self._send("/clones/force-off", {"id": self._clone_id, "next": "/"})

    def launch(self) -> None:
        """Launch it, and look at its console's page where that is shown."""
        if self._send(f"/desktops/{self._clone_id}/launch", {}) == 303:
            self._get(f"/console/{self._clone_id}")

    def _send(self, path: str, fields: dict[str, object]) -> int:
        token = self._get("/")
        status, said = self._browser.answer(path, token, fields)
        self._note(status, f"{path}: {status} {_words(said)}")
        return status

    def _get(self, path: str) -> str:
        """Returns the token of its forms."""
        try:
            token = self._browser.token(path)
        except HTTPError as error:
            with error:
                self._note(error.code, f"{path}: {error.code} {_words(error.read().decode())}")
            return ""
        self._note(200, "")
        return token

    def _note(self, status: int, said: str) -> None:
        self.answers[status] += 1
        if status in (400, 401, 403, 404) or (status >= 500 and status != BUSY):
            self.wrong.append(said)


def drained_by_and_by(cluster: Cluster, name: str) -> list[dict[str, str]]:
    """Drain a node, until it is empty; returns how each drain has ended."""
    ends: list[dict[str, str]] = []
    while len(ends) < TRIES and (not ends or ends[-1]["state"] != "done"):
        cluster.check_until_up(name)
        said = cluster.flask("nodes", "drain", name, "--users-may-stay", "5", "--wait", "--json", check=False)
        ends += json.loads(said.stdout)
    return ends


@pytest.fixture
def seats(cluster: Cluster) -> Iterator[list[Clone]]:
    """The desktops of as many people, off; afterwards all nodes serve again."""
    make_ticking(cluster)
    cluster.made.append("seat")
    base_id = cluster.base_named(BASE).id
    for number in range(PEOPLE):
        users.create(None, f"seated{number}", "user", PASSWORD)
        request_clones(cluster.admin, Request(base_id, 1, "seat", f"seated{number}"))
    clones = cluster.wait_state("seat", CloneState.STOPPED, 120)
    assert len(clones) == PEOPLE
    yield clones
    change(Node, service_state=ServiceState.ENABLED)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_node_is_drained_while_forty_users_launch_and_stop_their_desktops(
    cluster: Cluster, seats: list[Clone]
) -> None:
    drained = max(cluster.lab.nodes, key=lambda node: cluster.spread("seat")[node.name])
    over = Flag()
    people = [Person(cluster, clone, over) for clone in seats]
    for person in people:
        person.start()
    try:
        wait_until(lambda: any(clone.state == CloneState.RUNNING for clone in cluster.clones("seat")), 60, "some run")
        ends = drained_by_and_by(cluster, drained.name)
    finally:
        over.set()
        for person in people:
            person.join(120)
    answers = sum((person.answers for person in people), Counter())
    print(f"answers: {dict(answers)}; drains: {ends}")
    assert [line for person in people for line in person.wrong] == []
    assert answers[303] > PEOPLE
    assert ends[-1]["state"] == "done"
    assert cluster.node(drained.name).service_state == ServiceState.MAINTENANCE

    def all_run() -> bool:
        for person, clone in zip(people, cluster.clones("seat"), strict=True):
            if clone.state == CloneState.STOPPED:
                person.launch()
        return all(clone.state == CloneState.RUNNING for clone in cluster.clones("seat"))

    wait_until(all_run, 120, "all run at last", poll=1)
    assert [line for person in people for line in person.wrong] == []
    rows = {clone.name: clone.node.name for clone in cluster.clones("seat")}
    assert drained.name not in rows.values()

    def stand_once() -> bool:
        seen = {(name, node.name) for node in cluster.lab.nodes for name in cluster.domains(node) if name in rows}
        return seen == set(rows.items())

    wait_until(stand_once, 60, "each stands once, where its row says")
    for node in cluster.lab.nodes:
        for name in (name for name, where in rows.items() if where == node.name):
            assert_ticks(node, name)
    wait_until(lambda: not cluster.disks(drained, "seat"), 60, "nothing of them is left on it")
