"""The product as its user starts it, `flask up`: what runs, what comes back when killed, and how it ends."""

import json
import os
import pwd
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from ravada_web.config import Settings
from tests.support.cluster import ROOT, free_port
from tests.support.processes import children_by_name, name_of, pss_mib, tree
from tests.support.servers import wait_until

NAMES = {"redis", "links", "web", "gateway", "ticker", "worker checks 1", "worker checks 2", "worker bulk"}
NAMES |= {f"worker interactive {number}" for number in (1, 2, 3)}
NAMES |= {"worker setup 1", "worker setup 2", "worker default"}
NAMES |= {f"worker batches {number}" for number in (1, 2, 3)}


@dataclass
class Product:
    """`flask up` on a data folder of its own."""

    settings: Settings
    process: "subprocess.Popen[bytes]"
    log: Path
    # What was posted to the webhook of alerts.
    told: list[str]

    @property
    def processes(self) -> dict[str, int]:
        """The parent's children by name."""
        return children_by_name(self.process.pid)

    def get(self, path: str) -> int:
        """The status of a page; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.settings.port}{path}", timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def still(self) -> set[str]:
        """What stands still, as a page says it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.settings.port}/login", timeout=20) as answer:
            said = re.search(r"Not responding: ([^<]+)<", str(answer.read(), "utf-8"))
        return set(said[1].split(", ")) if said else set()


@contextmanager
def started(folder: Path) -> Iterator[Product]:
    """The product, ready; whatever is left of it is killed when the block ends."""
    with webhook() as (url, told):
        settings = Settings(data=folder / "a user's 50% ñ", port=free_port(), master="ssh", alert_webhook_url=url)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(up(), cwd=ROOT, env=environment(settings), stdout=log, stderr=log)
        yield from running(Product(settings, process, folder / "log", told))


def running(product: Product) -> Iterator[Product]:
    """Wait until it is ready; in the end kill what is left of it."""
    process = product.process
    try:
        wait_until(lambda: product.get("/readyz") == 200, 60, f"it is ready; its log is {product.log}")
        yield product
    finally:
        for pid in tree(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


@contextmanager
def webhook() -> Iterator[tuple[str, list[str]]]:
    """The address of a webhook, and what is posted to it."""
    told: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", told
        finally:
            server.shutdown()
            thread.join()


def up() -> list[str]:
    return [sys.executable, "-m", "flask", "up"]


def environment(settings: Settings) -> dict[str, str]:
    mine = {"RAVADA_DATA": str(settings.data), "RAVADA_PORT": str(settings.port), "RAVADA_MASTER": settings.master}
    mine |= {"FLASK_APP": "tests.support.more_jobs", "RAVADA_ALERT_WEBHOOK_URL": settings.alert_webhook_url}
    return os.environ | mine


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with started(tmp_path_factory.mktemp("p")) as product:
        yield product


@pytest.fixture
def product(shared: Product) -> Product:
    """The product with all its processes."""
    wait_until(lambda: shared.processes.keys() == NAMES and shared.get("/readyz") == 200, 30, "all is well")
    return shared


@contextmanager
def long_job(product: Product) -> Iterator[tuple[Job, int]]:
    """A job that takes minutes, and the process that does it."""
    with Redis(unix_socket_path=str(product.settings.redis_socket)) as connection:
        job = Queue("bulk", connection=connection, serializer=JSONSerializer).enqueue("time.sleep", 600)
        worker, name = product.processes["worker bulk"], f"job {job.id} of bulk"
        wait_until(lambda: name in children_by_name(worker), 10, "it is being done")
        yield job, children_by_name(worker)[name]


def gone(pids: list[int]) -> bool:
    """Whether none of these runs any more."""
    return not [pid for pid in pids if name_of(pid)]


def test_at_rest_all_processes_together_take_at_most_400_mib(product: Product) -> None:
    """At rest: nobody has asked anything yet, so this comes first; and no job is done just now, by its own process."""
    taken = lambda: sum(pss_mib(pid) for pid in tree(product.process.pid))  # noqa: E731
    wait_until(lambda: taken() <= 400, 30, "all together take at most 400 MiB")


def test_each_process_has_its_name_in_ps(product: Product) -> None:
    assert name_of(product.process.pid) == "parent"
    web = product.processes["web"]
    assert {name_of(pid) for pid in tree(web)} == {"web", "web worker"}
    shown = subprocess.run(["ps", "-o", "args=", "-p", str(web)], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "ravada: web"


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="processes are users of their own where root starts them")


@as_root
def test_each_process_runs_as_a_user_of_its_own(product: Product) -> None:
    users = {pid: pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name for pid in tree(product.process.pid)}
    assert users.pop(product.process.pid) == "root"
    expected = {"redis": "ravada-redis", "web": "ravada-web", "web worker": "ravada-web", "gateway": "ravada-web"}
    assert {name_of(pid): user for pid, user in users.items()} == {
        name: expected.get(name, "ravada-work") for name in {name_of(pid) for pid in users}
    }
    assert set(users.values()) == {"ravada-web", "ravada-work", "ravada-redis"}
    for pid in users:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert (status["NoNewPrivs"], int(status["CapEff"], 16), int(status["CapPrm"], 16)) == ("1", 0, 0)
        assert 0 not in map(int, status["Groups"].split())
        assert len(set(status["Uid"].split())) == len(set(status["Gid"].split())) == 1, "there is no way back"


REACHED = """
import json, os, pathlib, socket, sys

def tried(act):
    try:
        act()
    except OSError as error:
        return error.strerror
    return "yes"

def connect(path):
    with socket.socket(socket.AF_UNIX) as plug:
        plug.connect(path)

data, links, redis, others = sys.argv[1:]
print(json.dumps({
    "key": tried(lambda: open(f"{data}/ssh/id_ed25519")),
    "public key": tried(lambda: open(f"{data}/public/id_ed25519.pub")),
    "list of links": tried(lambda: os.listdir(links)),
    "a link": tried(lambda: connect(f"{links}/n1.ctl")),
    "more in data": tried(lambda: open(f"{data}/planted", "w")),
    "database": tried(lambda: open(f"{data}/ravada.sqlite", "r+b")),
    "session key": tried(lambda: open(f"{data}/secret_key")),
    "redis": tried(lambda: connect(redis)),
    "home": [name for name in os.listdir(others)],
}))
"""
DENIED = "Permission denied"


def reached_by(product: Product, user: str, group: str) -> dict[str, str]:
    """What somebody reaches who has taken over a process of that user: in its view of the system, with its rights."""
    settings, closed = product.settings, product.log.parents[1]
    within = ["nsenter", f"--mount=/proc/{product.processes['web']}/ns/mnt", "setpriv", f"--reuid={user}"]
    within += [f"--regid={group}", "--clear-groups", sys.executable, "-c", REACHED, str(settings.data)]
    places = (settings.links_dir, settings.redis_socket, closed)
    done = subprocess.run([*within, *map(str, places)], cwd="/", capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


@as_root
def test_who_takes_the_pages_or_the_gateway_over_reaches_no_node(product: Product) -> None:
    (product.log.parents[1] / "somebody's").touch()
    web = reached_by(product, "ravada-web", "ravada")
    assert {web.pop(name) for name in ("key", "list of links", "a link", "more in data")} == {DENIED}
    assert web.pop("home") == [product.log.parent.name], "nothing but what is needed is to be seen of a closed folder"
    assert set(web.values()) == {"yes"}, "what it needs it has"
    work = reached_by(product, "ravada-work", "ravada")
    assert (work["key"], work["list of links"], work["more in data"]) == ("yes", "yes", DENIED)
    redis = reached_by(product, "ravada-redis", "ravada-redis")
    redis.pop("home")
    assert set(redis.values()) == {DENIED}


@as_root
def test_a_command_of_root_leaves_nothing_that_the_processes_cannot_write(product: Product) -> None:
    command = [*up()[:-1], "users", "create", "carla"]
    subprocess.run(command, cwd=ROOT, env=environment(product.settings), capture_output=True, check=True)
    for path in (product.settings.data / "database").iterdir():
        assert (path.owner(), path.group(), stat.S_IMODE(path.stat().st_mode)) == ("ravada-work", "ravada", 0o660)
    wait_until(lambda: product.get("/readyz") == 200, 30, "all goes on")


def test_checks_come_after_pages(product: Product) -> None:
    nice = {name: os.getpriority(os.PRIO_PROCESS, pid) for name, pid in product.processes.items()}
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert {name for name, value in nice.items() if value == own + 5} == {"worker checks 1", "worker checks 2"}
    assert {value for name, value in nice.items() if "checks" not in name} == {own}


def test_where_memory_runs_out_the_parent_is_not_the_first_to_go(product: Product) -> None:
    def score(pid: int | str) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    assert score(product.process.pid) == score("self")
    assert {score(pid) for pid in product.processes.values()} == {score("self") + 100}


def test_the_parent_forks_with_one_thread_alone(product: Product) -> None:
    assert len(list(Path(f"/proc/{product.process.pid}/task").iterdir())) == 1


def test_pages_wait_for_no_disk(product: Product) -> None:
    log = product.settings.data / "database" / "ravada.sqlite-wal"
    kept = log.stat().st_ino
    for _time in range(20):
        assert product.get("/login") == 200
        assert log.stat().st_ino == kept


@pytest.mark.clock
@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_killed_process_comes_back_alone_within_a_second(product: Product, name: str) -> None:
    before = product.processes
    os.kill(before[name], signal.SIGKILL)
    wait_until(lambda: product.processes.get(name, before[name]) != before[name], 1, f"{name} is back", poll=0.01)
    after = product.processes
    assert {other: after[other] for other in NAMES - {name}} == {other: before[other] for other in NAMES - {name}}
    wait_until(lambda: product.get("/readyz") == 200, 10, "work is done again")


def stop(pid: int) -> None:
    """As what hangs: it neither goes on nor ends."""
    os.kill(pid, signal.SIGSTOP)


@pytest.mark.clock
def test_what_stands_still_is_said_on_every_page_within_15_s_and_told_and_comes_back(product: Product) -> None:
    """All at once, since it takes its time: each alone is like these."""
    before, names = product.processes, {"ticker", "links", "worker checks 1"}
    product.told.clear()
    with long_job(product) as (job, horse):
        for pid in (horse, *(before[name] for name in names)):
            stop(pid)
        wait_until(lambda: product.still() >= {*names, "worker bulk"}, 15, "the pages say so")
        wait_until(lambda: all(name in str(product.told) for name in (*names, "worker bulk")), 15, "it is told")
        wait_until(lambda: job.get_status(refresh=True) == "failed", 15, "the worker has ended its job")
    wait_until(lambda: names.isdisjoint(product.still()), 15, "the page says so no more")
    wait_until(lambda: product.get("/readyz") == 200, 30, "work is done again")
    after = product.processes
    assert {name for name in NAMES if after[name] != before[name]} == names


@pytest.mark.clock
def test_what_every_page_needs_is_told_when_it_stands_still_and_comes_back(product: Product) -> None:
    """Without web or gateway no page can say so: whoever still lives tells it."""
    before = product.processes
    for names in ({"web", "gateway"}, {"redis"}):
        product.told.clear()
        for name in names:
            stop(before[name])
        wait_until(lambda names=names: all(name in str(product.told) for name in names), 30, f"{names} are told")
        # One that has only just begun, as by the first tests here, is given a minute.
        wait_until(lambda names=names: replaced(product, before, names), 90, f"{names} are started again")
        wait_until(lambda: product.get("/readyz") == 200, 60, "pages are there and work is done again")
        wait_until(lambda: not product.still(), 30, "the page says so no more")


def replaced(product: Product, before: dict[str, int], names: set[str]) -> bool:
    """Whether each of these is another process than before."""
    after = product.processes
    return all(after.get(name, before[name]) != before[name] for name in names)


def test_a_killed_work_horse_leaves_its_worker(product: Product) -> None:
    before = product.processes
    with long_job(product) as (job, horse):
        os.kill(horse, signal.SIGKILL)
        wait_until(lambda: job.get_status(refresh=True) == "failed", 10, "the worker has seen it")
    assert product.processes == before


def test_what_dies_again_and_again_is_given_time_and_the_others_go_on(product: Product) -> None:
    """Redis cannot come back while a folder is where its socket should be; what is being done goes on meanwhile."""
    before, socket = product.processes, product.settings.redis_socket
    with long_job(product) as (_job, horse):
        tried = product.log.read_bytes().count(b"process=redis")
        socket.unlink()
        socket.mkdir()
        os.kill(before["redis"], signal.SIGKILL)
        deaths = lambda: product.log.read_bytes().count(b"process=redis") - tried  # noqa: E731
        begun = time.monotonic()
        wait_until(lambda: deaths() >= 4, 20, "it died some times")
        assert time.monotonic() - begun > 1, "between the deaths there is a pause"
        assert product.get("/healthz") == 200
        wait_until(lambda: product.get("/readyz") == 503, 10, "the loss is seen")
        socket.rmdir()
        wait_until(lambda: product.get("/readyz") == 200 and product.processes.keys() == NAMES, 30, "all is well again")
        assert name_of(horse)
        os.kill(horse, signal.SIGKILL)
    wait_until(lambda: not children_by_name(before["worker bulk"]), 10, "the worker has seen it")
    assert {**product.processes, "redis": 0} == {**before, "redis": 0}


def test_a_second_one_on_the_same_data_is_refused(product: Product) -> None:
    other = subprocess.run(up(), cwd=ROOT, env=environment(product.settings), capture_output=True, text=True)
    assert other.returncode == 1
    assert f"Ravada Web runs already on this data folder (process {product.process.pid})" in other.stderr
    assert len(other.stderr.splitlines()) == 1 and not other.stdout
    assert product.get("/readyz") == 200


def test_sigterm_ends_all_in_order(tmp_path: Path) -> None:
    with started(tmp_path) as product:
        everybody = tree(product.process.pid)
        product.process.send_signal(signal.SIGTERM)
        while product.process.poll() is None:
            names = product.processes.keys()
            assert not names or "redis" in names, "Redis is the last to go"
            time.sleep(0.01)
        assert product.process.returncode == 0 and gone(everybody)
        log = product.log.read_text()
        assert "starting it again" not in log and "failed" not in log


def test_a_job_is_waited_for_unless_told_twice(tmp_path: Path) -> None:
    with started(tmp_path) as product, long_job(product) as (_job, horse):
        everybody, gateway = tree(product.process.pid), product.processes["gateway"]
        product.process.send_signal(signal.SIGTERM)
        wait_until(lambda: gone([gateway]), 10, "the gateway has ended")
        assert not gone([horse]), "its job goes on"
        product.process.send_signal(signal.SIGTERM)
        assert product.process.wait(10) == 0
        assert gone(everybody)


def test_a_killed_parent_takes_all_along(tmp_path: Path) -> None:
    with started(tmp_path) as product:
        everybody = tree(product.process.pid)
        product.process.kill()
        product.process.wait()
        wait_until(lambda: gone(everybody), 2, "all are gone")
