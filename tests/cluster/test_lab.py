"""The lab itself: nodes are hosts of their own, die and come back, and nothing is left of a lab that crashed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, missing_requirements
from tests.lab.node import shell
from tests.support.servers import wait_until

SOCKET = "/run/libvirt/libvirt-sock"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if reason := missing_requirements():
        pytest.skip(reason)
    lab = Lab(tmp_path_factory.mktemp("lab"), "rvl", 2, pool_mib=64)
    lab.up()
    yield lab
    lab.down(purge=True)


def test_nodes_are_hosts_of_their_own(lab: Lab) -> None:
    first, second = lab.nodes
    assert first.uuid != second.uuid and first.host_key_fingerprint != second.host_key_fingerprint
    for node in lab.nodes:
        assert node.run(["hostname"]).stdout.strip() == node.name
        assert node.uuid in node.virsh("capabilities")
    first.run(["touch", "/var/lib/libvirt/images/mine"])
    assert "mine" not in second.run(["ls", "/var/lib/libvirt/images"]).stdout


def test_a_killed_node_comes_back_as_itself(lab: Lab) -> None:
    node = lab.nodes[0]
    uuid, key = node.uuid, node.host_key_fingerprint
    node.run(["touch", "/var/lib/libvirt/images/kept"])
    node.kill()
    assert not node.running
    node.start()
    node.wait_ready()
    assert (node.uuid, node.host_key_fingerprint) == (uuid, key)
    assert "kept" in node.run(["ls", "/var/lib/libvirt/images"]).stdout


def reachable(node_address: str) -> bool:
    probe = ["ping", "-c1", "-W1", node_address] if Path("/bin/ping").exists() else None
    if probe is None:
        return subprocess.run(
            ["ssh-keyscan", "-T", "1", node_address], capture_output=True, check=False
        ).stdout != b""  # fmt: skip
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def test_a_partition_cuts_and_heals(lab: Lab) -> None:
    node = lab.nodes[1]
    assert reachable(node.address)
    node.partition()
    wait_until(lambda: not reachable(node.address), 10, "it is cut off")
    node.heal()
    wait_until(lambda: reachable(node.address), 10, "it is back")


def test_a_hung_libvirtd_accepts_and_does_not_answer(lab: Lab) -> None:
    node = lab.nodes[1]
    node.hang()
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(node.entering("virsh", "list"), timeout=2, capture_output=True, check=False)
        assert node.run(["true"]).returncode == 0
    finally:
        node.resume()
    assert node.run(["virsh", "list"]).returncode == 0


def test_a_small_disk_fills_and_empties(lab: Lab) -> None:
    node = lab.nodes[0]
    node.fill(leave_mib=1)
    full = node.run(["dd", "if=/dev/zero", "of=/var/lib/libvirt/images/big", "bs=1M", "count=8"], check=False)
    assert "No space left" in full.stderr
    node.run(["rm", "/var/lib/libvirt/images/big"])
    node.unfill()
    node.run(["dd", "if=/dev/zero", "of=/var/lib/libvirt/images/big", "bs=1M", "count=8"])


def test_a_lab_whose_driver_was_killed_is_taken_down_by_another(tmp_path: Path) -> None:
    if reason := missing_requirements():
        pytest.skip(reason)
    script = (
        "import signal, sys; from pathlib import Path; from tests.lab import Lab; "
        "Lab(Path(sys.argv[1]), 'rvk', 1).up(); print('up', flush=True); signal.pause()"
    )
    driver = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "lab")], stdout=subprocess.PIPE)
    assert driver.stdout is not None and driver.stdout.readline() == b"up\n"
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    driver.stdout.close()
    lab = Lab.known(tmp_path / "lab")
    assert lab.nodes[0].running
    lab.down(purge=True)
    assert not (tmp_path / "lab").exists()
    assert "rvk" not in shell("ip", "netns") + shell("ip", "-o", "link") + shell("mount")
    assert not shell("pgrep", "-f", str(tmp_path / "lab"), check=False)
