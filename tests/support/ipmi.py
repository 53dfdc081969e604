"""A management controller that speaks IPMI over the network: Debian's own simulator, with one machine, on or off."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import wait_until

SIMULATOR = Path("/usr/bin/ipmi_sim")
USER, PASSWORD = "root", "calvin&hobbes=1"
# The network's end: who may sign in, and what is run for the machine's power.
LAN = """name "sim"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_admin md5
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{folder}/power"
  user 2 true "{user}" "{password}" admin 10 md5
"""
CONTROLLER = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n"
# It is called with "get power" and "set power 0"; each call is a line of `asked`.
POWER = """#!/bin/sh
cd {folder}
echo "$@" >>asked
case "$1" in
    get) echo "power:$(cat state)" ;;
    set) echo "$3" >state ;;
esac
"""
# What finds controllers on a network (ASF presence ping), which they answer to anybody.
PING = bytes.fromhex("0600ff06000011be80000000")


@dataclass
class Controller:
    """One that answers at `port` of 127.0.0.1."""

    folder: Path
    port: int

    @property
    def options(self) -> dict[str, str]:
        """fence_ipmilan's options for it. The cipher suite is named: the simulator does not say which it knows, and
        ipmitool would wait 14 s for that."""
        entered = {"ip": "127.0.0.1", "ipport": str(self.port), "username": USER, "password": PASSWORD}
        return entered | {"lanplus": "1", "cipher": "3"}

    @property
    def asked(self) -> list[str]:
        """What it was asked of its machine so far."""
        return (self.folder / "asked").read_text().splitlines()

    def answers(self) -> bool:
        """Whether it is there."""
        with socket.socket(type=socket.SOCK_DGRAM) as plug:
            plug.settimeout(0.2)
            plug.connect(("127.0.0.1", self.port))
            try:
                plug.send(PING)
                return bool(plug.recv(100))
            except OSError:
                return False


@contextmanager
def ipmi(folder: Path) -> Iterator[Controller]:
    """The controller, its machine on, on a port of its own."""
    controller = Controller(folder, _free_port())
    words = {"folder": folder, "port": controller.port, "user": USER, "password": PASSWORD}
    for name, content in (("lan.conf", LAN), ("power", POWER)):
        (folder / name).write_text(content.format_map(words))
    (folder / "power").chmod(0o755)
    (folder / "controller").write_text(CONTROLLER)
    (folder / "state").write_text("1\n")
    (folder / "kept").mkdir()
    command = [SIMULATOR, "-n", "-c", folder / "lan.conf", "-f", folder / "controller", "-s", folder / "kept"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(controller.answers, 30, f"the controller answers; its log is {folder / 'log'}")
        yield controller
    finally:
        process.kill()
        process.wait(10)


def _free_port() -> int:
    """A port of UDP nobody has now."""
    with socket.socket(type=socket.SOCK_DGRAM) as plug:
        plug.bind(("127.0.0.1", 0))
        return int(plug.getsockname()[1])
