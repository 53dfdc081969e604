"""A host with a firewall of its own, in namespaces that need no root: what its network and its guests reach of it.

`python -m tests.support.walled_host` fetches the packages that it needs into var/walls: tests themselves have no
network.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ravada_web import ROOT
from tests.support.servers import wait_until

FETCHED = ROOT / "var" / "walls"
HERE = Path(__file__).parent
PORTS = HERE / "walled_host_ports.py"
# Taken apart and not installed: Debian would start them on this machine.
PACKAGES = {
    "nft": (),
    "ufw": ("ufw",),
    "firewalld": (
        "firewalld", "python3-firewall", "python3-nftables", "python3-dbus", "python3-gi", "gir1.2-glib-2.0",
        "libgirepository-1.0-1",
    ),
}  # fmt: skip
BUS = """<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow send_type="method_call"/>
<allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/>
<allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/></policy></busconfig>"""
PATHS = {
    "master": ("others", "192.0.2.2/192.0.2.1"),
    "master6": ("others", "2001:db8::2/2001:db8::1"),
    "friend": ("others", "192.0.2.2/192.0.2.7"),
    "friend6": ("others", "2001:db8::2/2001:db8::7"),
    "guest": ("guest", "192.168.122.1/192.168.122.9"),
    "guest6": ("guest", "fd00:122::1/fd00:122::9"),
}


@dataclass(frozen=True)
class WalledHost:
    """`inside` are the words that run a command in it."""

    inside: tuple[str, ...]

    def run(self, script: str) -> str:
        """What a script says that root runs in it. Raises CalledProcessError."""
        return subprocess.run([*self.inside, "sh", "-euc", script], check=True, capture_output=True, text=True).stdout

    def reached(self) -> dict[str, set[str]]:
        """What answers to whom."""
        named = {pair.replace("/", " "): who for who, (_place, pair) in PATHS.items()}
        found: dict[str, set[str]] = {who: set() for who in PATHS}
        script = "".join(
            f"nsenter --net --target $(cat /run/{place}) python3 {PORTS} "
            f"{' '.join(pair for at, pair in PATHS.values() if at == place)}\n"
            for place in ("others", "guest")
        )
        for line in self.run(script).splitlines():
            host, source, kind, port = line.split()
            found[named[f"{host} {source}"]].add(f"{kind} {port}")
        return found

    @contextmanager
    def held(self, command: str) -> Iterator[None]:
        """A command that has run, in a shell that ends with the block."""
        shell = subprocess.Popen(
            [*self.inside, "sh", "-c", f"{command}\necho applied; read -r end"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with shell:
            assert shell.stdout
            said = []
            for line in shell.stdout:
                if line == "applied\n":
                    break
                said.append(line)
            else:
                pytest.fail("".join(said))
            yield


@contextmanager
def walled_host(tool: str, folder: Path) -> Iterator[WalledHost]:
    """One with that firewall at work, "nft", "ufw" or "firewalld"; skips where it cannot be had."""
    _fetch(tool, folder)
    private = ["unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child"]
    command = [*private, "--mount-proc", "sh", str(PORTS.with_name("walled_host.sh")), str(folder), str(PORTS)]
    log = folder / "log"
    with log.open("w") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            wait_until(lambda: process.poll() is not None or children.read_text().strip(), 30, "it starts")
            inside = children.read_text().strip()
            ready = Path(f"/proc/{inside}/root/run/ready")
            wait_until(lambda: process.poll() is not None or ready.exists(), 30, f"it is up; see {log}")
            assert process.poll() is None, log.read_text()
            spaces = ("--user", "--preserve-credentials", "--mount", "--net", "--pid")
            host = WalledHost(("nsenter", f"--target={inside}", *spaces))
            _start(tool, host)
            yield host
        finally:
            process.kill()


def _fetch(tool: str, folder: Path) -> None:
    for program in {"nft": ("nft",), "ufw": ("iptables",), "firewalld": ("nft", "dbus-daemon")}[tool]:
        if not shutil.which(program, path="/usr/sbin:/usr/bin"):
            pytest.skip(f"{program} is not installed")
    packages = [file for name in PACKAGES[tool] for file in FETCHED.glob(f"{name}_*.deb")]
    if len(packages) < len(PACKAGES[tool]):
        pytest.skip(f"not fetched: {tool} (python -m tests.support.walled_host)")
    for package in packages:
        subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    if (folder / "lib").is_dir():
        shutil.copytree(folder / "lib", folder / "usr/lib", dirs_exist_ok=True)


def _start(tool: str, host: WalledHost) -> None:
    if tool == "ufw":
        host.run("cp /usr/share/ufw/iptables/*.rules /usr/share/ufw/ufw.conf /etc/ufw; ufw --force enable")
    if tool == "firewalld":
        host.run(f"""echo '{BUS}' > /run/bus
dbus-daemon --config-file=/run/bus --fork </dev/null >/dev/null 2>&1
firewalld --nofork --nopid >/run/firewalld.log 2>&1 </dev/null &
until firewall-cmd --state 2>/dev/null; do sleep 0.1; done""")


def fetch() -> None:
    """Have the packages of all firewalls in FETCHED. Raises CalledProcessError."""
    FETCHED.mkdir(parents=True, exist_ok=True)
    wanted = sorted({name for names in PACKAGES.values() for name in names})
    missing = [name for name in wanted if not any(FETCHED.glob(f"{name}_*.deb"))]
    if missing:
        # Whoever apt-get would become may not write there.
        own = ["-o", "APT::Sandbox::User=root"]
        download = ["apt-get", "download", "-qq", *own, *missing]
        if subprocess.run(download, cwd=FETCHED, check=False).returncode:
            # apt's lists may be old, or not there yet.
            subprocess.run(["apt-get", "update", "-qq"], check=True)
            subprocess.run(download, cwd=FETCHED, check=True)


if __name__ == "__main__":
    fetch()
