"""The helper: what a worker asks it for, and all that it refuses, whoever asks."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from ravada_web.helper import displays, places
from ravada_web.helper.requests import LONGEST_REQUEST, Refused
from ravada_web.remote import files, foreign_files, images, overlays
from ravada_web.remote.commands import popen, run
from ravada_web.remote.displays import display_opened
from ravada_web.remote.errors import CommandFailed, DeadlineExceeded, DisplayGone, RemoteError, UnreadableAnswer
from ravada_web.remote.offers import read_offers
from ravada_web.remote.sampling import sample
from ravada_web.remote.survey import survey
from ravada_web.remote.target import COMMANDS, Workspace
from ravada_web.remote.transfer import READ, WRITE, copy_file
from ravada_web.remote.verbs import VERBS, Call, Kind, Place, Verb, known
from tests.support.helpers import ASKER, HERE, helper, libvirt_of
from tests.support.processes import tree
from tests.support.servers import wait_until

REFUSED = 126
# Commands that only tests know; the helper has them as it is forked from here.
FOREVER = known(Verb("test_forever", ("sh", "-c", "echo begun; sleep 86413; :")))
FLOOD = known(Verb("test_flood", ("cat", "/dev/zero")))


@dataclass
class World:
    """A helper, the workspace that it serves in, and what is where."""

    workspace: Workspace
    pool: Path
    odd: Path
    outside: Path
    named: Path
    pid: int


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    top = tmp_path_factory.mktemp("h")
    pool, odd, outside = top / "pool", top / "--all", top / "outside"
    for folder in (pool, odd, outside, pool / "within"):
        folder.mkdir(mode=0o711)
    run_dir = Path(tempfile.mkdtemp(prefix="rwh-"))
    run_dir.chmod(0o711)
    named = outside / "named.qcow2"
    for path in (pool / "a", odd / "-rf", outside / "secret", named):
        path.write_text(f"of {path.name}")
    (pool / "link").symlink_to(outside / "secret")
    (pool / "way").symlink_to(outside)
    uri = libvirt_of(top, {"default": pool, "--all": odd}, [named])
    workspace = Workspace(run_dir, top / "key", helper=run_dir / "helper")
    try:
        with helper(workspace, uri) as pid:
            yield World(workspace, pool, odd, outside, named, pid)
    finally:
        shutil.rmtree(run_dir)


def refusal(act: Callable[[], object]) -> str:
    """What the helper said as it refused."""
    with pytest.raises(CommandFailed) as caught:
        act()
    assert caught.value.status == REFUSED, caught.value
    return str(caught.value)


def test_what_remote_does_on_a_node_the_helper_does_here(world: World) -> None:
    """Every kind of work, as it is: nothing is run by this process itself, or it would reach what is outside."""
    where = (world.workspace, HERE)
    pool, disk = world.pool, world.pool / "disk.qcow2"
    overlays.make_empty(*where, str(disk), 1 << 20, deadline=30)
    assert images.inspect(*where, str(disk), "qcow2", deadline=30).virtual_size == 1 << 20
    assert images.measure(*where, str(disk), "qcow2") > 0
    flat = pool / ".flat.op-1-1.part"
    images.flatten(*where, str(disk), "qcow2", str(flat), deadline=60)
    digest = images.sha256(*where, str(flat))
    images.publish(*where, str(flat), str(pool / "base.qcow2"), digest)
    assert images.block_manifest(*where, str(pool / "base.qcow2"), 1 << 22) == [digest]
    overlays.make_template(*where, str(pool / "base.qcow2"), str(pool / "template"), 1 << 20, "op-1-1")
    overlays.make_overlays(*where, str(pool / "template"), [str(pool / "c1"), str(pool / "-c2")], "op-1-1")
    assert (pool / "-c2").read_bytes() == (pool / "template").read_bytes()
    size = (pool / "c1").stat().st_size
    assert files.file_size(*where, str(pool / "c1")) == size
    copy_file(world.workspace, HERE, str(pool / "c1"), HERE, str(world.odd / "-c"), size=size, on_progress=print)
    assert (world.odd / "-c").read_bytes() == (pool / "c1").read_bytes()
    seen = {Path(file.path).name for file in files.list_tree(*where, [str(pool), str(world.odd)], 30)}
    assert {"c1", "-c2", "-c", "-rf"} <= seen and "secret" not in seen
    left = pool / ".c3.op-1-1.part"
    left.write_text("")
    assert files.list_temporary(*where, [str(pool)]) == [str(left)]
    files.remove_leftovers(*where, [str(left)])
    files.remove_files(*where, [str(pool / "c1"), str(world.odd / "-c")])
    assert not left.exists() and not (pool / "c1").exists() and not (world.odd / "-c").exists()
    looked = sample(*where, [str(pool)], 30, files=[str(pool / "template")])
    assert list(looked.disks) == [str(pool)] and str(pool / "template") in looked.files
    assert str(pool / "a") in read_offers(*where, [str(pool / "a"), "/etc/shadow"], 30).files
    assert survey(*where, deadline=60).arch


def test_a_disk_that_a_machine_names_is_read_wherever_it_is_and_not_written(world: World) -> None:
    where, named = (world.workspace, HERE), str(world.named)
    assert foreign_files.read_head(*where, named, 99, deadline=30).raw == b"of named.qcow2"
    assert "storage pool" in refusal(lambda: files.remove_files(*where, [named]))
    assert "storage pool" in refusal(lambda: images.sha256(*where, named))
    assert world.named.exists()


def asked(path: str) -> list[tuple[str, Call]]:
    """Each command of the product with this path in place of each that may not be left out."""
    plain = {str: "x", int: 1}
    calls = []
    for verb in VERBS.values():
        kinds = [*verb.kinds(len(verb.words) - len([word for word in verb.words if isinstance(word, str)]))]
        kinds += [verb.each] if verb.each else []
        if not any(kind.place and not kind.optional and kind.place is not Place.DISPLAY for kind in kinds):
            continue
        arguments = [path if kind.place else _plain(kind, plain) for kind in kinds]
        with suppress(ValueError):  # a leftover is called like one
            calls.append((verb.name, verb(*arguments)))
    return calls


def _plain(kind: Kind, some: dict[type, str | int]) -> str | int:
    known_kinds = ("0" * 64, "qcow2", "00000000-0000-0000-0000-000000000000", "tpm2/tpm2-00.permall")
    for argument in (*some.values(), *known_kinds):
        with suppress(ValueError):
            kind.read(argument)
            return argument
    raise AssertionError(kind)


COMMANDS_WITH_PATHS = {name for name, _call in asked("/p/.x.op-1-1.part")}


def test_the_commands_are_those_that_a_local_node_needs() -> None:
    assert {*VERBS} - {FOREVER.name, FLOOD.name} == COMMANDS_WITH_PATHS | {
        "display", "sample", "sample_disks", "sample_files", "offers", "survey", "spice_authority", "list_tree",
        "list_temporary", "list_ours", "states", "room", "read_tpm", "make_move_room", "await_move_sockets",
            "remove_move_rooms",
    }  # fmt: skip
    assert len(COMMANDS_WITH_PATHS) >= 18


@pytest.mark.parametrize("name", sorted(COMMANDS_WITH_PATHS))
def test_no_command_touches_a_path_outside_of_the_pools(world: World, name: str) -> None:
    secret, leftover = world.outside / "secret", ".x.op-1-1.part"
    bad = [
        "/etc/shadow", "/", str(secret), f"{world.pool}/../outside/secret", f"{world.pool}/way/secret",
        f"{world.pool}/./a", f"{world.pool}//a", f"/{world.pool}/a", f"{world.pool}x/a", f"{world.pool}/a/",
        f"{world.pool}/way/{leftover}", f"{world.pool}/../outside/{leftover}", f"/etc/{leftover}",
    ]  # fmt: skip
    for path in bad:
        for call in (call for other, call in asked(path) if other == name):
            refusal(lambda call=call: run(world.workspace, HERE, call, deadline=30))  # type: ignore[misc]
    assert secret.read_text() == "of secret"


def test_a_link_out_of_the_pool_is_not_gone_through(world: World) -> None:
    where, link = (world.workspace, HERE), str(world.pool / "link")
    for act in (
        lambda: images.sha256(*where, link),
        lambda: run(*where, READ(link), deadline=30),
        lambda: run(*where, WRITE(link), stdin=b"x", deadline=30),
        lambda: overlays.make_empty(*where, link, 1 << 20, deadline=30),
    ):
        assert "link" in refusal(act)
    # Read as an image it is opened by what follows no link, and says so.
    with pytest.raises(RemoteError) as caught:
        foreign_files.read_head(*where, link, 9, deadline=30)
    assert getattr(caught.value, "status", None) != REFUSED and "link" in str(caught.value)
    assert (world.outside / "secret").read_text() == "of secret"


def test_optional_paths_outside_are_as_if_they_were_not_there(world: World) -> None:
    where, secret = (world.workspace, HERE), str(world.outside / "secret")
    assert files.file_states(*where, [secret, str(world.pool / "a")]).keys() == {str(world.pool / "a")}
    assert files.list_tree(*where, [str(world.outside)], 30) == []
    assert sample(*where, [str(world.outside)], 30, files=[secret]).disks == {}
    assert read_offers(*where, [secret], 30).files == ()
    with pytest.raises(CommandFailed, match="no such folder"):
        files.free_space(*where, [str(world.pool), str(world.outside)])
    for verb in (files.LIST_TREE, files.LIST_TEMPORARY):
        assert run(*where, verb(), deadline=30) == b""


def test_words_of_ones_own_are_not_run(world: World) -> None:
    refusal(lambda: run(world.workspace, HERE, ["sh", "-c", "id"], deadline=30))


def test_a_folder_that_the_asker_may_write_to_is_not_gone_through(world: World, tmp_path: Path) -> None:
    asker = places.Askers(frozenset({0, ASKER}))
    own = places.Places(libvirt_of(tmp_path, {"p": tmp_path / "p"}), asker)
    path = tmp_path / "p" / "within" / "a"
    path.parent.mkdir(parents=True)
    own.checked(READ(str(path)))
    for folder in (path.parent, path.parent.parent, tmp_path):
        for change in (lambda f: os.chown(f, ASKER, 0), lambda f: f.chmod(0o757)):  # type: ignore[misc]
            change(folder)
            with pytest.raises(Refused, match="others than root"):
                own.checked(READ(str(path)))
            os.chown(folder, 0, 0)
            folder.chmod(0o755)
    tmp_path.chmod(0o1777)  # as /tmp: what is root's in it stays where it is
    own.checked(READ(str(path)))


def ask(world: World, raw: bytes, descriptors: int = 3, half: bool = False) -> dict[str, int]:
    """What is answered to these bytes; {} where the connection is closed."""
    with socket.socket(socket.AF_UNIX) as plug, Path("/dev/null").open("r+b") as null:
        plug.settimeout(60)
        plug.connect(str(world.workspace.helper_socket))
        with suppress(BrokenPipeError, ConnectionResetError):
            sent = socket.send_fds(plug, [raw], [null.fileno()] * descriptors) if raw else 0
            plug.sendall(raw[sent:])
        if half:
            plug.shutdown(socket.SHUT_WR)
        try:
            said = plug.recv(4096)
        except ConnectionResetError:
            said = b""
    answer: dict[str, int] = json.loads(said) if said else {}
    return answer


def request(**changed: object) -> bytes:
    return json.dumps({"verb": "sample", "arguments": [], "seconds": 30} | changed).encode() + b"\n"


@pytest.mark.parametrize(
    "raw",
    [
        request(verb="sh"), request(verb="no such"), request(verb=None), request(verb={}), request(argv=["sh"]),
        request(verb="size", arguments=["/\0"]), request(verb="size", arguments=["/\udc00\ud800"]),
        request(verb="size", arguments=["relative"]), request(verb="size", arguments=[["/"]]),
        request(verb="size", arguments=[]), request(verb="size", arguments=["/a", "/b"]),
        request(verb="hash_blocks", arguments=["/a", "1; id"]), request(verb="hash_blocks", arguments=["/a", -1]),
        request(verb="hash_blocks", arguments=["/a", True]), request(verb="hash_blocks", arguments=["/a", 1 << 64]),
        request(verb="image_info", arguments=["/a", 1, "qcow2,file.filename=/etc/shadow"]),
        request(verb="make_overlays", arguments=["/a", "/b", "t", "../x"]),
        request(verb="make_overlays", arguments=["/a", "/b", "t/../..", "x"]),
        request(verb="remove_leftovers", arguments=["/a"]), request(arguments="x"), request(arguments={}),
        request(arguments=["/a"] * 5000), request(verb="size", arguments=["/" + "a" * 200_000]),
        request(seconds=-1), request(seconds="1"), request(seconds=True), request(seconds=float("nan")),
        request(seconds=1e300), b"\n", b"[]\n", b"{}\n", b"nonsense\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n",
    ],
)  # fmt: skip
def test_a_request_that_is_none_is_refused(world: World, raw: bytes) -> None:
    assert ask(world, raw) == {"status": REFUSED}


def test_a_request_without_end_or_half_sent_is_refused(world: World) -> None:
    assert ask(world, b"x" * (LONGEST_REQUEST + 70_000)) in ({"status": REFUSED}, {})
    assert ask(world, request()[:-1], half=True) == {"status": REFUSED}
    assert ask(world, b"", half=True) == {}
    for number in (0, 1, 2, 4):
        assert ask(world, request(), descriptors=number) == {"status": REFUSED}
    assert ask(world, request()) == {"status": 0}


CONNECT = """
import os, socket, sys
os.setgid(0); os.setuid(int(sys.argv[2]))
plug = socket.socket(socket.AF_UNIX)
plug.settimeout(60)
plug.connect(sys.argv[1])
try:
    plug.sendall(b"\\n")
    print(plug.recv(4096))
except ConnectionError:
    print(b"")
"""


def test_another_user_is_not_answered_even_at_an_open_door(world: World) -> None:
    """The sockets' rights keep others out; and were they lost, nobody else is answered."""

    def says(uid: int) -> str:
        door = str(world.workspace.helper_socket)
        words = [sys.executable, "-S", "-E", "-c", CONNECT, door, str(uid)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    assert world.workspace.helper
    seen = [path.stat() for path in world.workspace.helper.iterdir()]
    assert {(each.st_mode & 0o777, each.st_uid) for each in seen} == {(0o600, ASKER)} and len(seen) == 2
    assert "status" in says(ASKER)
    assert "PermissionError" in says(ASKER + 1)
    door = world.workspace.helper / COMMANDS
    door.chmod(0o666)
    try:
        assert says(ASKER + 1) == "b''"
    finally:
        door.chmod(0o600)


def sleepers(world: World) -> list[int]:
    return [pid for pid in tree(world.pid) if b"86413" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_command_ends_with_who_has_asked_for_it(world: World) -> None:
    process = popen(world.workspace, HERE, FOREVER())
    assert process.stdout and process.stdout.read(6) == b"begun\n"
    assert sleepers(world)
    process.kill()
    assert process.wait(30) == -9
    process.__exit__()
    wait_until(lambda: not sleepers(world), 30, "nothing of it is left")


def test_a_killed_worker_takes_its_command_along(world: World) -> None:
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            run(world.workspace, HERE, FOREVER(), deadline=600)
        os._exit(1)
    wait_until(lambda: sleepers(world), 30, "it is done")
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    wait_until(lambda: not sleepers(world), 30, "nothing of it is left")


def test_deadlines_and_bounds_hold(world: World) -> None:
    with pytest.raises(DeadlineExceeded):
        run(world.workspace, HERE, FOREVER(), deadline=0.5)
    with pytest.raises(UnreadableAnswer):
        run(world.workspace, HERE, FLOOD(), deadline=60)
    wait_until(lambda: not sleepers(world), 30, "nothing of it is left")


def test_many_at_once_are_all_answered(world: World) -> None:
    done: list[str] = []

    def work() -> None:
        done.append(images.sha256(world.workspace, HERE, str(world.pool / "a")))

    threads = [threading.Thread(target=work) for _number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 20 and len(set(done)) == 1


def test_a_display_comes_as_an_open_connection_and_nothing_else_does(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tmp_path / "domain-1-linux"
    machine.mkdir()
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as monitor:
        listening.bind(str(machine / "vnc.sock"))
        monitor.bind(str(machine / "monitor.sock"))
        for each in (listening, monitor):
            each.listen()
        with displays.connect(str(machine / "vnc.sock")) as plug:
            near, _address = listening.accept()
            with near:
                near.sendall(b"RFB 003.008\n")
                assert plug.recv(12) == b"RFB 003.008\n"
        # A machine that has got out of QEMU may put a link in the place of its display, or of its folder.
        (machine / "vnc.sock").unlink()
        (machine / "vnc.sock").symlink_to(machine / "monitor.sock")
        (tmp_path / "domain-2-linux").symlink_to(machine)
        for path in (machine / "vnc.sock", tmp_path / "domain-2-linux" / "vnc.sock"):
            with pytest.raises((Refused, OSError)):
                displays.connect(str(path))
    for path in (str(machine / "vnc.sock"), "/var/lib/libvirt/qemu/domain-1-x/monitor.sock",
                 "/run/libvirt/libvirt-sock", "/var/lib/libvirt/qemu/../../libvirt/qemu/x/vnc.sock"):  # fmt: skip
        with pytest.raises(DisplayGone, match=r"display|path"), display_opened(world.workspace, HERE, path):
            pass
