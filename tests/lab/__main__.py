"""The lab from the command line: `python -m tests.lab up --folder F [--name N] [--count 3]`, then kill, hang, ….

Commands: up, down, purge, status, guest; and with a node's number: start, kill, partition, heal, hang, resume,
unfill; slow N MBIT (0: no bound), fill N MIB; authorize FILE lets a public key into all nodes.
"""

import argparse
import json
import sys
from pathlib import Path

from tests.lab import Lab, LabNode, build_guest, missing_requirements

PLAIN = ("start", "kill", "partition", "heal", "hang", "resume", "unfill")


def main() -> None:
    """Do one command."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument(
        "command", choices=("up", "down", "purge", "status", "guest", "authorize", "slow", "fill", *PLAIN)
    )
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("--folder", type=Path, default=Path("var/lab"))
    parser.add_argument("--name", default="rvd")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--pool-mib", type=int)
    options = parser.parse_args()
    if reason := missing_requirements():
        sys.exit(reason)
    if options.command == "guest":
        print(build_guest(options.folder))
    elif options.command == "up":
        lab = Lab(options.folder, options.name, options.count, options.pool_mib)
        lab.up()
        _show(lab)
    else:
        _known(options.command, options.arguments, _lab(options.folder))


def _lab(folder: Path) -> Lab:
    try:
        return Lab.known(folder)
    except FileNotFoundError:
        sys.exit(f"there is no lab in {folder}; bring one up first: python -m tests.lab up --folder {folder}")


def _known(command: str, arguments: list[str], lab: Lab) -> None:
    if command in ("down", "purge"):
        lab.down(purge=command == "purge")
    elif command == "status":
        _show(lab)
    elif command == "authorize":
        for node in lab.nodes:
            node.authorize(Path(arguments[0]).read_text())
    else:
        _fault(command, arguments, lab.nodes[int(arguments[0]) - 1])


def _fault(command: str, arguments: list[str], node: LabNode) -> None:
    if command == "slow":
        node.slow(int(arguments[1]) or None)
    elif command == "fill":
        node.fill(int(arguments[1]))
    else:
        getattr(node, command)()


def _show(lab: Lab) -> None:
    nodes = [
        {"name": node.name, "address": node.address, "running": node.running, "fingerprint": node.host_key_fingerprint}
        for node in lab.nodes
    ]
    print(json.dumps(nodes, indent=1))


if __name__ == "__main__":
    main()
