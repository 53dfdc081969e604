"""`make run`: settings reach the product, and no command line shows a value of theirs."""

import os
import subprocess

import pytest

from tests.docs import markdown


@pytest.mark.parametrize("sudo", ["", "sudo"])
def test_no_secret_is_on_a_command_line(sudo: str) -> None:
    secrets = {"RAVADA_SMTP_PASSWORD": "of the mail server", "RAVADA_ALERT_WEBHOOK_URL": "https://example.org/token'"}
    command = ["make", "--no-print-directory", "-n", "run", f"SUDO={sudo}"]
    said = subprocess.run(
        command, cwd=markdown.ROOT, env=os.environ | secrets, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert not [value for value in secrets.values() if value in said]
    (line,) = (line for line in said.splitlines() if line.endswith("flask up"))
    words = line.split()
    if sudo:
        assert words[1] == "sudo" and {*secrets, "RAVADA_DATA"} <= set(
            words[2].removeprefix("--preserve-env=").split(",")
        )
    else:
        assert words == ["exec", ".venv/bin/flask", "up"]
