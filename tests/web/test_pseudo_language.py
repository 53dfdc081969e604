"""Every page of the URL map in a pseudo-language: what is outside of its marks is data, or not from the catalogue."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Base, Clone, Group, Node, Pool, User, UserSession
from ravada_web.services.lifecycle import fence_agents
from ravada_web.services.operations.kinds import QUEUES
from ravada_web.translations import LANGUAGES, Catalogues
from tests.conftest import People
from tests.support.pseudo import Pseudo, pseudo, unmarked
from tests.web.conftest import World
from tests.web.url_table import TABLE

SignInAs = Callable[[User | str], FlaskClient]
# Answers that are no pages: files, fragments of data, addresses for programs.
NO_PAGES = {
    "GET /static/{filename}",
    "GET /audit/export",
    "GET /users/download",
    "GET /nodes/{node_id}/samples",
    "GET /users/suggestions",
    "GET /healthz",
    "GET /readyz",
    "POST /console/{clone_id}/ticket",
}
# Names of products, protocols, units and keys, which are the same in every language.
PROPER = """
Ravada Web SSH CPU SHA libvirt QEMU KVM SPICE VNC HTTPS UTC Redis PostgreSQL SQLite CSV UTF XML UEFI BIOS MAC NAT IP
KiB MiB GiB TiB B s min h d ms Ctrl Alt Del virtio vda qcow2 raw ssh ed25519 RSA JSON SMTP
"""
# Of the operations of the fixture.
TITLES = "mine theirs"
WORD = re.compile(r"[^\W\d_]{2,}")


def pages() -> list[str]:
    """The routes that show an administrator a page, or lead to one with what was done."""
    statuses = {route: answers.split("|")[-1].strip() for route, answers in TABLE.items() if route not in NO_PAGES}
    return sorted(route for route, status in statuses.items() if status in ("200", "303", "404", "409", "422"))


def data() -> set[str]:
    """The names in the rows, word by word, in lower case."""
    columns = (Node.name, Node.user, Base.name, Clone.name, User.name, Group.name, UserSession.agent, Pool.name)
    names = [str(name) for column in columns for name in db.session.scalars(select(column))]
    domains = [name for names in db.session.scalars(select(Node.other_domains)) for name in names]
    known = [*names, *domains, *fence_agents.installed(), *QUEUES, *LANGUAGES.values(), PROPER, TITLES]
    return {word.lower() for name in known for word in WORD.findall(name)}


def untranslated(html: str, known: set[str]) -> list[str]:
    """The texts with a word that is neither known nor a part of a path or an address."""
    found = []
    for text in unmarked(html):
        words = [
            word
            for part in text.split()
            if not set(part) & set("/@") and ".qcow2" not in part
            for word in WORD.findall(part)
        ]
        if any(word.lower() not in known for word in words):
            found.append(text)
    return found


def test_the_pseudo_language_marks_words_and_keeps_the_rest() -> None:
    assert pseudo("Start %(name)s, <b>100 %%</b>") == "⟦Ŝţåŕţ %(name)s, <b>100 %%</b>⟧"
    html = '<p title="Stop">⟦Ŝţåŕţ ⟦n1⟧ x <b>y</b>⟧ and <code>go</code></p><input type="submit" value="Send">⟦a⟧ 12'
    assert unmarked(html) == ["Stop", "and", "Send"]


@pytest.mark.parametrize("route", pages())
def test_every_text_of_a_page_is_from_the_catalogue(
    route: str,
    client: FlaskClient,
    sign_in: SignInAs,
    objects: dict[str, dict[str, int | str]],
    world: World,
    people: People,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sign_in(people.administrator)
    known = data()
    # What is stored was written before, by somebody of another language.
    monkeypatch.setattr(Catalogues, "get_translations", lambda _self: Pseudo())
    method, pattern = route.split(" ", 1)
    chosen = objects["foreign"]["operation_id" if "/operations" in pattern else "clone_id"]
    more = {"query_string": {"id": chosen}} if method == "GET" else {"data": {"id": chosen}}
    answer = client.open(pattern.format(**objects["foreign"]), method=method, follow_redirects=True, **more)
    assert answer.mimetype == "text/html" and answer.status_code < 500
    assert untranslated(answer.text, known) == []
