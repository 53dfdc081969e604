"""How libvirt is on a host: what of it is installed and runs, and whether its socket answers there. It is seen on the
host itself: a client behind a link cannot tell a stopped daemon from an sshd that does not forward."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ravada_web.messages import message
from ravada_web.messages.foreign import printable
from ravada_web.remote.commands import run
from ravada_web.remote.target import LIBVIRT_SOCKET, Target, Workspace

# The one daemon of before; the one of QEMU's alone, as Fedora, RHEL and others have it; and the one that gives such a
# host the one socket that we speak to.
MONOLITHIC, MODULAR, PROXY = "libvirtd", "virtqemud", "virtproxyd"
LOOK_SECONDS = 3.0
# Lines of "word value". A process in a container has a second NSpid. A socket that nobody listens at is no libvirt.
SCRIPT = f"""
PATH=$PATH:/usr/sbin:/sbin
for name in {MONOLITHIC} {MODULAR} {PROXY}; do
    command -v "$name" >/dev/null && echo "installed $name"
    for seen in $(grep -lsx "$name" /proc/[0-9]*/comm); do
        grep -qs '^NSpid:[[:space:]]*[0-9]*$' "${{seen%comm}}status" && echo "running $name"
    done
    [ -d /run/systemd/system ] && systemctl -q is-enabled "$name.socket" 2>/dev/null && echo "enabled $name"
done
[ -d /run/systemd/system ] && echo "systemd yes"
if [ -S {LIBVIRT_SOCKET} ] && grep -qs ' 00010000 0001 .* {LIBVIRT_SOCKET}$' /proc/net/unix; then
    echo "listening yes"
    said=$(timeout 2 virsh -q -c 'qemu+unix:///system?socket={LIBVIRT_SOCKET}' uri 2>&1 >/dev/null </dev/null) &&
        echo "answers yes" || printf 'said %s\\n' "$(printf %s "$said" | tr '\\n' ' ')"
fi
:
"""


@dataclass(frozen=True)
class LibvirtDaemon:
    """The daemons by name: those that are installed, that run, and that systemd starts by their sockets.

    `listening` says whether there is somebody at the socket, `answers` whether a client of the host gets an answer, and
    `said` what it said if not.
    """

    installed: frozenset[str] = frozenset()
    running: frozenset[str] = frozenset()
    enabled: frozenset[str] = frozenset()
    systemd: bool = False
    listening: bool = False
    answers: bool = False
    said: str = ""

    @property
    def modular(self) -> bool:
        """Whether the host has a daemon for each driver; a second one for all of them would be in their way."""
        if MONOLITHIC in self.running:
            return False
        return MODULAR in self.running | self.enabled or (
            MODULAR in self.installed and MONOLITHIC not in self.installed
        )


def look(workspace: Workspace, target: Target) -> LibvirtDaemon:
    """Look at it as the login itself, whose rights the link has. Raises what `run` raises."""
    argv, step = ["sh", "-c", SCRIPT], message("remote.step_look")
    return read(run(workspace, replace(target, root=False), argv, deadline=LOOK_SECONDS, step=step).splitlines())


def read(lines: Iterable[bytes]) -> LibvirtDaemon:
    """What the script says; lines that it does not know are passed over."""
    words = [line.decode(errors="replace").partition(" ") for line in lines]
    named = {
        word: frozenset(value for key, _blank, value in words if key == word and value in (MONOLITHIC, MODULAR, PROXY))
        for word in ("installed", "running", "enabled")
    }
    known = {key: value for key, _blank, value in words}
    return LibvirtDaemon(
        **named,
        systemd="systemd" in known,
        listening="listening" in known,
        answers="answers" in known,
        said=printable(known.get("said", "")),
    )
