"""What may reach OpenSSH's command line, and what its messages mean."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ravada_web.messages.foreign import printable
from ravada_web.remote.commands import far_words
from ravada_web.remote.errors import InvalidTarget
from ravada_web.remote.ssh import command
from ravada_web.remote.ssh_log import SshLog
from ravada_web.remote.target import Target, Workspace, checked_path

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPjsX/dqn2nkd9UrJbrGwiJ6t4v/sDvKM8Z9WMpGuIxO"
NODE = Target(7, "kvm7", "10.0.0.7", 22, "root", KEY)


@pytest.mark.parametrize(
    "host",
    ["node-1", "node_1.example.org", "kvm_node1", "_kvm", "kvm1.example.org.", "10.0.0.7", "fd00::7", "Xen9",
     "fe80::1%eth0", "fe80::1%br-lan.7", "fe80::1%2", "a" * 63 + ".example.org"],
)  # fmt: skip
def test_hosts_that_are_fine(host: str) -> None:
    assert replace(NODE, host=host).host == host


@pytest.mark.parametrize(
    "host",
    ["", "-oProxyCommand=id", "a b", "a;b", "a\nb", "root@a", "$(id)", "[::1]", "ssh://a", ".", "a..b", ".a", "é",
     "kvm1:22", "a" * 64, "a." * 130, "fe80::1", "fd00::1%eth0", "10.0.0.7%eth0", "fe80::1%", "fe80::1%eth0;id",
     "fe80::1%a b", "kvm%eth0", "kvm1\n"],
)  # fmt: skip
def test_hosts_that_are_refused(host: str) -> None:
    with pytest.raises(InvalidTarget, match="cannot be used: "):
        replace(NODE, host=host)


@pytest.mark.parametrize(
    "user", ["root", "j.smith", "J.Smith", "svc-kvm", "_kvm", "7of9", "jane@example.org", "AD\\jane"]
)
def test_users_that_are_fine(user: str) -> None:
    assert replace(NODE, user=user).user == user


@pytest.mark.parametrize("user", ["", "-l", "a b", "a;b", "a$b", "o'brien", "a\n", "a\\", "x" * 65, "(a)"])
def test_users_that_are_refused(user: str) -> None:
    with pytest.raises(InvalidTarget, match="cannot be used: "):
        replace(NODE, user=user)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", 0),
        ("port", 65536),
        ("host_key", ""),
        ("host_key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5A"),
        ("host_key", KEY + "\nother ssh-ed25519 AAAA"),
        ("host_key", "@cert-authority * " + KEY),
    ],
)
def test_other_fields_that_are_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidTarget, match=r"kvm7.* (cannot be used|is damaged)"):
        replace(NODE, **{field: value})


def test_this_host_needs_no_address() -> None:
    assert Target(1, "master", "", 0, "", "", local=True).local


def test_a_run_folder_too_long_for_sockets_is_refused() -> None:
    with pytest.raises(ValueError, match="too long for the sockets"):
        Workspace(Path("/" + "x" * 72), Path("/key"))


def test_the_longest_run_folder_leaves_room_for_a_socket() -> None:
    workspace = Workspace(Path("/" + "x" * 71), Path("/key"))
    last = replace(NODE, node_id=9_999_999_999)
    assert len(bytes(workspace.control(last))) + len(".0123456789abcdef") <= 107


@pytest.mark.parametrize("path", ["relative", "", "-rf", "/a\0b"])
def test_paths_that_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="absolute path"):
        checked_path(path)


def test_a_user_who_is_not_root_acts_by_sudo() -> None:
    assert far_words(replace(NODE, user="ops"), ["id"], None) == ["sudo", "-n", "env", "LC_ALL=C", "id"]
    assert far_words(NODE, ["id"], None) == ["env", "LC_ALL=C", "id"]


def test_the_far_side_ends_a_command_soon_after_its_deadline() -> None:
    assert far_words(NODE, ["id"], 1.5)[-5:] == ["timeout", "-k", "5", "4", "id"]


def test_the_host_comes_after_the_end_of_options_and_the_key_is_pinned(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, tmp_path / "key")
    with closing(SshLog()) as log:
        words = command(workspace, NODE, log=log, control=None)
    assert words[-2:] == ["--", "10.0.0.7"]
    assert {"StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null", "ControlPath=none"} < set(words)
    assert workspace.known_hosts(NODE).read_text() == f"node-7 {KEY}\n"


def test_who_still_holds_the_old_key_does_not_unpin_the_new_one(tmp_path: Path) -> None:
    workspace, new = Workspace(tmp_path, tmp_path / "key"), replace(NODE, host_key=KEY.replace("uIxO", "uIxP"))
    with closing(SshLog()) as log:
        for target in (NODE, new, NODE):  # a check that began before the new key was accepted asks once more
            words = command(workspace, target, log=log, control=None)
            assert f'UserKnownHostsFile="{workspace.known_hosts(target)}"' in words
    assert workspace.known_hosts(new).read_text() == f"node-7 {new.host_key}\n"
    assert len(list(workspace.run_dir.iterdir())) == 2


def test_what_a_node_says_is_made_printable_and_short() -> None:
    assert printable(b"a\x1b[31m\r\nb\xff\0c") == "a [31m b� c"
    assert len(printable("x" * 10_000)) == 501
