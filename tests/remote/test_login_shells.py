"""Commands past login shells of all kinds: greetings, other syntaxes, endless words, and shells that run nothing."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ravada_web.remote import transfer
from ravada_web.remote.commands import run
from ravada_web.remote.errors import CommandFailed, DeadlineExceeded, UnreadableAnswer
from ravada_web.remote.files import file_size
from ravada_web.remote.images import sha256
from ravada_web.remote.login import examine_login
from ravada_web.remote.login_shells import MARK, after_mark, line_for
from ravada_web.remote.sampling import sample
from ravada_web.remote.survey import survey
from tests.support.sshd import Place, ssh_place

HOSTILE = ["$(id)", "`id`", "a;b", "'", '"', "a\nb", "*", "-n", "~root", "\\", "\\'", "!!", "a!b", "^x^y", "", "é",
           "%s", "{a,b}", "[a]", "=ls", "# no comment", "a\\", "\x1b[2J", "\t", "x" * 3000, "!" * 900]  # fmt: skip
SCRIPT = '#!/bin/sh\n# A login shell of somebody\'s own.\necho Welcome; echo careful >&2\nshift; eval "$1"\n'


@pytest.fixture(params=["bash", "dash", "tcsh", "fish", "zsh", "ksh", "busybox", "of one's own"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """A shell's words before "-c"."""
    if request.param == "of one's own":
        own = tmp_path / "shell"
        own.write_text(SCRIPT)
        own.chmod(0o755)
        return [str(own)]
    if shutil.which(request.param) is None:
        pytest.skip(f"not installed: {request.param}")
    return [request.param, "sh"] if request.param == "busybox" else [request.param]


def test_every_shell_hands_the_words_on_as_they_are(shell: list[str]) -> None:
    line = line_for(["printf", r"%s\0", *HOSTILE])
    done = subprocess.run([*shell, "-c", line], capture_output=True, check=True)
    assert (after_mark(done.stdout) or b"").decode().split("\0")[:-1] == HOSTILE
    assert after_mark(done.stderr) == b""


def test_input_and_status_pass_every_shell(shell: list[str]) -> None:
    line = line_for(["sh", "-c", "cat; echo bad >&2; exit 3"])
    done = subprocess.run([*shell, "-c", line], capture_output=True, check=False, input=b"\0in\n")
    assert (done.returncode, after_mark(done.stdout), after_mark(done.stderr)) == (3, b"\0in\n", b"bad\n")


def test_a_shell_that_traces_says_no_mark_of_its_own() -> None:
    done = subprocess.run(["bash", "-x", "-c", line_for(["echo", "in"])], capture_output=True, check=True)
    assert done.stderr.startswith(b"+ ")
    assert (done.stderr.count(MARK), after_mark(done.stdout), after_mark(done.stderr)) == (1, b"in\n", b"")


GREETING = """echo Welcome to kvm7; echo Last login: never >&2; echo load 99; printf 'clock\\0x\\0 (50/100%%)'"""


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """An sshd behind which every login meets a shell of the test's own."""
    with ssh_place() as made:
        public_line = (made.folder / "sshd" / "authorized_keys").read_text().strip()
        made.sshd.authorize(f'command="{made.folder}/shell" {public_line}')
        yield made


def greets(place: Place, words: str, then: str = 'exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"') -> None:
    """From now on every login begins with these commands."""
    shell = place.folder / "shell"
    shell.write_text(f"#!/bin/sh\n{words}\n{then}\n")
    shell.chmod(0o755)


def test_a_greeting_is_no_answer(place: Place, tmp_path: Path) -> None:
    greets(place, GREETING)
    assert run(place.workspace, place.target, ["cat"], stdin=b"\x1erava", deadline=10) == b"\x1erava"
    seen = sample(place.workspace, place.target, ["/"], deadline=10)
    assert seen.load1 < 99 and list(seen.disks) == ["/"]
    assert abs(survey(place.workspace, place.target).clock_ahead) < 5
    assert examine_login(place.workspace, place.target, deadline=10).power == "root"
    (tmp_path / "file").write_bytes(b"0123456789")
    assert file_size(place.workspace, place.target, str(tmp_path / "file")) == 10
    assert len(sha256(place.workspace, place.target, str(tmp_path / "file"))) == 64


def test_what_a_greeting_says_is_not_taken_for_the_error(place: Place) -> None:
    greets(place, GREETING)
    with pytest.raises(CommandFailed) as caught:
        run(place.workspace, place.target, ["sh", "-c", "echo so >&2; exit 3"], deadline=10)
    assert (caught.value.status, caught.value.stderr) == (3, "so")


@pytest.mark.parametrize(("far_source", "far_dest"), [(True, False), (False, True), (True, True)])
def test_a_greeting_is_in_no_copy(place: Place, tmp_path: Path, far_source: bool, far_dest: bool) -> None:
    greets(place, GREETING)
    (tmp_path / "original").write_bytes(b"whole" * 300_000)
    ends = [place.target if far else place.local for far in (far_source, far_dest)]
    paths = [str(tmp_path / "original"), str(tmp_path / "copy")]
    transfer.copy_file(
        place.workspace, ends[0], paths[0], ends[1], paths[1], size=1_500_000, on_progress=lambda _bytes: None
    )
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "original").read_bytes()


@pytest.mark.parametrize("status", [0, 142])
def test_a_login_that_runs_nothing_has_its_words_told_and_nothing_taken_for_done(place: Place, status: int) -> None:
    greets(place, "echo 'Please login as the user debian'", f"exit {status}")
    with pytest.raises(UnreadableAnswer, match=r"runs no commands\. It said: Please login as the user debian"):
        run(place.workspace, place.target, ["rm", "-f", "/no/such"], deadline=10)


@pytest.mark.parametrize("words", ["cat /dev/zero", "cat /dev/zero >&2"])
def test_a_greeting_without_end_is_stopped(place: Place, words: str) -> None:
    greets(place, words)
    began = time.monotonic()
    with pytest.raises((UnreadableAnswer, DeadlineExceeded)):
        run(place.workspace, place.target, ["true"], deadline=3)
    assert time.monotonic() - began < 10


def test_an_answer_without_end_is_stopped_and_costs_no_memory(place: Place) -> None:
    greets(place, ":")
    for where in (place.target, place.local):
        with pytest.raises(UnreadableAnswer, match=r"wrote more than 1 MiB and was stopped"):
            run(place.workspace, where, ["cat", "/dev/zero"], deadline=20)
    assert len(run(place.workspace, place.target, ["head", "-c", "1048576", "/dev/zero"], deadline=20)) == 1 << 20


def test_an_answer_that_trickles_is_ended_at_its_deadline(place: Place) -> None:
    greets(place, ":")
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        run(place.workspace, place.target, ["sh", "-c", "while sleep 0.1; do echo; done"], deadline=1)
    assert time.monotonic() - began < 3
