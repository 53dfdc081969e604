"""Our key pair is made once, whoever asks."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ravada_web.remote.keys import ensure_keypair


def test_a_key_is_made_for_its_owner_alone_and_kept(tmp_path: Path) -> None:
    key_file = tmp_path / "ssh" / "id_ed25519"
    line = ensure_keypair(key_file)
    assert line.startswith("ssh-ed25519 AAAA")
    assert line.endswith(" ravada-web")
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert ensure_keypair(key_file) == line
    derived = subprocess.run(["ssh-keygen", "-yf", key_file], check=True, capture_output=True, text=True).stdout
    assert derived.split()[:2] == line.split()[:2]


def test_many_who_ask_at_once_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        lines = set(pool.map(ensure_keypair, [tmp_path / "id_ed25519"] * 16))
    assert len(lines) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["id_ed25519"]
