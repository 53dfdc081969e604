"""A helper for tests, in a process of its own, on a libvirt of its own: the test driver's, with real pools."""

import os
import signal
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from ravada_web.helper import serving
from ravada_web.remote.target import Target, Workspace
from tests.support.servers import wait_until

HERE = Target(1, "master", "", 0, "", "", local=True)
# Of a number that nobody has: what it has to be kept from is not its own.
ASKER = 65432


def libvirt_of(folder: Path, pools: Mapping[str, Path], files: Collection[Path] = ()) -> str:
    """The URI of a libvirt that has these pools, and a machine with these disks."""
    disks = "".join(
        f"<disk type='file' device='disk'><source file='{escape(str(path))}'/><target dev='vd{letter}'/></disk>"
        for letter, path in zip("abcdef", files, strict=False)
    )
    domain = (
        "<domain type='test'><name>linux</name><uuid>3a75a8d8-1d0e-4b9c-8c3e-0a4f5b0c9d11</uuid><memory>65536</memory>"
        f"<os><type>hvm</type></os><devices>{disks}</devices></domain>"
    )
    listed = "".join(
        f"<pool type='dir'><name>{escape(name)}</name><uuid>{number:08d}-1d0e-4b9c-8c3e-0a4f5b0c9d11</uuid>"
        f"<target><path>{escape(str(path))}</path></target></pool>"
        for number, (name, path) in enumerate(pools.items())
    )
    described = folder / "libvirt.xml"
    described.write_text(f"<node>{domain}{listed}</node>")
    return f"test://{described}"


@contextmanager
def helper(workspace: Workspace, uri: str, user: int = ASKER) -> Iterator[int]:
    """A helper that serves there, for this user and for root; its process's number. Skips the test where it is not
    root's."""
    assert workspace.helper
    if os.geteuid() != 0:
        pytest.skip("the helper is root")
    pid = os.fork()
    if pid == 0:
        try:
            serving.run(workspace.helper, user, uri)
        finally:
            os._exit(0)
    try:
        wait_until(lambda: workspace.helper_socket, 30, "the helper answers")
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
