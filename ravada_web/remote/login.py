"""Access to a host: what our login may do there, the command that installs our key, and doing so by password."""

import ipaddress
import re
import shlex
import socket
import time
from dataclasses import dataclass, replace
from typing import Literal

import paramiko

from ravada_web.messages import message
from ravada_web.messages.foreign import printable
from ravada_web.remote.address import is_link_local, without_zone
from ravada_web.remote.bounded import BoundedSocket
from ravada_web.remote.changed_keys import changed
from ravada_web.remote.commands import ended, run
from ravada_web.remote.errors import (
    CommandFailed,
    DeadlineExceeded,
    KeyRefused,
    NodeUnreachable,
    RemoteError,
    UnreadableAnswer,
)
from ravada_web.remote.login_shells import MARK, line_for
from ravada_web.remote.pipes import TAIL_BYTES
from ravada_web.remote.ssh import fingerprint_of
from ravada_web.remote.target import LIBVIRT_SOCKET, Target, Workspace
from ravada_web.remote.trust import QUIET

Power = Literal["root", "sudo", "libvirt"]
# Ways to log in that a host names, of which these are shown.
MOST_OFFERS = 10

# The caller's address as the far sshd sees it, who we are there, and what we may do.
EXAMINE = f"""
set -- ${{SSH_CONNECTION:-}}
echo "from ${{1:-}}"
if [ "$(id -u)" = 0 ]; then echo "may root"
elif said=$(sudo -n true 2>&1 </dev/null); then echo "may sudo"
elif [ -w {LIBVIRT_SOCKET} ]; then echo "may libvirt"
fi
[ -w {LIBVIRT_SOCKET} ] && echo "socket yes"
[ -z "${{said:-}}" ] || printf 'sudo %s\\n' "$(printf %s "$said" | tr '\\n' ' ')"
:
"""
# How sudo says that it would want a password, or that the user may not use it so.
SUDO_DENIES = (
    "password is required",
    "no tty present",
    "not in the sudoers file",
    "may not run sudo",
    "not allowed to execute",
    "not allowed to run sudo",
)


@dataclass(frozen=True)
class Login:
    """What our login is: root itself, one that becomes root by sudo, or one that may only use libvirt.

    `source` is our own address as the host sees it, "" where it does not say; `socket` whether libvirt's is open to
    the login itself, as the link to it must be; `sudo_said` what sudo said where it did not make it root.
    """

    power: Power
    source: str
    socket: bool
    sudo_said: str = ""


def examine_login(workspace: Workspace, target: Target, deadline: float) -> Login:
    """Log in with our key and the pinned host key, over a connection of its own, and see what that login may do.

    Raises HostKeyChanged, NodeUnreachable, and KeyRefused (also for a user who may do nothing of use there).
    """
    try:
        argv = ["sh", "-c", EXAMINE]
        raw = run(
            workspace,
            replace(target, root=False),
            argv,
            deadline=deadline,
            fresh=True,
            step=message("remote.step_login"),
        )
    except DeadlineExceeded as error:
        raise NodeUnreachable("timeout", error.message) from error
    except (CommandFailed, UnreadableAnswer) as error:
        raise KeyRefused(
            message("remote.no_commands", user=target.user, name=target.name, why=error.message)
        ) from error
    answers = dict(line.partition(" ")[::2] for line in raw.decode(errors="replace").splitlines())
    said = printable(answers.get("sudo", ""))
    match answers.get("may"):
        case "root" | "sudo" | "libvirt" as power:
            return Login(power, _address(answers.get("from", "")), "socket" in answers, said)
    who = {"user": target.user, "name": target.name}
    if remedy := sudo_remedy(target.user, said):
        raise KeyRefused(message("remote.powerless", **who, said=said, command=remedy))
    raise KeyRefused(message("remote.powerless_because", **who, said=said))


def _address(text: str) -> str:
    """An IP address without its zone; "" for what is none."""
    try:
        return str(ipaddress.ip_address(without_zone(text)))
    except ValueError:
        return ""


def sudo_remedy(user: str, said: str) -> str:
    """The command, for root on the host, that has sudo make the user root, by what sudo said; "" where it is not known.

    The words are sudo's own, in English.
    """
    if "must have a tty" in said:
        rule = shlex.quote(f"Defaults:{user} !requiretty")
        return f"echo {rule} >> /etc/sudoers.d/zz-ravada && chmod 0440 /etc/sudoers.d/zz-ravada"
    return sudo_command(user) if any(words in said for words in SUDO_DENIES) else ""


def sudo_command(user: str) -> str:
    """The command, for root on the host, that lets a user act as root without a password."""
    name = re.sub(r"([@!=:,()\\ ])", r"\\\1", user)
    rule = shlex.quote(f"{name} ALL=(ALL) NOPASSWD: ALL")
    return f"printf '%s\\n' {rule} > /etc/sudoers.d/ravada && chmod 0440 /etc/sudoers.d/ravada"


def key_command(public_key: str, source: str) -> str:
    """The command, for the user on the host, that installs our key: for our address alone, where that is known.

    Any shell that it is pasted into hands it to `sh` as it is.
    """
    # The host sees a link-local address of ours with the name of its own interface.
    pattern = f"{source}%*" if is_link_local(source) else source
    bound = f'from=\\"{pattern}\\" ' if source else ""
    script = (
        f'mkdir -p ~/.ssh && chmod 700 ~/.ssh && echo "{bound}{public_key.strip()}" >> ~/.ssh/authorized_keys '
        "&& chmod 600 ~/.ssh/authorized_keys "
        "&& if command -v restorecon >/dev/null; then restorecon -R ~/.ssh; fi"
    )
    return f"sh -c '{script}'"


def run_with_password(target: Target, password: str, command: str, deadline: float) -> None:
    """Log in once with a password, past the pinned host key alone, and run a command; the password goes nowhere else.
    `deadline` in seconds, for all of it.

    Raises HostKeyChanged, NodeUnreachable, KeyRefused (a wrong password, or passwords are not taken there) and
    CommandFailed.
    """
    end = time.monotonic() + deadline
    try:
        plug = socket.create_connection((target.host, target.port), timeout=deadline)
    except OSError as error:
        silent = message(
            "remote.no_answer_because", name=target.name, host=target.host, port=target.port, said=printable(str(error))
        )
        raise NodeUnreachable("timeout", silent) from error
    with BoundedSocket(plug, end) as bounded, paramiko.Transport(bounded) as transport:
        transport.set_log_channel(QUIET)
        _log_in(transport, target, password, max(0.1, end - time.monotonic()))
        _run_there(transport, target, command, end)


def _run_there(transport: paramiko.Transport, target: Target, command: str, end: float) -> None:
    step = message("remote.step_install_key")
    too_late = message("remote.no_end", step=step, name=target.name)
    said = b""
    try:
        channel = transport.open_session(timeout=max(0.1, end - time.monotonic()))
        channel.set_combine_stderr(True)
        channel.exec_command(line_for(["sh", "-c", command]))
        while True:
            channel.settimeout(max(0.1, end - time.monotonic()))
            block = channel.recv(TAIL_BYTES)
            said = (said + block)[-TAIL_BYTES:]
            if not block or time.monotonic() > end:
                break
        is_over = channel.status_event.wait(max(0.1, end - time.monotonic()))
    except TimeoutError as error:
        raise NodeUnreachable("timeout", too_late) from error
    except RemoteError:
        raise
    except Exception as error:
        broke = message("remote.login_broke", name=target.name, said=printable(str(error)))
        raise NodeUnreachable("lost", broke) from error
    if not is_over:
        raise NodeUnreachable("timeout", too_late)
    # Both outputs come as one, so the mark is there twice.
    _before, mark, after = said.rpartition(MARK)
    if channel.exit_status or not mark:
        raise ended(target, step, channel.exit_status, mark + after)


def _log_in(transport: paramiko.Transport, target: Target, password: str, deadline: float) -> None:
    try:
        transport.start_client(timeout=deadline)
        key = transport.get_remote_server_key()
        shown = f"{key.get_name()} {key.get_base64()}"
        if shown != target.host_key:
            raise changed(target, fingerprint_of(target.host_key), fingerprint_of(shown))
        transport.auth_timeout = deadline
        transport.auth_password(target.user, password)
    except paramiko.BadAuthenticationType as error:
        offers = [printable(kind) for kind in error.allowed_types[:MOST_OFFERS]]
        raise KeyRefused(message("remote.no_passwords", name=target.name, user=target.user, offers=offers)) from error
    except paramiko.AuthenticationException as error:
        raise KeyRefused(message("remote.wrong_password", name=target.name, user=target.user)) from error
    except RemoteError:
        raise
    except Exception as error:
        broke = message("remote.login_broke", name=target.name, said=printable(str(error)))
        raise NodeUnreachable("lost", broke) from error
