"""The reader of requests: whatever it is given, it makes one of the commands that are known of it, or refuses."""

import json

from hypothesis import given
from hypothesis import strategies as st

from ravada_web.helper.requests import LONGEST_WORD, Refused, parse
from ravada_web.remote.verbs import VERBS

LIKELY = ["/a", "/a/../b", "-x", "qcow2", "op-1-1", "f" * 64, "\ud800"]
TEXTS = st.text(st.characters(), max_size=40) | st.sampled_from(LIKELY)
NUMBERS = st.integers() | st.floats() | st.booleans() | st.none()
ANYTHING = st.recursive(TEXTS | NUMBERS, lambda inner: st.lists(inner, max_size=5), max_leaves=8)
REQUESTS = st.fixed_dictionaries(
    {
        "verb": st.sampled_from(sorted(VERBS)) | TEXTS,
        "arguments": st.lists(TEXTS | st.integers(-9, 1 << 70), max_size=7) | ANYTHING,
        "seconds": st.floats(0.1, 900) | NUMBERS,
    }
)


def harmless(raw: bytes) -> None:
    """It is refused, or is one of the known commands, its fixed words as they are."""
    try:
        request = parse(raw)
    except Refused:
        return
    verb, call = request.call.verb, request.call
    assert VERBS[verb.name] is verb
    assert all(given == word for given, word in zip(call, verb.words, strict=False) if isinstance(word, str))
    assert not any("\0" in word for word in call if word not in verb.words)
    assert all(len(word.encode("utf-8", "surrogateescape")) <= LONGEST_WORD for word in call)
    assert request.seconds is None or request.seconds > 0


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    harmless(raw)


@given(REQUESTS)
def test_any_request(said: dict[str, object]) -> None:
    harmless(json.dumps(said).encode())
