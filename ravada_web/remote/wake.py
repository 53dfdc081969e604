"""Sending the packet that wakes a host: from this very host, or from a node that is beside it."""

import re
import socket
from collections.abc import Sequence

from ravada_web.messages import message
from ravada_web.remote.cards import MAC, Nic, broadcast_beside
from ravada_web.remote.commands import run
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import Kind, Verb, matching

# "discard": whoever listens there does nothing with it.
PORT = 9
# A packet is lost now and then, and nobody says so.
TIMES = 3
SEND_SECONDS = 10.0
_IPV4 = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
# Debian has Perl's base always, Fedora has Python; both can broadcast, which a shell cannot.
_SCRIPT = f"""
if command -v perl >/dev/null; then exec perl -MSocket -e '
    my ($mac, $to) = @ARGV;
    $mac =~ tr/://d;
    socket(my $plug, PF_INET, SOCK_DGRAM, 0) or die "socket: $!\\n";
    setsockopt($plug, SOL_SOCKET, SO_BROADCAST, 1) or die "SO_BROADCAST: $!\\n";
    for (1 .. {TIMES}) {{
        defined send($plug, "\\xff" x 6 . pack("H12", $mac) x 16, 0, sockaddr_in({PORT}, inet_aton($to)))
            or die "send: $!\\n";
    }}' "$1" "$2"
fi
command -v python3 >/dev/null || {{ echo "neither perl nor python3 is installed" >&2; exit 127; }}
exec python3 -c '
import socket, sys
plug = socket.socket(type=socket.SOCK_DGRAM)
plug.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
for _ in range({TIMES}):
    packet = bytes([255] * 6) + bytes.fromhex(sys.argv[1].replace(":", "")) * 16
    plug.sendto(packet, (sys.argv[2], {PORT}))' "$1" "$2"
"""
# This very host's helper does not know it: this host sends the packet itself, and needs no right to.
WAKE = Verb("wake", ("sh", "-c", _SCRIPT, "sh", Kind(matching(MAC)), Kind(matching(_IPV4))))


def magic_packet(mac: str) -> bytes:
    """The packet for which a card with that MAC address wakes its host."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16


def broadcast_from_here(addresses: Sequence[str]) -> str:
    """The broadcast address of a network of one of these addresses ("192.0.2.12/24") that this very host is in; ""
    where there is none. Nothing is sent."""
    for host, _slash, prefix in (address.partition("/") for address in addresses):
        try:
            with socket.socket(type=socket.SOCK_DGRAM) as plug:
                plug.connect((host, PORT))  # a datagram's socket: it only says from where it would be sent
                own = plug.getsockname()[0]
        except OSError:
            continue
        if prefix and (to := broadcast_beside([Nic("", "", "", addresses=(f"{own}/{prefix}",))], [host])):
            return to
    return ""


def send_from_here(mac: str, to: str) -> None:
    """Send it from this very host to the broadcast address of a network that it is in, which needs no right. Raises
    OSError."""
    with socket.socket(type=socket.SOCK_DGRAM) as plug:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for _time in range(TIMES):
            plug.sendto(magic_packet(mac), (to, PORT))


def send_from(workspace: Workspace, target: Target, mac: str, to: str) -> None:
    """Send it from a node to the broadcast address of a network that the node is in. Raises what `run` raises."""
    step = message("remote.step_wake")
    run(workspace, target, WAKE(mac, to), deadline=SEND_SECONDS, step=step)
