"""What listens in a host behind a firewall, and, with addresses, which of it answers from there. Standard library."""

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

TCP, UDP = (22, 53, 80, 5432, 6379), (53, 67, 69)


def listen() -> None:
    """Take connections on all of TCP, and answer on all of UDP."""
    for port in TCP:
        server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=100)
        Thread(target=_take, args=(server,)).start()
    for port in UDP:
        server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", port))
        Thread(target=_answer, args=(server,)).start()
    Path("/run/ready").touch()


def _take(server: socket.socket) -> None:
    while True:
        server.accept()[0].close()


def _answer(server: socket.socket) -> None:
    while True:
        server.sendto(b"yes", server.recvfrom(100)[1])


def answers(host: str, source: str, kind: socket.SocketKind, port: int) -> bool:
    """Whether a port of the host answers to one of our addresses."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as plug:
        plug.settimeout(1)
        plug.bind((source, 0))
        try:
            plug.connect((host, port))
            return kind == socket.SOCK_STREAM or bool(plug.send(b"?") and plug.recv(9))
        except OSError:
            return False


def main() -> None:
    """Listen; with pairs of host/source, print what answers to each."""
    if not sys.argv[1:]:
        listen()
    ports = [(socket.SOCK_STREAM, port) for port in TCP] + [(socket.SOCK_DGRAM, port) for port in UDP]
    asked = [(*pair.split("/"), *port) for pair in sys.argv[1:] for port in ports]
    with ThreadPoolExecutor(64) as threads:
        for (host, source, kind, port), found in zip(asked, threads.map(lambda of: answers(*of), asked), strict=True):
            if found:
                print(host, source, "udp" if kind == socket.SOCK_DGRAM else "tcp", port)


if __name__ == "__main__":
    main()
