"""One lab node: a process tree in namespaces of its own that can be killed, cut off, slowed, hung and filled."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.files import FOLDERS, make_files, make_host_key

FILLER = "var/lib/libvirt/images/filler"
MIB = 1 << 20


def shell(*words: object, check: bool = True) -> str:
    """Run a command of the host; answers its standard output."""
    done = subprocess.run([str(word) for word in words], check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for a condition of the lab."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def spawn(command: Sequence[str], log: Path) -> int:
    """Start what outlives this process; its output goes to the log. Returns its number.

    It is nobody's subprocess.Popen, which would have to be waited for.
    """
    with log.open("ab") as file, Path(os.devnull).open("rb") as nothing:
        streams = [(os.POSIX_SPAWN_DUP2, each.fileno(), number) for number, each in enumerate((nothing, file, file))]
        return os.posix_spawnp(command[0], command, os.environ, file_actions=streams, setsid=True)


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")


@dataclass
class LabNode:
    """A node; `plug` is the host's end of its cable, `space` its network namespace, `bridge` what it is plugged to."""

    name: str
    address: str
    folder: Path
    space: str
    plug: str
    bridge: str
    pool_mib: int | None

    @property
    def uuid(self) -> str:
        """The host UUID that its libvirt says."""
        return (self.folder / "uuid").read_text()

    @property
    def host_key_fingerprint(self) -> str:
        """As ssh-keygen shows it on the node: "SHA256:…"."""
        key = self.folder / "etc/ssh/ssh_host_ed25519_key.pub"
        return shell("ssh-keygen", "-l", "-f", key).split()[1]

    @property
    def pid_file(self) -> Path:
        """Where the number of its first process is kept."""
        return self.folder / "pid"

    @property
    def log(self) -> Path:
        """What its first processes said."""
        return self.folder / "log"

    @property
    def running(self) -> bool:
        """Whether its first process lives."""
        return self._pid() is not None

    def _pid(self) -> int | None:
        """The process outside that all of the node depends on."""
        try:
            pid = int(self.pid_file.read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self.folder).encode() in words else None

    def _inside(self) -> int:
        """A process inside, whose namespaces are the node's."""
        pid = self._pid()
        if pid is None:
            raise RuntimeError(f"{self.name} is not running")
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def start(self) -> None:
        """Start it, on the folder that it has: a node that ran before comes back as itself."""
        if self.running:
            return
        self._remove_network()
        self._make_network()
        self._mount_pool()
        script = Path(__file__).with_name("node.sh")
        private = ["unshare", "--mount", "--uts", "--pid", "--ipc", "--fork", "--mount-proc", "--kill-child"]
        command = ["ip", "netns", "exec", self.space, *private, "sh", str(script), str(self.folder), self.name]
        self.pid_file.write_text(str(spawn(command, self.log)))

    def wait_ready(self, seconds: float = 150) -> None:
        """Wait until SSH and libvirt answer."""
        until(self._ssh_answers, seconds, f"sshd of {self.name}; see {self.log}")
        until(self._libvirt_answers, seconds, f"libvirtd of {self.name}; see {self.log}")

    def _ssh_answers(self) -> bool:
        try:
            with socket.create_connection((self.address, 22), timeout=0.5) as plug:
                return plug.recv(4) == b"SSH-"
        except OSError:
            return False

    def _libvirt_answers(self) -> bool:
        done = subprocess.run(
            self.entering("virsh", "net-info", "default"), capture_output=True, text=True, check=False
        )
        return done.returncode == 0 and "Active:         yes" in done.stdout

    def _make_network(self) -> None:
        shell("ip", "netns", "add", self.space)
        # Like a real host's card it keeps its address, which its neighbours remember, when the node comes back.
        card = "02:52:" + ":".join(f"{int(part):02x}" for part in self.address.split("."))
        peer = ("peer", "name", "eth0", "address", card, "netns", self.space)
        shell("ip", "link", "add", self.plug, "type", "veth", *peer)
        shell("ip", "link", "set", self.plug, "master", self.bridge, "up")
        shell("ip", "-n", self.space, "addr", "add", f"{self.address}/24", "dev", "eth0")
        shell("ip", "-n", self.space, "link", "set", "eth0", "up")

    def _remove_network(self) -> None:
        shell("ip", "link", "del", self.plug, check=False)
        shell("ip", "netns", "del", self.space, check=False)

    def _mount_pool(self) -> None:
        """A disk of its own size, where one was asked for; like a disk it outlives the node's death."""
        images = self.folder / "var/lib/libvirt/images"
        if self.pool_mib is not None and not os.path.ismount(images):
            shell("mount", "-t", "tmpfs", "-o", f"size={self.pool_mib}m,mode=711", "tmpfs", images)

    def kill(self) -> None:
        """Sudden death: the network is gone, then every process at once, without a word to anybody."""
        shell("ip", "link", "del", self.plug, check=False)
        self._end()
        for left in shell("ip", "netns", "pids", self.space, check=False).split():
            try:
                os.kill(int(left), signal.SIGKILL)
            except ProcessLookupError:
                continue
        until(lambda: not shell("ip", "netns", "pids", self.space, check=False).strip(), 60, f"all of {self.name}")
        shell("ip", "netns", "del", self.space, check=False)

    def _end(self) -> None:
        """Kill its first process, and with it all others."""
        pid = self._pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                until(lambda: self._pid() is None, 60, f"{self.name} is dead")

    def stop(self) -> None:
        """Power off: what its guests have written reaches the disk."""
        if self.running:
            self.run(["sync"], check=False)
        self.kill()

    def purge(self) -> None:
        """Remove its disk; it must not run."""
        shell("umount", self.folder / "var/lib/libvirt/images", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def partition(self) -> None:
        """Cut its network cable; it goes on running."""
        shell("ip", "link", "set", self.plug, "down")

    def heal(self) -> None:
        """Plug the cable in again."""
        shell("ip", "link", "set", self.plug, "up")

    def slow(self, mbit: int | None) -> None:
        """Bound its network to so many Mbit/s both ways; None takes the bound away."""
        for prefix, device in ((["tc"], self.plug), (["tc", "-n", self.space], "eth0")):
            shell(*prefix, "qdisc", "del", "dev", device, "root", check=False)
            if mbit is not None:
                bucket = ("burst", "256kb", "latency", "200ms")
                shell(*prefix, "qdisc", "add", "dev", device, "root", "tbf", "rate", f"{mbit}mbit", *bucket)

    def hang(self) -> None:
        """Stop its libvirtd in its tracks (SIGSTOP): it accepts connections and answers none."""
        self.run(["sh", "-c", "kill -STOP $(cat /run/libvirtd.pid)"])

    def resume(self) -> None:
        """Let its libvirtd go on; one that has died is started."""
        self.run(["sh", "-c", "pkill -CONT -x libvirtd || libvirtd -d"])

    def restart_libvirtd(self) -> None:
        """Have it read its settings anew; its guests go on."""
        self.run(["sh", "-c", "kill $(cat /run/libvirtd.pid)"])
        until(lambda: self.run(["pgrep", "-x", "libvirtd"], check=False).returncode == 1, 100, "libvirtd has ended")
        self.run(["libvirtd", "-d"])
        until(self._libvirt_answers, 100, f"libvirtd of {self.name} is back")

    def fill(self, leave_mib: int) -> None:
        """Fill its pool up to so many MiB; only one with a disk of its own size."""
        if self.pool_mib is None:
            raise RuntimeError("only a pool with a size of its own is filled: Lab(…, pool_mib=…)")
        free = shutil.disk_usage(self.folder / FILLER.rpartition("/")[0]).free
        shell("fallocate", "-l", max(MIB, free - leave_mib * MIB), self.folder / FILLER)

    def unfill(self) -> None:
        """Make the room again."""
        (self.folder / FILLER).unlink(missing_ok=True)

    def authorize(self, public_key: str) -> None:
        """Let the holder of this key in as root."""
        keys = self.folder / "root/.ssh/authorized_keys"
        known = keys.read_text() if keys.exists() else ""
        if public_key.strip() not in known:
            keys.write_text(f"{known}{public_key.strip()}\n")
            keys.chmod(0o600)

    def add_user(
        self, name: str, password: str, *, sudo: bool = False, groups: Sequence[str] = (), login_shell: str = "/bin/sh"
    ) -> None:
        """A user who logs in by that password, with or without sudo; written as the node's own files."""
        etc, home = self.folder / "etc", self.folder / "home" / name
        number = 3000 + len((etc / "passwd").read_text().splitlines())
        hashed = shell("openssl", "passwd", "-6", password).strip()
        _append(etc / "passwd", f"{name}:x:{number}:{number}::/home/{name}:{login_shell}")
        _append(etc / "shadow", f"{name}:{hashed}:19000:0:99999:7:::")
        lines = (etc / "group").read_text().splitlines()
        kept = [f"{line}{',' if line[-1] != ':' else ''}{name}" if line.split(":")[0] in groups else line
                for line in lines]  # fmt: skip
        # In place: the node sees this very file.
        (etc / "group").write_text("\n".join([*kept, f"{name}:x:{number}:"]) + "\n")
        home.mkdir()
        os.chown(home, number, number)
        if sudo:
            rule = etc / "sudoers.d" / name.replace(".", "_")  # sudo passes over names with a dot
            rule.write_text(f"{name} ALL=(ALL) NOPASSWD: ALL\n")
            rule.chmod(0o440)

    def rotate_host_key(self) -> None:
        """Show another host key from now on, as a host does that was installed anew."""
        make_host_key(self.folder, self.name)
        if self.running:
            self.run(["sh", "-c", "kill -HUP 1"])
            until(self._ssh_answers, 60, f"sshd of {self.name} is back")

    def install_anew(self) -> None:
        """Have a system installed anew under its name and address, with nothing of what was on its disk; it starts."""
        hosts = (self.folder / "etc/hosts").read_text()
        self.kill()
        for inside in FOLDERS:
            shutil.rmtree(self.folder / inside, ignore_errors=True)
        make_files(self.folder, self.name, {})
        (self.folder / "etc/hosts").write_text(hosts)
        self.start()

    def run(
        self, argv: Sequence[str], stdin: str | None = None, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command inside the node. Raises CalledProcessError, with what the command said as a note."""
        done = subprocess.run(self.entering(*argv), input=stdin, capture_output=True, text=True)
        if check:
            try:
                done.check_returncode()
            except subprocess.CalledProcessError as error:
                error.add_note(done.stderr)
                raise
        return done

    @property
    def libvirt_uri(self) -> str:
        """Its libvirt, reached by the file system alone, whatever becomes of its network."""
        return f"qemu+unix:///system?socket=/proc/{self._inside()}/root/run/libvirt/libvirt-sock"

    def entering(self, *argv: str, at: Path = Path("/")) -> list[str]:
        """The words that run a command inside the node, in this folder of it."""
        return ["nsenter", "-t", str(self._inside()), "-m", "-u", "-i", "-n", "-p", f"--wdns={at}", "--", *argv]

    def virsh(self, *arguments: str) -> str:
        """What virsh says inside the node."""
        return self.run(["virsh", "-q", *arguments]).stdout

    def put(self, source: Path, path: str) -> None:
        """Copy a file of the host into one of the node's private folders."""
        target = self.folder / path.lstrip("/")
        if not target.parent.is_dir():
            raise RuntimeError(f"{path} is not in a private folder of {self.name}")
        shutil.copy(source, target)
