"""A survey of a host, by one command: its distribution, processor, programs, clock, listeners and firewall."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from ravada_web.clock import now
from ravada_web.messages import message
from ravada_web.messages.foreign import Nonsense, lines, real, whole
from ravada_web.remote import libvirt_daemon
from ravada_web.remote.commands import run
from ravada_web.remote.errors import UnreadableAnswer
from ravada_web.remote.libvirt_daemon import LibvirtDaemon
from ravada_web.remote.reading import reading
from ravada_web.remote.sampling import MOST_SECONDS
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import script

SURVEY_SECONDS = 15.0
# What the product runs on nodes, beside the shell's own.
PROGRAMS = (
    "qemu-img", "qemu-io", "qemu-nbd", "virsh", "sha256sum", "split", "find", "stat", "timeout", "mktemp",
    "unshare", "setpriv", "mount", "chroot",
)  # fmt: skip
FIREWALLS = ("nft", "ufw", "firewall-cmd")
# Of our own making; see services/joining/checks/firewall_rules.py.
TABLE = "ravada"
FIREWALLD_CLOSED = 'rule priority="-1100" drop'
# The zones of a host's own interfaces, its guests' bridges left out: what has no zone is in the default one.
FIREWALLD_ZONES = """zones() {
    { firewall-cmd --get-default-zone
    firewall-cmd --get-active-zones | awk '/^[^ ]/ { zone = $1 } /^ +interfaces:/ { print zone }'
    } | grep -v '^libvirt' | sort -u; }"""
LONGEST, LONGEST_LINE, MOST_PORT = 200, 1000, 65535
# Before the name of a program that is there, but of another kind: busybox's, without what is used of GNU's.
OTHER = "other/"
# Values of AllowTcpForwarding and AllowStreamLocalForwarding under which a link works: both count for sockets.
FORWARDING = ("yes", "all", "local")

_SCRIPT = f"""
part() {{ printf '%s\\0' "$1"; shift; "$@" 2>/dev/null | head -c 60000 | tr -d '\\000'; printf '\\0'; }}
os() {{ cat /etc/os-release || cat /usr/lib/os-release; }}
works() {{ case $1 in
    split) split --filter=true /dev/null ;;
    find) find / -maxdepth 0 -printf x ;;
    stat) stat -L -c %y / | grep -q ' [+-]....$' ;;
    timeout) timeout -k 1 5 true ;;
    unshare) unshare --help 2>&1 | grep -q -e --kill-child ;;
    setpriv) setpriv --help 2>&1 | grep -q -e --bounding-set ;;
    esac </dev/null >/dev/null 2>&1; }}
have() {{ for name in {" ".join((*PROGRAMS, *FIREWALLS, "setfacl"))}; do
    command -v "$name" >/dev/null || continue
    if works "$name"; then echo "$name"; else echo "other/$name"; fi; done; }}
kvm() {{ [ -c /dev/kvm ] && [ -r /dev/kvm ] && [ -w /dev/kvm ] && echo usable; }}
processor() {{ grep -m1 '^model name' /proc/cpuinfo; }}
virtual() {{ grep -m1 -o -w -E 'vmx|svm' /proc/cpuinfo; }}
libvirt() {{ {libvirt_daemon.SCRIPT} }}
sshd_rules() {{ PATH=$PATH:/usr/sbin; sshd -T -C "user=${{SUDO_USER:-$(id -un)}},host=localhost,addr=127.0.0.1"; }}
nft_rules() {{ command -v nft >/dev/null && nft list table inet {TABLE}; }}
nft_other() {{ command -v nft >/dev/null && nft list ruleset; }}
ufw_status() {{ command -v ufw >/dev/null && ufw status; }}
{FIREWALLD_ZONES}
firewalld() {{ command -v firewall-cmd >/dev/null && firewall-cmd --state || return
    for zone in $(zones); do firewall-cmd --zone="$zone" --list-rich-rules | grep -xF '{FIREWALLD_CLOSED}' || echo open
    done; }}
part clock date +%s.%N
part os os
part machine_id cat /etc/machine-id
part arch uname -m
part have have
part kvm kvm
part processor processor
part virtual virtual
part libvirt libvirt
part sshd sshd_rules
part selinux getenforce
part listening ss -Hltnp
part nft_rules nft_rules
part nft_other nft_other
part ufw ufw_status
part firewalld firewalld
"""
# What every host answers, be it with nothing: the names of the parts above.
PARTS = tuple(re.findall(r"^part (\w+)", _SCRIPT, re.MULTILINE))
SURVEY = script("survey", _SCRIPT)


@dataclass(frozen=True)
class Listener:
    """A TCP port that is open to the network: the address it listens at, and the program where it is known."""

    address: str
    port: int
    program: str


@dataclass(frozen=True)
class Survey:
    """What was seen of a host. `clock_ahead` in seconds, half the way there taken off; `seconds` the command took.

    `firewall` is the tool that is at work there ("nft", "ufw", "firewalld", "" for none), `closed` whether our own
    rules are in force, `forwards` whether its sshd is set to forward sockets (None where that cannot be read).
    """

    distribution: str
    kin: frozenset[str]
    pretty_name: str
    machine_id: str
    arch: str
    programs: frozenset[str]
    other_programs: frozenset[str]
    kvm: bool
    processor: str
    virtualisation: bool
    libvirt: LibvirtDaemon
    forwards: bool | None
    selinux: str
    listeners: tuple[Listener, ...]
    firewall: str
    closed: bool
    clock_ahead: float
    seconds: float


def survey(workspace: Workspace, target: Target, deadline: float = SURVEY_SECONDS) -> Survey:
    """Survey a host. Raises what `run` raises."""
    sent, started = now().timestamp(), time.monotonic()
    step = message("remote.step_survey")
    raw = run(workspace, target, SURVEY(), deadline=deadline, fresh=True, step=step)
    took = time.monotonic() - started
    parts = parse_parts(raw)
    if missing := [name for name in PARTS if name not in parts]:
        raise UnreadableAnswer(message("remote.incomplete", step=step, name=target.name, parts=missing))
    with reading(target.name, step):
        return _survey(parts, sent + took / 2, took)


def parse_parts(raw: bytes) -> dict[str, str]:
    """Read what the script says: the parts by their names, their lines cut."""
    words = raw.decode(errors="replace").split("\0")
    return {name: "\n".join(lines(said, LONGEST_LINE)) for name, said in zip(words[::2], words[1::2], strict=False)}


def _survey(parts: Mapping[str, str], at: float, took: float) -> Survey:
    os = {key: value.strip("\"'") for key, _is, value in (line.partition("=") for line in parts["os"].splitlines())}
    firewall, closed = _firewall(parts)
    # busybox has no fractions of a second; a clock that cannot be read is not called wrong.
    now = _number(parts["clock"].strip().removesuffix(".%N"))
    have = parts["have"].split()
    return Survey(
        distribution=_word(os.get("ID", "")),
        kin=frozenset(_word(name) for name in f"{os.get('ID', '')} {os.get('ID_LIKE', '')}".split()),
        pretty_name=_line(os.get("PRETTY_NAME", "")),
        machine_id=_word(parts["machine_id"])[:32],
        arch=_word(parts["arch"]),
        programs=frozenset(name for name in have if "/" not in name),
        other_programs=frozenset(name.removeprefix(OTHER) for name in have if name.startswith(OTHER)),
        kvm="usable" in parts["kvm"],
        processor=_line(parts["processor"].partition(":")[2]),
        virtualisation=bool(parts["virtual"].strip()),
        libvirt=libvirt_daemon.read(parts["libvirt"].encode().splitlines()),
        forwards=_forwards(parts["sshd"]),
        selinux=_word(parts["selinux"]),
        listeners=tuple(_listeners(parts["listening"])),
        firewall=firewall,
        closed=closed,
        clock_ahead=now - at if now else 0.0,
        seconds=took,
    )


def _forwards(rules: str) -> bool | None:
    known = dict(line.partition(" ")[::2] for line in rules.lower().splitlines())
    if "disableforwarding" not in known:
        return None
    allowed = (known.get(name, "yes") in FORWARDING for name in ("allowtcpforwarding", "allowstreamlocalforwarding"))
    return known["disableforwarding"] == "no" and known.get("permitopen") != "none" and all(allowed)


def _firewall(parts: Mapping[str, str]) -> tuple[str, bool]:
    if "running" in parts["firewalld"]:
        return "firewalld", FIREWALLD_CLOSED in parts["firewalld"] and "open" not in parts["firewalld"]
    if "Status: active" in parts["ufw"]:
        return "ufw", bool(re.search(r"ALLOW(?: IN)?\s+\S+.*# ravada", parts["ufw"]))
    if "chain" in parts["nft_rules"]:
        return "nft", True
    return ("nft" if re.search(r"hook input .*policy drop", parts["nft_other"]) else ""), False


def _listeners(listed: str) -> list[Listener]:
    """The lines of `ss -Hltnp` that are open beyond the host itself, each port once."""
    listeners: dict[int, Listener] = {}
    for line in listed.splitlines():
        words = line.split()
        if len(words) < 4:
            continue
        address, _colon, port = words[3].rpartition(":")
        address = address.partition("%")[0].strip("[]")
        number = _port(port)
        if not number or address.startswith("127.") or address in ("::1", "::ffff:127.0.0.1"):
            continue
        program = re.search(r'\(\("([^"]+)"', line)
        listeners.setdefault(number, Listener(_line(address), number, _line(program[1]) if program else ""))
    return [listeners[port] for port in sorted(listeners)]


def _port(said: str) -> int:
    """A port; 0 for what is none."""
    try:
        return whole(said, MOST_PORT)
    except Nonsense:
        return 0


def _word(text: str) -> str:
    return "".join(char for char in text.strip() if char.isalnum() or char in "._-")[:LONGEST]


def _line(text: str) -> str:
    return "".join(char for char in text.strip() if char.isprintable())[:LONGEST]


def _number(text: str) -> float:
    try:
        return real(text, MOST_SECONDS)
    except Nonsense:
        return 0.0
