"""Processes whose clock is off, by Debian's libfaketime."""

from pathlib import Path

import pytest


def faked(seconds: int) -> dict[str, str]:
    """The environment of a process whose clock is so many seconds ahead (behind where negative)."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("libfaketime is not installed (apt install libfaketime)")
    return {"LD_PRELOAD": str(found[0]), "FAKETIME": f"{seconds:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
