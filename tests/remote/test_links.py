"""The keeper of links, with a real sshd: sockets forwarded, what breaks is restarted, nothing is left behind."""

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from ravada_web.remote import links, passage
from ravada_web.remote.commands import popen, run
from ravada_web.remote.errors import DeadlineExceeded, LinksTaken
from ravada_web.remote.links import LinkKeeper, LinkState, link_is_up
from ravada_web.remote.target import accepts
from tests.support.servers import wait_until
from tests.support.sshd import Place, free_port, processes_of, ssh_place, start_sshd


class Echo(socketserver.StreamRequestHandler):
    """Answers one line with the same line in capitals."""

    def handle(self) -> None:
        self.wfile.write(self.rfile.readline().upper())


@pytest.fixture
def place() -> Iterator[Place]:
    with ssh_place() as made:
        yield made


@pytest.fixture
def far_socket(place: Place) -> Iterator[str]:
    """Stands for libvirt's socket on the node."""
    path = str(place.folder / "far.sock")
    with socketserver.ThreadingUnixStreamServer(path, Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield path
        server.shutdown()
        thread.join()


@pytest.fixture
def keeper(place: Place, far_socket: str) -> Iterator[LinkKeeper]:
    made = LinkKeeper(place.workspace, remote_socket=far_socket)
    yield made
    made.close()


def wait_for(keeper: LinkKeeper, place: Place, up: bool, seconds: float = 15) -> LinkState:
    def reached() -> bool:
        return keeper.reconcile([place.target])[place.target.node_id].up == up

    wait_until(reached, seconds, f"the link's up is {up}")
    return keeper.reconcile([place.target])[place.target.node_id]


def ask(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        connection.sendall(b"hello\n")
        return connection.recv(100)


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")


def link_process(place: Place) -> int:
    (pid,) = (pid for pid in processes_of(place.workspace.run_dir) if pid != os.getpid())
    return pid


def test_a_link_forwards_the_far_socket(keeper: LinkKeeper, place: Place) -> None:
    first = keeper.reconcile([place.target])[7]
    assert not first.up
    assert "Connecting" in str(first.reason)
    state = wait_for(keeper, place, True)
    assert not state.reason
    assert ask(place.workspace.libvirt_socket(place.target)) == b"HELLO\n"
    assert place.workspace.libvirt_socket(place.target).stat().st_mode & 0o077 == 0
    assert link_is_up(place.workspace, place.target)


def test_commands_go_over_the_link(keeper: LinkKeeper, place: Place) -> None:
    wait_for(keeper, place, True)
    known = logins(place)
    assert run(place.workspace, place.target, ["echo", "hi"], deadline=5) == b"hi\n"
    assert logins(place) == known
    assert run(place.workspace, place.target, ["echo", "hi"], deadline=5, fresh=True) == b"hi\n"
    assert logins(place) == known + 1


def carried(keeper: LinkKeeper, place: Place) -> None:
    """Have the node a carrier."""

    def answers() -> bool:
        keeper.reconcile([place.target], [place.target.node_id])
        return accepts(place.workspace.carrier(place.target))

    wait_until(answers, 15, "there is a carrier")


def logins(place: Place) -> int:
    return (place.sshd.folder / "log").read_text().count("Accepted publickey")


def test_what_is_copied_while_desktops_move_shares_one_connection_beside_the_link(
    keeper: LinkKeeper, place: Place
) -> None:
    carried(keeper, place)
    known = logins(place)
    for _time in range(3):
        with popen(place.workspace, place.target, ["echo", "hi"], carried=True) as process:
            assert process.stdout and process.stdout.read().endswith(b"hi\n")
    assert logins(place) == known
    assert run(place.workspace, place.target, ["echo", "hi"], deadline=5, fresh=True) == b"hi\n"
    assert logins(place) == known + 1
    (connection,) = [pid for pid in processes_of(place.workspace.run_dir) if "n7.mov" in command_of(pid)]
    os.kill(connection, signal.SIGKILL)
    wait_until(lambda: not accepts(place.workspace.carrier(place.target)), 10, "it is gone")
    assert keeper.reconcile([place.target], [7])[7].up, "its link is another"
    carried(keeper, place)


def test_a_carrier_ends_once_no_desktop_moves(
    keeper: LinkKeeper, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "IDLE_SECONDS", 3600.0)
    carried(keeper, place)
    keeper.reconcile([place.target])
    assert accepts(place.workspace.carrier(place.target)), "the next move may come soon"
    monkeypatch.setattr(links, "IDLE_SECONDS", 0.0)
    assert keeper.reconcile([place.target])[7].up
    assert not place.workspace.carrier(place.target).exists()
    assert len(processes_of(place.workspace.run_dir)) == 1, "its link's"


def test_a_passage_over_a_carrier_needs_no_login_and_is_gone_afterwards(
    keeper: LinkKeeper, place: Place, far_socket: str
) -> None:
    carried(keeper, place)
    known = logins(place)
    for listens, way in ((place.workspace.run_dir / "l", "-L"), (place.folder / "r", "-R")):
        with ExitStack() as ends:
            started = passage.forward(place.workspace, place.target, [way, f"{listens}:{far_socket}"], ends)
            assert started.wait_ready(), "it listens at once"
            assert ask(listens) == b"HELLO\n"
        wait_until(partial(is_deaf, listens), 10, "nobody listens there any more")
    assert logins(place) == known


def is_deaf(path: Path) -> bool:
    """Whether a connection there is refused, or ended before anything was said."""
    try:
        ask(path)
    except ConnectionError:
        return True
    return False


def test_more_commands_at_once_than_a_connection_may_have(keeper: LinkKeeper, place: Place) -> None:
    """sshd allows ten (MaxSessions); the others make connections of their own."""
    wait_for(keeper, place, True)
    script = ["sh", "-c", "sleep 0.3; echo done"]
    with ThreadPoolExecutor(14) as threads:
        asked = [threads.submit(run, place.workspace, place.target, script, deadline=10) for _ in range(14)]
        assert [each.result() for each in asked] == [b"done\n"] * 14


def test_a_killed_link_is_restarted(keeper: LinkKeeper, place: Place) -> None:
    wait_for(keeper, place, True)
    os.kill(link_process(place), signal.SIGKILL)
    down = wait_for(keeper, place, False)
    assert "kvm7" in str(down.reason)
    assert not place.workspace.libvirt_socket(place.target).exists()
    up = wait_for(keeper, place, True)
    assert up.since >= down.since
    assert ask(place.workspace.libvirt_socket(place.target)) == b"HELLO\n"


def test_a_dead_node_is_down_with_a_reason_and_comes_back(keeper: LinkKeeper, place: Place) -> None:
    wait_for(keeper, place, True)
    place.sshd.stop()
    wait_for(keeper, place, False)
    wait_until(lambda: "refused" in str(keeper.reconcile([place.target])[7].reason), 10, "the reason is the refusal")
    assert not link_is_up(place.workspace, place.target)
    again = start_sshd(place.folder / "sshd", place.sshd.port)
    try:
        wait_for(keeper, place, True)
    finally:
        again.stop()


@pytest.mark.clock
def test_a_node_that_falls_silent_is_given_up_by_keepalive(keeper: LinkKeeper, place: Place) -> None:
    wait_for(keeper, place, True)
    place.sshd.freeze()
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        run(place.workspace, place.target, ["true"], deadline=0.5)
    state = wait_for(keeper, place, False)
    assert time.monotonic() - began < 8
    assert "stopped answering" in str(state.reason)


@contextmanager
def silent_port() -> Iterator[int]:
    """A port whose queue is full: it answers no knock."""
    with ExitStack() as held:
        server = held.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        port = int(server.getsockname()[1])
        for _filler in range(4):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


def test_silent_nodes_keep_no_other_from_its_link(
    place: Place, far_socket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "STARTING_AT_ONCE", 1)
    keeper = LinkKeeper(place.workspace, remote_socket=far_socket)
    try:
        with silent_port() as port:
            dark = [replace(place.target, node_id=number, name=f"dark{number}", port=port) for number in (11, 12, 13)]
            with monkeypatch.context() as hasty:
                hasty.setattr(links, "START_SECONDS", 0.2)

                def all_tried() -> bool:
                    return all("Connecting" not in str(state.reason) for state in keeper.reconcile(dark).values())

                wait_until(all_tried, 30, "all were tried once")
            wait_until(lambda: keeper.reconcile([*dark, place.target])[7].up, 15, "the other one is up")
            assert len(processes_of(place.workspace.run_dir)) == 1, "and no ssh waits for the silent ones"
    finally:
        keeper.close()


def test_retries_are_spaced_out(keeper: LinkKeeper, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[float] = []
    popen = subprocess.Popen

    def counted(*arguments: object, **options: object) -> object:
        starts.append(time.monotonic())
        return popen(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", counted)
    nowhere = replace(place.target, port=free_port())
    wait_until(lambda: keeper.reconcile([nowhere]) and len(starts) >= 4, 10, "four attempts", poll=0.01)
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert [gap >= least for gap, least in zip(gaps, (0.5, 1, 2), strict=False)] == [True] * 3


def test_a_node_that_goes_takes_its_link_along(keeper: LinkKeeper, place: Place) -> None:
    wait_for(keeper, place, True)
    assert keeper.reconcile([]) == {}
    assert processes_of(place.workspace.run_dir) == []
    assert not link_is_up(place.workspace, place.target)


def test_another_name_keeps_the_link_and_another_key_makes_it_anew(keeper: LinkKeeper, place: Place) -> None:
    wait_for(keeper, place, True)
    before = link_process(place)
    assert keeper.reconcile([replace(place.target, name="renamed")])[7].up
    assert link_process(place) == before
    foreign = replace(place.target, host_key=place.target.host_key[:-4] + "AAAA")
    assert not keeper.reconcile([foreign])[7].up
    wait_until(lambda: "has changed" in str(keeper.reconcile([foreign])[7].reason), 10, "the host key is refused")


@pytest.mark.parametrize("taken", ["known_hosts", "control", "libvirt_socket"])
def test_what_is_in_one_links_way_is_its_own_state_and_no_other_suffers(
    keeper: LinkKeeper, place: Place, taken: str
) -> None:
    odd = replace(place.target, node_id=8, name="kvm8")
    in_the_way = getattr(place.workspace, taken)(odd)
    in_the_way.mkdir()

    def states() -> dict[int, LinkState]:
        return keeper.reconcile([odd, place.target])

    wait_until(lambda: states()[7].up and states()[8].reason.kind != "remote.link_starting", 60, "the other one is up")
    assert not states()[8].up
    in_the_way.rmdir()
    wait_until(lambda: states()[8].up, 60, "it is up once nothing is in its way")


def test_this_host_needs_no_link(keeper: LinkKeeper, place: Place) -> None:
    assert keeper.reconcile([place.local])[1].up
    assert link_is_up(place.workspace, place.local)
    assert place.workspace.libvirt_socket(place.local) == Path("/run/libvirt/libvirt-sock")
    assert processes_of(place.workspace.run_dir) == []


def test_a_closed_keeper_leaves_nothing(keeper: LinkKeeper, place: Place) -> None:
    wait_for(keeper, place, True)
    keeper.close()
    assert processes_of(place.workspace.run_dir) == []
    kept = {place.workspace.run_dir / "links.lock", place.workspace.known_hosts(place.target)}
    assert set(place.workspace.run_dir.iterdir()) == kept


def test_there_is_one_keeper_a_folder(keeper: LinkKeeper, place: Place) -> None:
    with pytest.raises(LinksTaken, match="Another links process"):
        LinkKeeper(place.workspace)
    keeper.close()
    LinkKeeper(place.workspace).close()


CRASHING = """
import sys, time
from pathlib import Path
from ravada_web.remote.links import LinkKeeper
from ravada_web.remote.target import Target, Workspace
run_dir, key_file, port, host_key, far = sys.argv[1:]
keeper = LinkKeeper(Workspace(Path(run_dir), Path(key_file)), far)
target = Target(7, "kvm7", "127.0.0.1", int(port), "root", host_key)
while not keeper.reconcile([target])[7].up:
    time.sleep(0.05)
print("up", flush=True)
sys.stdin.read()
"""


def test_links_die_with_a_killed_keeper_and_the_next_one_cleans_up(place: Place, far_socket: str) -> None:
    workspace, target = place.workspace, place.target
    arguments = [
        str(workspace.run_dir),
        str(workspace.key_file),
        str(target.port),
        target.host_key,
        far_socket,
    ]
    command = [sys.executable, "-c", CRASHING, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as crashing:
        assert crashing.stdout
        assert crashing.stdout.readline() == b"up\n"
        crashing.kill()
    wait_until(lambda: not processes_of(workspace.run_dir), 5, "its ssh is gone")
    assert workspace.control(target).exists()
    keeper = LinkKeeper(workspace, far_socket)
    try:
        assert not workspace.control(target).exists()
        wait_for(keeper, place, True)
    finally:
        keeper.close()
