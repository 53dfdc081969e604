"""What a move puts on this very host, where that is a node: the service may write there."""

import re
from pathlib import PurePosixPath

import pytest

from ravada_web import ROOT
from ravada_web.remote import tpm
from ravada_web.remote.passage import passage_of

UUID = "6e9a6ff8-2fdb-4ee1-a0ae-7c0d1e3b2f11"


@pytest.mark.parametrize(
    "path", [passage_of(UUID, "desk-1").memory, *re.findall(r"room=(\S+)", tpm.PUT_STATE)], ids=["sockets", "TPM"]
)
def test_the_service_may_write_where_moves_do(path: str) -> None:
    unit = (ROOT / "deploy/ravada-web.service").read_text()
    (line,) = re.findall(r"^ReadWritePaths=(.*)$", unit, re.MULTILINE)
    folders = [word.removeprefix("-") for word in line.split()]
    assert any(PurePosixPath(path).is_relative_to(folder) for folder in folders)
