"""Joining a real host: trust, access, checks and their remedies, proof; and what may go wrong on the way."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import select

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import Message
from ravada_web.models import Event, Node, Operation, OperationState, Trust
from ravada_web.services.joining import host_keys, inspection, key_install, remedies, verification
from ravada_web.services.joining.checks.findings import Finding, findings_of
from ravada_web.services.lifecycle import removal, service_state
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.requests import retry
from tests.lab import Lab, LabNode
from tests.support.cluster import Cluster
from tests.support.refusals import refused
from tests.support.servers import wait_until

PASSWORD = "a word that nobody else knows"
POOL = "/var/lib/libvirt/images"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A host that is no node yet, its disk of its own size; it does not know our key."""
    made = Lab(tmp_path_factory.mktemp("n") / "lab", "rvn", 1, pool_mib=1500)
    made.up()
    yield made
    made.down(purge=True)


@pytest.fixture
def host(cluster: Cluster, lab: Lab) -> Iterator[LabNode]:
    """The host, up; what a test made a node of it is removed, and the key that it let in."""
    found = lab.master
    found.start()
    found.wait_ready()
    yield found
    found.start()
    (found.folder / "root/.ssh/authorized_keys").unlink(missing_ok=True)
    db.session.rollback()
    for node in db.session.scalars(select(Node).where(Node.name.startswith("new"))):
        wait_until(lambda node=node: not busy(node), 60, "nothing works on it")
        removal.remove(cluster.admin, node)


def busy(node: Node) -> bool:
    db.session.rollback()
    works = select(Operation.id).where(Operation.node_id == node.id, Operation.finished_at.is_(None))
    return db.session.scalar(works) is not None


def ended(operation: Operation) -> Operation:
    """The operation, once it is over."""
    found = operation.id

    def over() -> bool:
        db.session.rollback()
        return db.session.get_one(Operation, found).over

    wait_until(over, 90, "the operation is over")
    return db.session.get_one(Operation, found)


def done(operation: Operation) -> Operation:
    """The operation, once it went well."""
    found = ended(operation)
    assert found.state == OperationState.DONE, found.error
    return found


def trusted(cluster: Cluster, host: LabNode, user: str = "root", address: str = "", name: str = "new") -> Node:
    """The node of a host whose key was accepted and whose first inspection is over, however it ended."""
    where = address or host.address
    scan = done(host_keys.request_join(cluster.admin, name=name, address=where, port=22, user=user))
    assert scan.result["fingerprint"] == host.host_key_fingerprint
    ended(host_keys.accept_join(cluster.admin, scan.id, host.host_key_fingerprint))
    return cluster.node(name)


def let_in(cluster: Cluster, host: LabNode, user: str = "root", name: str = "new") -> Node:
    """The node of a host that knows our key."""
    host.authorize(endpoints.public_key())
    return trusted(cluster, host, user, name=name)


def finding(node: Node, code: str) -> Finding:
    db.session.rollback()
    return next(item for item in findings_of(node) if item.code == code)


def kinds(text: Message) -> list[str]:
    """The kinds of what it says, one after the other."""
    return [part.kind for part in text.figures.get("items", [text])]


def inspected(cluster: Cluster, node: Node) -> Node:
    done(inspection.request_inspection(cluster.admin, node))
    return node


def test_from_a_password_to_a_node_that_runs_guests(cluster: Cluster, host: LabNode) -> None:
    host.add_user("keeper", PASSWORD, sudo=True, groups=["libvirt"])
    node = trusted(cluster, host, "keeper")
    last = db.session.scalar(select(Operation).where(Operation.node_id == node.id).order_by(Operation.id.desc()))
    assert last is not None and (last.result["field"], last.error.kind) == ("user", "remote.key_refused")
    assert (node.service_state, node.access, node.observed) == ("new", "", "unknown")

    wrong = ended(key_install.request_key_install(cluster.admin, node, "not the password"))
    assert (wrong.result["field"], wrong.error.kind) == ("password", "remote.wrong_password")
    done(key_install.request_key_install(cluster.admin, node, PASSWORD))
    db.session.rollback()
    assert node.access == "sudo"
    line = (host.folder / "home/keeper/.ssh/authorized_keys").read_text()
    assert line == f'from="{node.source_address}" {endpoints.public_key()}\n'
    assert [item for item in findings_of(node) if item.state == "fail"] == []

    assert node.memory_free_mib and node.pools[0].free_mib, "its figures are known before the first check"

    proof = done(verification.request_verification(cluster.admin, node))
    assert [step["code"] for step in proof.result["steps"]] == ["link", "disk", "start", "display", "frame", "remove"]
    assert all(step["state"] == "pass" for step in proof.result["steps"])
    db.session.rollback()
    assert node.service_state == "enabled" and node.proved_at is not None
    assert host.virsh("list", "--all", "--name").split() == []
    assert "ravada-proof" not in host.run(["ls", POOL]).stdout
    wait_until(lambda: cluster.node("new").observed == "up", 20, "it is seen up")
    assert_nowhere(cluster, PASSWORD)


def assert_nowhere(cluster: Cluster, secret: str) -> None:
    """No file of the installation, no log and no key of its Redis holds the secret."""
    folders = (cluster.settings.data, cluster.settings.data.parent)
    files = {path for folder in folders for path in folder.rglob("*") if path.is_file() and "lab" not in path.parts}
    held = [path for path in files if path.suffix != ".qcow2" and secret.encode() in path.read_bytes()]
    assert held == [], held
    with Redis.from_url(cluster.settings.redis_url) as redis:
        assert not list(redis.scan_iter("ravada:password:*"))


def test_a_user_without_sudo_or_libvirt_is_told_what_is_missing(cluster: Cluster, host: LabNode) -> None:
    host.add_user("nobody2", PASSWORD)
    node = trusted(cluster, host, "nobody2")
    powerless = ended(key_install.request_key_install(cluster.admin, node, PASSWORD))
    assert (powerless.result["field"], powerless.error.kind) == ("user", "remote.powerless")
    assert "NOPASSWD" in powerless.error.figures["command"]


def test_a_user_with_sudo_must_be_in_libvirts_group(cluster: Cluster, host: LabNode) -> None:
    host.add_user("outsider", PASSWORD, sudo=True)
    node = trusted(cluster, host, "outsider")
    done(key_install.request_key_install(cluster.admin, node, PASSWORD))
    assert finding(node, "libvirt").state == "fail"
    assert finding(node, "libvirt").remedy == "usermod -aG libvirt outsider"


def test_the_libvirt_group_alone_is_a_reduced_mode(cluster: Cluster, host: LabNode) -> None:
    host.add_user("watcher", PASSWORD, groups=["libvirt"])
    node = trusted(cluster, host, "watcher")
    done(key_install.request_key_install(cluster.admin, node, PASSWORD))
    db.session.rollback()
    assert node.access == "libvirt"
    assert finding(node, "access").state == "warn" and finding(node, "access").text.kind == "joining.access_libvirt"
    assert finding(node, "libvirt").state == "pass"
    wait_until(lambda: cluster.node("new").observed == "up", 20, "it is watched all the same")
    for asked in (
        lambda: verification.request_verification(cluster.admin, cluster.node("new")),
        lambda: remedies.request_fix(cluster.admin, cluster.node("new"), ["firewall"]),
        lambda: service_state.set_service_state(cluster.admin, cluster.node("new"), "enabled", unverified=True),
    ):
        with pytest.raises(Conflict):
            asked()


BREAKS = {
    "libvirt": "kill $(cat /run/libvirtd.pid); while [ -e /run/libvirtd.pid ]; do sleep 0.05; done; "
    "rm -f /run/libvirt/libvirt-sock",
    "pool:default": "virsh pool-destroy default; virsh pool-undefine default",
    "network:default": "virsh net-destroy default",
}


@pytest.mark.parametrize("code", BREAKS)
def test_what_is_missing_is_found_and_mended(cluster: Cluster, host: LabNode, code: str) -> None:
    node = let_in(cluster, host)
    cluster.check_until_up("new")  # what is off as it comes up is started for it

    def is_found_missing() -> bool:
        if not finding(node, code) or finding(node, code).state == "pass":
            host.run(["sh", "-c", BREAKS[code]])
        inspected(cluster, node)
        return finding(node, code).state == "fail"

    # The product's own check, which is still at it, may start it once more.
    wait_until(is_found_missing, 30, "it is found missing")
    assert finding(node, code).remedy
    done(remedies.request_fix(cluster.admin, node, [code]))
    assert finding(node, code).state == "pass", finding(node, code)
    mended = select(Event.text).where(Event.action == "mend")
    assert str(db.session.scalar(mended.order_by(Event.id.desc()))) == code


def test_a_pool_that_is_off_is_started(cluster: Cluster, host: LabNode) -> None:
    node = let_in(cluster, host)
    cluster.check_until_up("new")

    def is_found_off() -> bool:
        if "default" in host.virsh("pool-list", "--name"):
            host.virsh("pool-destroy", "default")
        inspected(cluster, node)
        return finding(node, "pool:default").text.kind == "joining.pool_inactive"

    # What is off as it comes up is started for it, once: by the product's own check, maybe, which is still at it.
    wait_until(is_found_off, 30, "it is found off")
    done(remedies.request_fix(cluster.admin, node, ["pool:default"]))
    assert finding(node, "pool:default").state == "pass"


def test_a_pool_at_another_place_is_shown_beside_the_masters(cluster: Cluster, host: LabNode) -> None:
    node = let_in(cluster, host)
    cluster.check_until_up("new")  # what is off as it comes up is started for it
    make = "virsh pool-define-as default dir --target"
    script = f"virsh pool-destroy default; virsh pool-undefine default; mkdir -p /home/pool; {make} /home/pool"
    host.run(["sh", "-c", f"{script}; virsh pool-start default"])
    inspected(cluster, node)
    found = finding(node, "pool:default")
    assert found.state == "fail" and "/home/pool" in str(found.text) and POOL in str(found.text)
    assert not found.applied and remedies.remedies(node, ["pool:default"]) == []
    host.run(["sh", "-c", f"virsh pool-destroy default; virsh pool-undefine default; {make} {POOL}"])
    host.virsh("pool-start", "default")
    host.virsh("pool-autostart", "default")


def test_a_full_pool_and_a_missing_program_fail_with_the_figure_and_the_package(
    cluster: Cluster, host: LabNode
) -> None:
    node = let_in(cluster, host)
    host.fill(leave_mib=50)
    host.run(["mount", "--bind", "/dev/null", "/usr/bin/qemu-img"])
    try:
        inspected(cluster, node)
        assert kinds(finding(node, "pool:default").text) == ["joining.pool", "joining.pool_full"]
        assert finding(node, "tools").state == "fail" and "qemu-img" in finding(node, "tools").text.figures["names"]
        assert "apt-get install" in finding(node, "tools").remedy
    finally:
        host.unfill()
        host.run(["umount", "/usr/bin/qemu-img"])
    inspected(cluster, node)
    assert {finding(node, code).state for code in ("pool:default", "tools")} == {"pass"}


# A date that is five minutes ahead, and a host whose memory is all in use.
LATE = """#!/bin/sh
now=$(($(busybox date +%s) + 300))
echo "${1#+}" | sed "s/%s/$now/; s/%N/0/"
"""
FULL = "MemTotal: 4096000 kB\nMemFree: 1000 kB\nMemAvailable: 1000 kB\n"


@pytest.mark.parametrize(
    ("code", "path", "text", "kind"),
    [
        ("clock", "/usr/bin/date", LATE, "joining.clock_ahead"),
        ("memory", "/proc/meminfo", FULL, "joining.memory_full"),
    ],
    ids=["clock", "memory"],
)
def test_what_cannot_be_fixed_from_here_is_told_with_its_figure(
    cluster: Cluster, host: LabNode, code: str, path: str, text: str, kind: str
) -> None:
    node = let_in(cluster, host)
    assert finding(node, code).state == "pass"
    host.run(["sh", "-c", f"cat > /run/stand-in; chmod 755 /run/stand-in; mount --bind /run/stand-in {path}"], text)
    try:
        inspected(cluster, node)
        assert finding(node, code).state == "fail" and kind in kinds(finding(node, code).text)
    finally:
        host.run(["umount", path])
    inspected(cluster, node)
    assert finding(node, code).state == "pass"


def test_each_distribution_has_its_own_commands(cluster: Cluster, host: LabNode) -> None:
    node = let_in(cluster, host)
    release = host.folder / "etc/os-release"
    kept = release.read_text()
    host.run(["mount", "--bind", "/dev/null", "/usr/bin/qemu-img"])
    try:
        release.write_text('ID=rocky\nID_LIKE="rhel centos fedora"\nPRETTY_NAME="Rocky Linux 9.4"\n')
        inspected(cluster, node)
        assert finding(node, "distribution").state == "pass"
        assert finding(node, "tools").remedy.startswith("dnf install -y qemu-img")
        release.write_text('ID=gentoo\nPRETTY_NAME="Gentoo Linux"\n')
        inspected(cluster, node)
        assert finding(node, "distribution").state == "warn" and "Gentoo" in str(finding(node, "distribution").text)
        assert finding(node, "tools").remedy == ""
    finally:
        release.write_text(kept)
        host.run(["umount", "/usr/bin/qemu-img"])


def test_the_firewall_leaves_only_ssh_from_the_master(cluster: Cluster, host: LabNode) -> None:
    node = let_in(cluster, host)
    assert "22" in str(finding(node, "firewall").text) and node.source_address in finding(node, "firewall").remedy
    host.run(["sh", "-c", "nohup socat TCP-LISTEN:7777,fork /dev/null >/dev/null 2>&1 & true"], check=False)
    try:
        done(remedies.request_fix(cluster.admin, node, ["firewall"]))
        assert finding(node, "firewall").state == "pass"
        assert host.run(["test", "-e", "/run/ravada-firewall-kept"], check=False).returncode == 0
        with pytest.raises(OSError), socket.create_connection((host.address, 16514), timeout=1):
            pass
        assert "policy drop" in host.run(["nft", "list", "table", "inet", "ravada"]).stdout
    finally:
        host.run(["nft", "delete", "table", "inet", "ravada"], check=False)
        # A node of the lab has its /etc in common with this machine.
        host.run(["sh", "-c", "rm -f /etc/nftables.ravada.nft; sed -i /ravada/d /etc/nftables.conf"], check=False)


def test_a_host_by_two_addresses_is_found_and_never_enabled(cluster: Cluster) -> None:
    twin = cluster.lab.nodes[1]
    second = twin.address.rpartition(".")[0] + ".99"
    twin.run(["ip", "addr", "add", f"{second}/24", "dev", "eth0"], check=False)
    node = trusted(cluster, twin, address=second, name="newtwin")
    try:
        found = finding(node, "twice")
        assert found.state == "fail" and found.text.kind == "joining.is_node"
        with refused(Conflict, "joining.duplicate"):
            verification.request_verification(cluster.admin, node)
        with refused(Conflict, "joining.duplicate"):
            service_state.set_service_state(cluster.admin, node, "enabled", unverified=True)
    finally:
        removal.remove(cluster.admin, node)


def test_the_master_itself_is_told_as_such(cluster: Cluster) -> None:
    master = cluster.lab.master
    second = master.address.rpartition(".")[0] + ".97"
    master.run(["ip", "addr", "add", f"{second}/24", "dev", "eth0"], check=False)
    node = trusted(cluster, master, address=second, name="newmaster")
    assert finding(node, "twice").text.kind == "joining.is_master"
    removal.remove(cluster.admin, node)


def test_a_host_that_reboots_in_the_middle_is_joined_after_it(cluster: Cluster, host: LabNode) -> None:
    host.authorize(endpoints.public_key())
    scan = done(host_keys.request_join(cluster.admin, name="new", address=host.address, port=22, user="root"))
    host.kill()
    broken = ended(host_keys.accept_join(cluster.admin, scan.id, host.host_key_fingerprint))
    assert broken.state == OperationState.FAILED and broken.result["field"] == "address"
    host.start()
    host.wait_ready()
    retry(cluster.admin, [broken.id])
    done(broken)
    done(verification.request_verification(cluster.admin, cluster.node("new")))
    assert cluster.node("new").service_state == "enabled"


def test_a_key_that_changes_between_two_steps_quarantines_it(cluster: Cluster, host: LabNode) -> None:
    node = let_in(cluster, host)
    old = host.host_key_fingerprint
    host.rotate_host_key()
    try:
        broken = ended(inspection.request_inspection(cluster.admin, node))
    except Conflict as refusal:
        assert refusal.message.kind == "joining.quarantined", "its link has seen it first"
    else:
        assert (broken.error.kind, broken.error.figures["old"]) == ("remote.host_key_changed", old)
    db.session.rollback()
    assert node.trust == Trust.CHANGED
    with refused(Conflict, "joining.quarantined"):
        verification.request_verification(cluster.admin, node)
    scan = done(host_keys.request_rekey(cluster.admin, node))
    done(host_keys.accept_join(cluster.admin, scan.id, host.host_key_fingerprint))
    db.session.rollback()
    assert node.trust == Trust.PINNED
    assert db.session.scalar(select(Event).where(Event.action == "accept_key", Event.object_id == node.id)) is not None


def test_an_unproved_node_is_enabled_only_by_an_override_that_is_kept(cluster: Cluster, host: LabNode) -> None:
    node = let_in(cluster, host)
    with refused(Conflict, "nodes.not_tested"):
        service_state.set_service_state(cluster.admin, node, "enabled")
    service_state.set_service_state(cluster.admin, node, "enabled", unverified=True)
    kept = select(Event).where(Event.action == "enable_unproved", Event.object_id == node.id)
    assert db.session.scalar(kept) is not None


def test_the_command_line_joins_from_a_file(cluster: Cluster, host: LabNode, tmp_path: Path) -> None:
    host.authorize(endpoints.public_key())
    listed = tmp_path / "nodes.txt"
    listed.write_text(f"# one a line\nnew {host.address} {host.host_key_fingerprint}\nnew-away 198.18.99.99 SHA256:x\n")
    done_all = cluster.flask("nodes", "join", "--file", str(listed), check=False)
    assert "node new joined" in done_all.stdout
    assert "new-away" in done_all.stderr and "1 of 2 not joined" in done_all.stderr
    assert cluster.node("new").service_state == "enabled"
    again = cluster.flask("nodes", "check", "new", "--json")
    assert '"code": "libvirt"' in again.stdout


OWN_SHELL = '#!/bin/sh\necho "Welcome to $(hostname)"; echo careful >&2\nshift; eval "$1"\n'


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/tcsh", "/usr/bin/fish", "/home/shell"])
def test_a_user_with_any_login_shell_and_a_greeting_joins_by_password(
    cluster: Cluster, host: LabNode, shell: str
) -> None:
    if shell != "/home/shell" and not Path(shell).exists():
        pytest.skip(f"not installed: {shell}")
    own = host.folder / "home/shell"
    own.write_text(OWN_SHELL)
    own.chmod(0o755)
    user = f"j.{Path(shell).name}"
    host.add_user(user, PASSWORD, sudo=True, groups=["libvirt"], login_shell=shell)
    for name in (".bashrc", ".tcshrc", ".cshrc"):
        (host.folder / "home" / user / name).write_text("echo Welcome to the host\n")
    node = trusted(cluster, host, user)
    done(key_install.request_key_install(cluster.admin, node, PASSWORD))
    db.session.rollback()
    assert node.access == "sudo"
    line = (host.folder / "home" / user / ".ssh/authorized_keys").read_text()
    assert line == f'from="{node.source_address}" {endpoints.public_key()}\n'
    assert [item for item in findings_of(node) if item.state == "fail"] == []
    proof = done(verification.request_verification(cluster.admin, node))
    assert all(step["state"] == "pass" for step in proof.result["steps"])


def test_a_host_joins_by_its_link_local_address(cluster: Cluster, host: LabNode) -> None:
    shown = host.run(["ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"]).stdout
    address = shown.split("inet6 ")[1].split("/")[0]
    host.add_user("linked", PASSWORD, sudo=True, groups=["libvirt"])
    node = trusted(cluster, host, "linked", address=f"{address}%{host.bridge}")
    done(key_install.request_key_install(cluster.admin, node, PASSWORD))
    line = (host.folder / "home/linked/.ssh/authorized_keys").read_text()
    assert line.startswith('from="fe80::') and '%*" ' in line, "our address, by whichever interface of the host"
    done(verification.request_verification(cluster.admin, node))
