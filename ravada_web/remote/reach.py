"""Which TCP ports of a host answer to us, whatever the host says of them."""

import socket
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SECONDS = 2.0
AT_ONCE = 64
MOST = 256
# What is harmful when it is open to a network, and the programs that are known by it: asked for on every host.
KNOWN = {
    23: "telnet",
    111: "rpcbind",
    445: "smbd",
    1433: "mssql",
    2049: "nfsd",
    2375: "docker",
    3306: "mysqld",
    3389: "rdp",
    5432: "postgres",
    6000: "X",
    6379: "redis",
    9200: "elasticsearch",
    11211: "memcached",
    16509: "libvirtd",
    16514: "libvirtd",
    27017: "mongod",
} | dict.fromkeys(range(5900, 5911), "VNC")


def reachable(host: str, ports: Collection[int]) -> frozenset[int]:
    """Those of the ports, and of the KNOWN ones, that take a connection from here, within seconds for them all."""
    asked = [*KNOWN, *sorted({*ports} - {*KNOWN})][:MOST]
    try:
        found = {(info[0], info[4]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return frozenset()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = threads.map(lambda port: any(_answers(family, place, port) for family, place in found), asked)
        return frozenset(port for port, answers_us in zip(asked, answers, strict=True) if answers_us)


def _answers(family: int, place: Any, port: int) -> bool:
    address, _none, *scope = place
    with socket.socket(family, socket.SOCK_STREAM) as plug:
        plug.settimeout(SECONDS)
        return plug.connect_ex((address, port, *scope)) == 0
