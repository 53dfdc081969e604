"""Our own key pair, made once, by the first process that needs it."""

import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

COMMENT = "ravada-web"


def ensure_keypair(key_file: Path) -> str:
    """Make the ed25519 key (0600) where there is none; return the public line (ssh-ed25519 AAAA… ravada-web).

    The key is made under another name and linked into place, so of several processes one wins and all agree.
    """
    if not key_file.exists():
        key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=key_file.parent, prefix=".key-") as folder:
            new_key = Path(folder) / "key"
            _keygen("-t", "ed25519", "-N", "", "-C", COMMENT, "-f", str(new_key))
            with suppress(FileExistsError):  # another process was quicker: its key is the key
                os.link(new_key, key_file)
    kind, blob, *_comment = _keygen("-y", "-f", str(key_file)).split()
    return f"{kind} {blob} {COMMENT}"


def publish(line: str, path: Path) -> None:
    """Write the public line to a file that is never seen half-written."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        os.fchmod(handle, 0o640)
        file.write(f"{line}\n")
    Path(temporary).replace(path)


def _keygen(*arguments: str) -> str:
    command = ["ssh-keygen", "-q", *arguments]
    return subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, text=True).stdout
