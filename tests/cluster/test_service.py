"""The product on a host that boots: by `make run`, then as a service of systemd, as docs/production.md says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, missing_requirements
from tests.lab.booted import BootedHost
from tests.lab.trees import DEBIAN_12
from tests.support import service_host
from tests.support.servers import wait_until

UNIT, TRIAL = "ravada-web.service", "trial.service"
WORKERS = ("ravada-links.service", "ravada-worker@bulk.service", "ravada-worker@batches.service")
# Of systemd-analyze security, which counts from 0 (all is forbidden) to 10.
MOST_EXPOSED, MOST_EXPOSED_WORKERS = 5.0, 2.0
GIB = 1 << 30
OWNERS = {
    "parent": "root",
    "web": "ravada-web",
    "gateway": "ravada-web",
    "ticker": "ravada-work",
    "redis": "ravada-redis",
}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[BootedHost]:
    """Debian 12, booted, the product not yet on it."""
    if reason := missing_requirements():
        pytest.skip(reason)
    lab = Lab(tmp_path / "lab", "rvs", 0)
    lab.make_bridge()
    made = BootedHost.beside(lab, 1, DEBIAN_12)
    try:
        made.make()
        service_host.prepare(made)
        for unit in (UNIT, *WORKERS):
            quick = made.folder / f"etc/systemd/system/{unit}.d/quick.conf"
            quick.parent.mkdir()
            quick.write_text("[Service]\nWatchdogSec=8\n")
        made.start()
        made.wait_booted()
        yield made
    finally:
        made.kill()
        made.purge()
        lab.down(purge=True)


def answers(host: BootedHost, page: str = "login") -> bool:
    told = host.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:8000/{page}"], check=False
    )
    return told.stdout == "200"


def shown(host: BootedHost, name: str, unit: str = UNIT) -> str:
    """A property of the service."""
    return host.run(["systemctl", "show", "--value", "--property", name, unit]).stdout.strip()


def within(host: BootedHost, *argv: str) -> "tuple[int, str]":
    """Run a command among the files that the service sees, as root; returns its status and what it said."""
    done = host.run(["nsenter", "--mount", "--target", shown(host, "MainPID"), *argv], check=False)
    return done.returncode, done.stderr


def processes(host: BootedHost) -> dict[str, int]:
    """The product's processes by name, but for those of single jobs."""
    lines = host.run(["ps", "-e", "-o", "pid=,args="]).stdout.splitlines()
    found = (re.fullmatch(r" *(\d+) ravada: ((?!job ).+)", line) for line in lines)
    return {match[2]: int(match[1]) for match in found if match}


def owner(host: BootedHost, pid: int) -> str:
    return host.run(["ps", "-o", "user:32=", "-p", str(pid)]).stdout.strip()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_service_of_systemd(host: BootedHost) -> None:
    make_run_on_a_fresh_clone(host)
    said = service_host.install(host)
    assert re.search(r"name: admin   password: \S+", said), said
    wait_until(lambda: answers(host, "readyz"), 60, "the product is ready")
    assert shown(host, "ActiveState") == "active"
    units_are_sound(host, UNIT, MOST_EXPOSED, memory_gib=4)

    forbidden_is_forbidden(host)
    a_node_is_served(host)
    what_stands_still_is_started_again(host)
    it_ends_in_order(host)
    it_has_workers_alone(host)


def units_are_sound(host: BootedHost, unit: str, most_exposed: float, memory_gib: int) -> None:
    """What systemd says of a unit that runs. That its limit of memory is kept cannot be tried: hosts in containers are
    given no group of their own for that."""
    verified = host.run(["systemd-analyze", "verify", unit])
    assert verified.stderr == ""
    exposed = host.run(["systemd-analyze", "security", "--no-pager", unit]).stdout
    assert float(re.findall(r"exposure level for \S+: ([\d.]+)", exposed)[0]) < most_exposed, exposed
    assert int(shown(host, "MemoryMax", unit)) == memory_gib * GIB


def make_run_on_a_fresh_clone(host: BootedHost) -> None:
    """It makes the virtual environment, with libvirt's bindings built for this host, and runs until it is stopped."""
    service_host.make_run(host, TRIAL)
    try:
        wait_until(lambda: shown(host, "ActiveState", TRIAL) != "active" or answers(host, "readyz"), 180, "it is ready")
        assert shown(host, "ActiveState", TRIAL) == "active"
    except AssertionError as error:
        error.add_note(host.run(["journalctl", "--unit", TRIAL, "--no-pager"]).stdout)
        raise
    said = host.run(["journalctl", "--unit", TRIAL, "--output=cat", "--no-pager"]).stdout
    assert re.search(r"name: admin   password: \S+", said), said
    running = processes(host)
    assert {name: owner(host, running[name]) for name in OWNERS} == OWNERS
    assert re.search(r"default +active", host.virsh("pool-list"))
    it_ends(host, TRIAL)
    service_host.put_aside(host)


def it_ends(host: BootedHost, unit: str) -> None:
    host.run(["systemctl", "stop", unit])
    assert processes(host) == {}


def forbidden_is_forbidden(host: BootedHost) -> None:
    for path in ("/etc/x", "/usr/x", "/opt/ravada-web/x", "/root/x", "/var/lib/x", "/srv/x"):
        status, said = within(host, "touch", path)
        assert status and ("Read-only" in said or "Permission denied" in said), (path, said)
    for path in ("/var/lib/ravada-web/x", "/var/lib/libvirt/images/x"):
        assert within(host, "touch", path) == (0, ""), path
        assert within(host, "rm", path) == (0, "")
    assert host.run(["stat", "-c", "%a %U", "/etc/ravada-web.env"]).stdout == "600 root\n"
    running = processes(host)
    assert {"parent", "web", "gateway", "links", "redis"} <= running.keys()
    assert {name: owner(host, running[name]) for name in OWNERS} == OWNERS
    for name, pid in running.items():
        status = host.run(["cat", f"/proc/{pid}/status"]).stdout
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE), name
        bounds = int(re.findall(r"^CapBnd:\s+(\w+)$", status, re.MULTILINE)[0], 16)
        assert not bounds & 1 << 16, f"{name} may not load modules of the kernel"


def a_node_is_served(host: BootedHost) -> None:
    """Its own libvirt, as the master: a guest is made, started, seen and removed, within what the service may do."""
    (name,) = host.run(["hostname"]).stdout.split()
    proved = host.run(
        [
            "sh",
            "-c",
            f". /etc/ravada-web.env; export RAVADA_DATA; cd /opt/ravada-web; .venv/bin/flask nodes verify {name}",
        ],
        check=False,
    )
    assert proved.returncode == 0, proved.stdout + proved.stderr


def what_stands_still_is_started_again(host: BootedHost) -> None:
    before = processes(host)
    host.run(["kill", "-STOP", str(before["parent"])])
    wait_until(lambda: processes(host).get("parent", before["parent"]) != before["parent"], 90, "a new parent")
    wait_until(lambda: answers(host, "readyz"), 60, "it is ready again")
    assert not set(before.values()) & set(processes(host).values()), "nothing of the former one is left"


def it_ends_in_order(host: BootedHost) -> None:
    it_ends(host, UNIT)
    assert (shown(host, "Result"), shown(host, "ExecMainStatus")) == ("success", "0")
    assert "Read-only" not in host.run(["journalctl", "--unit", UNIT, "--no-pager"]).stdout


def it_has_workers_alone(host: BootedHost) -> None:
    """The units for hosts that only take work: what they start runs with hardly any rights, takes work from the queue,
    is started again where it stands still, and ends in order."""
    service_host.install_workers(host)
    before = main_processes(host)
    for unit, pid in before.items():
        assert shown(host, "ActiveState", unit) == "active", unit
        units_are_sound(host, unit, MOST_EXPOSED_WORKERS, memory_gib=1 if "links" in unit else 2)
        assert owner(host, int(pid)) == "ravada-work", unit
        status = host.run(["cat", f"/proc/{pid}/status"]).stdout
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE), unit
        assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE), f"{unit} may have no rights of root"
    wait_until(lambda: queues_served(host) == {"bulk", "batches"}, 60, "the queues are served")

    host.run(["kill", "-STOP", *before.values()])

    def are_new() -> bool:
        found = main_processes(host)
        active = all(shown(host, "ActiveState", unit) == "active" for unit in WORKERS)
        return active and not set(found.values()) & {*before.values(), "0"}

    wait_until(are_new, 120, "each was started again", poll=0.5)
    host.run(["systemctl", "stop", *WORKERS])
    assert {shown(host, "Result", unit) for unit in WORKERS} == {"success"}


def main_processes(host: BootedHost) -> dict[str, str]:
    """What runs of these units now, by their names; "0" where nothing does."""
    return {unit: shown(host, "MainPID", unit) for unit in WORKERS}


def queues_served(host: BootedHost) -> set[str]:
    """The queues that some worker takes work from."""
    keys = host.run(["redis-cli", "-p", "6380", "keys", "rq:workers:*"]).stdout.split()
    return {key.rpartition(":")[2] for key in keys}
