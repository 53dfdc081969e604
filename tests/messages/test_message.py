"""Messages: what they say, how they are kept, and that neither a kind without a text nor odd figures break a page."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from flask_babel import force_locale
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from ravada_web.errors import InvalidInput, RavadaError
from ravada_web.messages import NOTHING, Message, message, sentences, text
from ravada_web.messages.marks import Plural
from ravada_web.messages.texts import TEXTS

SOME = {
    "tests.cancelled": "Cancelled by %(name)s.",
    "tests.copied": Plural("%(count)s disk copied to %(nodes)s.", "%(count)s disks copied to %(nodes)s."),
    "tests.why": "It failed: %(why)s",
    "tests.all": "Failed: %(reasons_clauses)s.",
}


@pytest.fixture(autouse=True)
def some_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, template in SOME.items():
        monkeypatch.setitem(TEXTS, kind, template)


def test_a_message_says_its_text_with_its_figures() -> None:
    said = message("tests.cancelled", name="alice")
    assert (str(said), f"{said}", f"{said:>21}", bool(said)) == (
        "Cancelled by alice.",
        "Cancelled by alice.",
        "  Cancelled by alice.",
        True,
    )
    assert (str(NOTHING), bool(NOTHING), NOTHING.dumps()) == ("", False, "")


def test_one_and_many() -> None:
    assert str(message("tests.copied", count=1, nodes=["n1"])) == "1 disk copied to n1."
    assert str(message("tests.copied", count=1200, nodes=["n1", "n2"])) == "1,200 disks copied to n1 and n2."


def test_messages_within_messages() -> None:
    inner = message("tests.cancelled", name="alice")
    assert str(message("tests.why", why=inner)) == "It failed: Cancelled by alice."
    listed = message("tests.all", reasons_clauses=[inner, text("no space left")])
    assert str(listed) == "Failed: Cancelled by alice.; no space left."
    assert str(sentences(inner, "", text("Retry."))) == "Cancelled by alice. Retry."
    assert sentences("", inner) == inner and sentences() == NOTHING


def test_what_is_said_is_escaped_on_a_page() -> None:
    said = message("tests.cancelled", name="<script>")
    assert str(escape(said)) == "Cancelled by &lt;script&gt;."


def test_a_kind_without_a_text_shows_itself(caplog: pytest.LogCaptureFixture) -> None:
    assert (
        str(message("tests.unheard_of", name="alice", size_mib=1024))
        == "tests.unheard_of (name: alice, size_mib: 1 GiB)"
    )
    assert "tests.unheard_of" in caplog.text


def test_other_figures_than_the_text_has_show_themselves() -> None:
    assert str(message("tests.cancelled", who="alice")) == "tests.cancelled (who: alice)"
    assert str(message("tests.copied", nodes=["n1"])) == "tests.copied (nodes: n1)"


names = st.sampled_from(["name", "count", "nodes", "reasons_clauses", "size_mib", "at", "why"])
kinds = st.sampled_from([*SOME, "tests.unheard_of"])
plain = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
messages = st.builds(Message, kinds, st.dictionaries(names, plain, max_size=3))
figures = plain | messages | st.lists(plain | messages, max_size=2)


@given(kind=kinds, found=st.dictionaries(names, figures, max_size=4))
def test_every_message_is_kept_and_worded(kind: str, found: dict[str, object]) -> None:
    said = Message(kind, found)
    assert Message.loads(said.dumps()) == said and "\n" not in said.dumps()
    assert isinstance(str(said), str)
    assert Message.from_json(said.to_json()) == said and hash(Message.loads(said.dumps())) == hash(said)


def test_the_order_of_figures_does_not_count() -> None:
    assert len({Message("tests.why", {"why": 1, "name": 2}), Message("tests.why", {"name": 2, "why": 1})}) == 1


@given(st.text())
def test_a_plain_text_of_before_is_kept_as_it_is(kept: str) -> None:
    assert str(Message.loads(kept)) == kept or kept.startswith("{")
    assert str(Message.from_json(kept)) == kept


@pytest.mark.parametrize("odd", ["{", "{}", '{"a": 1}', '{"kind": 3}', "[1]", "null", '{"figures": {}}'])
def test_a_text_that_looks_like_json_is_a_text(odd: str) -> None:
    assert str(Message.loads(odd)) == odd


def test_a_hostile_text_does_not_become_a_message() -> None:
    hostile = message("tests.cancelled", name="mallory").dumps()
    assert str(Message.loads(text(hostile).dumps())) == hostile


def test_a_moment_is_kept() -> None:
    said = message("tests.why", why_at=datetime(2026, 11, 27, 3, 4, 5, tzinfo=UTC))
    assert Message.loads(said.dumps()).figures == {"why_at": "2026-11-27T03:04:05+00:00"}


def test_errors_carry_messages_or_plain_texts(app: Flask) -> None:
    assert str(RavadaError(message("tests.cancelled", name="alice"))) == "Cancelled by alice."
    plain = RavadaError("It is locked.")
    assert (str(plain), plain.message) == ("It is locked.", text("It is locked."))
    wrong = InvalidInput({"name": "Enter a name.", "port": message("tests.cancelled", name="alice")})
    assert str(wrong) == "Enter a name. Cancelled by alice." and list(wrong.fields) == ["name", "port"]
    with force_locale("es"):
        assert str(message("tests.copied", count=1200, nodes=["n1", "n2"])) == "1.200 disks copied to n1 y n2."
