"""The language of a page: the account's, else the browser's, else the installation's; and what follows it."""

import csv
import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import get_locale

from ravada_web import create_app
from ravada_web.config import Settings
from ravada_web.extensions import babel, db
from ravada_web.messages import message
from ravada_web.models import User
from ravada_web.services.audit import events
from ravada_web.services.people import users
from ravada_web.services.transaction import transaction
from tests.conftest import People

SignIn = Callable[[User | str], FlaskClient]
SPANISH = {"Accept-Language": "es-MX,es;q=0.9,en;q=0.5"}


def lang(client: FlaskClient, path: str = "/login", headers: dict[str, str] | None = None) -> str:
    found = re.search(r'<html lang="(\w+)"', client.get(path, headers=headers).text)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("es", "es"),
        ("es-MX", "es"),
        ("fr, es;q=0.5, en;q=0.2", "es"),
        ("en-GB, es;q=0.9", "en"),
        ("fr", "en"),
        ("", "en"),
    ],
)
def test_before_there_is_an_account_the_browser_says(client: FlaskClient, asked: str, shown: str) -> None:
    answer = client.get("/login", headers={"Accept-Language": asked})
    assert f'<html lang="{shown}"' in answer.text
    assert "Accept-Language" in answer.headers["Vary"]


def test_the_account_comes_before_the_browser(people: People, client: FlaskClient, sign_in: SignIn) -> None:
    sign_in(people.user)
    assert (lang(client, "/account"), lang(client, "/account", SPANISH)) == ("en", "es")
    answer = client.post("/account/language", data={"language": "en"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")
    assert lang(client, "/account", SPANISH) == "en"
    assert '<option selected value="en">English</option>' in client.get("/account").text
    client.post("/account/language", data={"language": ""})
    assert lang(client, "/account", SPANISH) == "es"


def test_a_language_that_is_not_there_is_refused(people: People, client: FlaskClient, sign_in: SignIn) -> None:
    sign_in(people.user)
    answer = client.post("/account/language", data={"language": "tlh"})
    assert answer.status_code == 422 and 'id="language-error"' in answer.text
    db.session.refresh(people.user)
    assert people.user.language == ""


def test_one_reader_after_another_each_has_theirs(people: People, client: FlaskClient, sign_in: SignIn) -> None:
    users.set_language(people.user, "es")
    users.set_language(people.operator, "en")
    for who, shown in (("user", "es"), ("operator", "en"), ("user", "es")):
        assert lang(sign_in(who), "/account") == shown


def test_numbers_follow_the_language(world: object, people: People, client: FlaskClient, sign_in: SignIn) -> None:
    users.set_language(people.administrator, "es")
    page = sign_in("administrator").get("/clones").text
    assert re.search(r"\d,\d [KMG]iB", page) and not re.search(r"\d\.\d [KMG]iB", page)


def test_the_audit_log_is_exported_in_the_language(people: People, client: FlaskClient, sign_in: SignIn) -> None:
    with transaction() as session:
        events.record(session, None, "edit", people.user, message("people.quota_memory", most_mib=1536))
    for language, size in (("es", "1,5 GiB"), ("en", "1.5 GiB")):
        users.set_language(people.administrator, language)
        lines = csv.DictReader(sign_in("administrator").get("/audit/export?action=edit").text.splitlines())
        assert size in next(lines)["text"]


def test_without_a_reader_the_installation_says(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"language": "es"}))
    with app.app_context():
        assert str(get_locale()) == "es"
        assert '<html lang="es"' in app.test_client().get("/login").text
    with app.test_request_context(headers={"Accept-Language": "en"}):
        assert str(get_locale()) == "en"


def test_a_message_is_worded_for_each_reader(app: Flask, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    said = message("people.no_language")
    catalogues = babel.domain_instance.cache
    english = str(said)

    class Spanish:
        def ugettext(self, text: str) -> str:
            return f"es: {text}"

    monkeypatch.setitem(catalogues, "es", Spanish())
    with app.test_request_context(headers={"Accept-Language": "es"}):
        app.preprocess_request()
        assert str(said) == f"es: {english}"
    with app.test_request_context(headers={"Accept-Language": "en"}):
        app.preprocess_request()
        assert str(said) == english
