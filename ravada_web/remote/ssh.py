"""The one place that knows OpenSSH: its options, and what its messages mean."""

import base64
import hashlib
import os
import re
import tempfile
from pathlib import Path

from ravada_web.messages import Message, message
from ravada_web.messages.foreign import printable
from ravada_web.remote.changed_keys import changed
from ravada_web.remote.errors import Code, KeyRefused, NodeUnreachable, RemoteError
from ravada_web.remote.target import Target, Workspace

# ssh(1): its own failures, as opposed to the far command's.
SSH_FAILED = 255
CONNECT_SECONDS = 5

OPTIONS = (
    "BatchMode=yes",
    "PreferredAuthentications=publickey",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RequestTTY=no",
    "EscapeChar=none",
    "Compression=no",
    # A third less CPU than chacha20 where the processor has AES, and nearly all have.
    "Ciphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com",
    f"ConnectTimeout={CONNECT_SECONDS}",
    # A silent node is given up after 4 s.
    "ServerAliveInterval=2",
    "ServerAliveCountMax=2",
    "ControlMaster=no",
    "ControlPersist=no",
)


def command(workspace: Workspace, target: Target, *extra: str, control: Path | None) -> list[str]:
    """The `ssh` command line up to and including the host, with the node's key pinned.

    `control` is the link's socket to go over where there is one; None makes a connection of its own.
    """
    _pin(workspace, target)
    of_node = (
        f"HostKeyAlias={_alias(target)}",
        f"UserKnownHostsFile={_quoted(workspace.known_hosts(target))}",
        f"IdentityFile={_quoted(workspace.key_file)}",
        f"ControlPath={control or 'none'}",
    )
    options = [word for option in (*of_node, *OPTIONS) for word in ("-o", option)]
    return [
        "ssh",
        "-F",
        "/dev/null",
        *extra,
        *options,
        "-p",
        str(target.port),
        "-l",
        target.user,
        "--",
        target.host,
    ]


def _quoted(path: Path) -> str:
    """The path as one word of an option: OpenSSH splits at blanks and expands what follows a percent sign."""
    plain = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"'


def _alias(target: Target) -> str:
    return f"node-{target.node_id}"


def _pin(workspace: Workspace, target: Target) -> None:
    """Write the node's known_hosts file where it is not as it should be; never half-written for a reader."""
    path, line = workspace.known_hosts(target), f"{_alias(target)} {target.host_key}\n"
    try:
        if path.read_text() == line:
            return
    except FileNotFoundError:
        pass
    handle, temporary = tempfile.mkstemp(dir=workspace.run_dir)
    with os.fdopen(handle, "w") as file:
        file.write(line)
    Path(temporary).replace(path)


def fingerprint_of(line: str) -> str:
    """The SHA-256 fingerprint of a public key's line, as `ssh-keygen -l` shows it ("SHA256:…")."""
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def classify(target: Target, stderr: bytes | str) -> RemoteError:
    """What ssh's own failure (status 255) means, for an administrator."""
    output = stderr.decode(errors="replace") if isinstance(stderr, bytes) else stderr
    if "Host key verification failed" in output or "REMOTE HOST IDENTIFICATION HAS CHANGED" in output:
        shown = re.search(r"sent by the remote host is\s+(SHA256:[A-Za-z0-9+/]{43})", output)
        return changed(target, fingerprint_of(target.host_key), shown[1] if shown else "")
    if re.search(r"Permission denied \(|Too many authentication failures", output):
        return KeyRefused(message("remote.key_refused", name=target.name, user=target.user))
    for pattern, code, meaning in _meanings(target.name, target.host, target.port):
        if re.search(pattern, output):
            return NodeUnreachable(code, meaning)
    why = printable(output) or message("remote.closed_silently")
    return NodeUnreachable(
        "lost", message("remote.broke", name=target.name, host=target.host, port=target.port, said=why)
    )


def _meanings(name: str, host: str, port: int) -> tuple[tuple[str, Code, Message], ...]:
    """What ssh says (a pattern), what it is, and our message. The first match holds."""
    return (
        (
            r"Could not resolve hostname",
            "unknown_address",
            message("remote.unknown_address_of", name=name, host=host),
        ),
        (
            r"connect to (host|address) .*Connection refused",
            "refused",
            message("remote.refused", name=name, host=host, port=port),
        ),
        (
            r"timed out|No route to host|Network is unreachable|Host is unreachable",
            "timeout",
            message("remote.no_answer", name=name, host=host, port=port),
        ),
        (
            r"invalid format|banner line contains|Bad remote protocol|Protocol major versions|no matching .* found"
            r"|Bad packet length|message authentication code incorrect",
            "not_ssh",
            message("remote.not_ssh", name=name, host=host, port=port),
        ),
        (
            r"Timeout, server .* not responding",
            "lost",
            message("remote.stopped_answering", name=name),
        ),
    )
