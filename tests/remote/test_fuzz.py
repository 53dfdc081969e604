"""Whatever a host answers to a command is read as typed, bounded values, or refused as none: by no other error."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ravada_web.messages.foreign import LONGEST_NAME, LONGEST_PATH, LONGEST_TAIL, MOST_BYTES, is_name, json_object
from ravada_web.remote import files, foreign_images, image_headers, libvirt_daemon, offers, sampling, survey
from ravada_web.remote.login import _address
from tests.support.fuzzing import ODD, figures, fuzzed, soup, spoilt

REFUSED = (ValueError, LookupError)
PATH = "/pool"
LOOK = "load {}\ntotal {}\navailable {}\nnow {}\nid {}\nroom={}={}={}=/pool\n"
SAMPLE = spoilt(LOOK, "0.5", "16", "9", "1.5", "a" * 32, "4096", "9", "3").map(
    lambda said: said.encode(errors="replace")
)


@fuzzed(0.12)
@given(SAMPLE | soup(b"load 0.5\n", b"total 16\n", b"available 9\n", b"now 1.5\n", b"id \n", b"room=1=2=", b"=/pool\n"))
def test_the_look_at_a_host(raw: bytes) -> None:
    with suppress(*REFUSED):
        seen = sampling._parse(raw, [PATH])
        assert 0 <= seen.load1 <= sampling.MOST_LOAD and 0 <= seen.now <= sampling.MOST_SECONDS
        assert 0 <= seen.memory_total_mib <= 1 << 30 and 0 <= seen.memory_available_mib <= 1 << 30
        assert all(0 <= size <= MOST_BYTES for room in seen.disks.values() for size in room)


@fuzzed(0.08)
@given(soup(b"12 8 /pool/a\0", b"1 1 ", b"/pool/b", b"\0"))
def test_lists_of_files(raw: bytes) -> None:
    with suppress(*REFUSED):
        for file in files.parse_list(raw):
            assert 0 <= file.size <= MOST_BYTES and 0 <= file.allocated <= MOST_BYTES
            assert 0 < len(file.path.encode(errors="surrogateescape")) <= LONGEST_PATH and "\0" not in file.path


@fuzzed(0.06)
@given(soup(b"file 12 34 2026-01-01 10:00:00.0 +0000 /pool/a\n", b"file ", b"12 34 2026-01-01 10:00 +0000 /pool/b"))
def test_files_as_they_stand(raw: bytes) -> None:
    for state in files.parse_stat(raw).values():
        assert 0 <= state.size <= MOST_BYTES and len(state.stamp) <= files.LONGEST_STAMP
        assert state.stamp.encode()


@fuzzed(0.06)
@given(soup(b"card\0", b"bridge\0", b"file\0", b"eth0\0", b"br0\0", b"/pool\0"))
def test_cards_and_bridges(raw: bytes) -> None:
    seen = offers.parse_offers(raw, [PATH])
    assert {*seen.files} <= {PATH} and len(seen.bridges) <= offers.MOST_NAMES
    assert all(is_name(name) and len(name) <= LONGEST_NAME for name in (*seen.bridges, *seen.cards))


PARTS = st.dictionaries(st.sampled_from(survey.PARTS), figures, max_size=2)
LISTENING = figures.map(lambda port: f'LISTEN 0 128 0.0.0.0:{port} 0.0.0.0:* users:(("x",pid=1,fd=3))')
FIREWALL = st.lists(
    st.sampled_from(
        ["hook input ", "policy drop", "22 ALLOW IN ", "# ravada", "services:", " ssh", "rule family", "\n"]
    )
    | st.sampled_from(ODD),
    max_size=6,
).map("".join)


@fuzzed(0.1)
@given(PARTS, LISTENING, FIREWALL)
def test_surveys(parts: dict[str, str], listening: str, firewall: str) -> None:
    said = dict.fromkeys(survey.PARTS, "") | {"listening": listening, "nft_other": firewall, "ufw": firewall} | parts
    raw = "\0".join(word for pair in said.items() for word in pair).encode(errors="replace")
    read = survey.parse_parts(raw)
    with suppress(*REFUSED):
        seen = survey._survey(dict.fromkeys(survey.PARTS, "") | read, 100.0, 1.0)
        assert abs(seen.clock_ahead) <= sampling.MOST_SECONDS and len(seen.machine_id) <= 32
        assert all(1 <= listener.port <= 65535 for listener in seen.listeners)
        assert all(len(text) <= survey.LONGEST for text in (seen.processor, seen.pretty_name, seen.distribution))


def document(size: Any, image_format: Any, specific: Any, names: Any) -> bytes:
    seen = {"format": image_format, "virtual-size": size, "actual-size": size, "format-specific": specific}
    return json.dumps(seen | {"snapshots": names, "backing-filename": image_format}).encode()


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | figures
NESTED = ANYTHING | st.lists(ANYTHING, max_size=3) | st.dictionaries(st.sampled_from(["data", "name", "x"]), ANYTHING)
INFO = st.builds(document, ANYTHING, st.just("qcow2") | NESTED, NESTED, NESTED | st.lists(NESTED, max_size=3))


@fuzzed(0.1)
@given(INFO | soup(b'{"format": "raw", "virtual-size": ', b', "actual-size": 7}', b"[", b"{}"))
def test_disk_images(raw: bytes) -> None:
    with suppress(*REFUSED):
        info = foreign_images._info(image_headers.Header("qcow2"), "qcow2", json_object(raw))
        assert 0 <= info.virtual_size <= MOST_BYTES
        texts = [text for text in (info.backing_file, info.data_file, *info.snapshots) if text]
        assert all(len(text) <= LONGEST_TAIL + 1 and text.isprintable() for text in texts)


@fuzzed(0.1)
@given(soup(b"installed libvirtd\n", b"running virtqemud\n", b"said ", b"answers yes\n"))
def test_libvirt_on_a_host(raw: bytes) -> None:
    seen = libvirt_daemon.read(raw.splitlines())
    assert seen.said.isprintable() and len(seen.said) <= LONGEST_TAIL + 1


@fuzzed(0.04)
@given(figures | st.from_regex(r"\A[0-9a-f:.%]{1,80}\Z"))
def test_our_own_address_as_a_host_sees_it(said: str) -> None:
    assert len(_address(said)) <= 64
