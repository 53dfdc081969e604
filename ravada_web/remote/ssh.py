"""How OpenSSH is called: its options, with a node's key pinned. What its messages mean is in failures.py."""

import base64
import hashlib
import os
import tempfile
from pathlib import Path

from ravada_web.remote.ssh_log import SshLog
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
    # A silent node is given up 4 s after its last word: with the time to ask again, it is down within 10 s.
    "ServerAliveInterval=1",
    "ServerAliveCountMax=3",
    "ControlMaster=no",
    "ControlPersist=no",
)


def command(workspace: Workspace, target: Target, *extra: str, log: SshLog, control: Path | None) -> list[str]:
    """The `ssh` command line up to and including the host, with the node's key pinned.

    `log` takes what ssh reports. `control` is the link's socket to go over where there is one; None makes a connection
    of its own.
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
        *log.options,
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
