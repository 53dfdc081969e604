"""Disk images that others have made, each of them a hostile file: what one is by its header, and the whole of it as an
image of our own. What reads more than the header does so in the sandbox.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from ravada_web.messages import message
from ravada_web.messages.foreign import json_object, printable, real, whole
from ravada_web.remote import image_headers
from ravada_web.remote.errors import CommandFailed, ImageRefused
from ravada_web.remote.foreign_files import read_head
from ravada_web.remote.image_headers import HEADER_BYTES, LUKS, MOST_VIRTUAL
from ravada_web.remote.reading import reading
from ravada_web.remote.sandbox import OUT, TOOL_FAILED, Writing, blocks, layers, run_on, tool
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import Argument, Kind, Verb, known

INSPECT_SECONDS = 30.0
# Measuring reads all tables of an image; those of some TiB on a slow disk take minutes.
MEASURE_SECONDS = 300.0
# So many names of what is in an image are told.
MOST_NAMES = 20
# What is read: images of our own formats as they are, and those that are one file by nature. All become qcow2.
READ = ("qcow2", "raw", "vmdk", "vdi", "vhdx")
FLATTEN_SECONDS = 12 * 3600.0
# The processor's time for a conversion: that of a slow one, at so many bytes a second, and some.
LEAST_CPU_SECONDS, LEAST_RATE = 600, 1_000_000


def _opened(image_format: Argument) -> str:
    if image_format not in READ:
        raise ValueError(f"not a format that is read: {image_format!r}")
    return blocks(str(image_format))


FORMAT = Kind(_opened)
INFO = known(tool("image_info", "qemu-img", "info", "--output=json", FORMAT))
BEGINNING = known(tool("image_beginning", "qemu-io", "-r", "-c", f"read -v 0 {len(LUKS)}", FORMAT))
MEASURE = known(tool("image_measure", "qemu-img", "measure", "--output=json", "-O", "qcow2", FORMAT))
CONVERT = known(tool("image_convert", "qemu-img", "convert", "-p", "-O", "qcow2", FORMAT, OUT, writes=True))
LAYERS = layers()
MEASURE_LAYERS = known(
    tool("layers_measure", "qemu-img", "measure", "--output=json", "-O", "qcow2", LAYERS, layered=True)
)
CONVERT_LAYERS = known(
    tool("layers_convert", "qemu-img", "convert", "-p", "-O", "qcow2", LAYERS, OUT, writes=True, layered=True)
)
PERCENT = re.compile(rb"\(([0-9]{1,3}(?:\.[0-9]{1,4})?)/100%\)")


@dataclass(frozen=True)
class ImageInfo:
    """What an image is; its virtual size in bytes. `corrupt` is QEMU's own mark of
    damaged metadata; `snapshots` and `bitmaps` are the names of those inside it."""

    format: str
    virtual_size: int
    backing_file: str | None
    data_file: str | None
    encrypted: bool
    corrupt: bool = False
    snapshots: tuple[str, ...] = ()
    bitmaps: tuple[str, ...] = ()


def inspect(workspace: Workspace, target: Target, path: str, image_format: str, *, deadline: float) -> ImageInfo:
    """Read what an image is, taking it for `image_format`; the file may be in use. QEMU sees it, in the sandbox, only
    where its header is that of the format and names no other file.

    Raises ImageRefused when it is missing, of another format, or no plain file of one name.
    """
    header = read_header(workspace, target, path, image_format, deadline=deadline)
    # A raw disk may well hold a LUKS volume; whether it does is asked of its content, as of any other's.
    if header.format != image_format and (header.format, image_format) != ("luks", "raw"):
        said = message("remote.header_differs", format=image_format)
        raise ImageRefused(message("remote.not_of_format", path=path, name=target.name, format=image_format, said=said))
    if header.refers:
        raise ImageRefused(message("remote.refers", path=path))
    if image_format not in READ:
        raise ImageRefused(message("remote.no_format", path=path, format=image_format))
    if header.huge:
        raise ImageRefused(message("remote.huge_tables"))
    _require_bounded(header.virtual_size)
    seen: dict[str, object] = {"virtual-size": header.virtual_size}
    if image_format != "raw" and not (header.backing_file or header.data_file or header.encrypted or header.corrupt):
        seen = _seen(workspace, target, path, image_format, deadline)
    with reading(target.name, "qemu-img info"):
        info = _info(header, image_format, seen)
    _require_bounded(info.virtual_size)
    return info


def _require_bounded(virtual_size: int) -> None:
    if virtual_size > MOST_VIRTUAL:
        sizes = {"virtual_bytes": virtual_size, "most_bytes": MOST_VIRTUAL}
        raise ImageRefused(message("remote.image_too_large", **sizes))


def read_header(
    workspace: Workspace, target: Target, path: str, image_format: str, *, deadline: float
) -> image_headers.Header:
    """Read an image's header; `image_format` is what it is wanted to be. Raises ImageRefused when it is missing, or no
    plain file of one name."""
    try:
        head = read_head(workspace, target, path, HEADER_BYTES, deadline=deadline)
    except CommandFailed as error:
        raise _not_of_format(target, path, image_format, error) from error
    return image_headers.read(head.raw, head.size)


def _not_of_format(target: Target, path: str, image_format: str, error: CommandFailed) -> ImageRefused:
    said = error.stderr or error.message
    return ImageRefused(message("remote.not_of_format", path=path, name=target.name, format=image_format, said=said))


def _seen(workspace: Workspace, target: Target, path: str, image_format: str, deadline: float) -> dict[str, object]:
    try:
        raw = run_on(workspace, target, path, INFO, image_format, deadline=deadline, step="qemu-img info")
    except CommandFailed as error:
        if error.status != TOOL_FAILED:
            raise
        raise _not_of_format(target, path, image_format, error) from error
    with reading(target.name, "qemu-img info"):
        return json_object(raw)


def _info(header: image_headers.Header, image_format: str, seen: dict[str, object]) -> ImageInfo:
    specific = seen.get("format-specific")
    data = specific.get("data") if isinstance(specific, dict) else None
    data = data if isinstance(data, dict) else {}
    return ImageInfo(
        format=image_format,
        virtual_size=whole(seen.get("virtual-size")),
        backing_file=header.backing_file or _text(seen.get("backing-filename")),
        data_file=header.data_file or _text(data.get("data-file")),
        encrypted=header.encrypted or bool(seen.get("encrypted")),
        corrupt=header.corrupt or bool(data.get("corrupt")),
        snapshots=_names(seen.get("snapshots")),
        bitmaps=_names(data.get("bitmaps")),
    )


def _names(rows: object) -> tuple[str, ...]:
    names = [printable(str(row.get("name"))) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return (*names[:MOST_NAMES], *(["…"] if len(names) > MOST_NAMES else []))


def _text(value: object) -> str | None:
    return printable(str(value)) if value else None


def ensure_self_contained(info: ImageInfo) -> None:
    """Raise ImageRefused for a damaged or an encrypted image, or one that names other files: it could read any of the
    host's."""
    if info.corrupt:
        raise ImageRefused(message("remote.corrupt"))
    if info.backing_file:
        raise ImageRefused(message("remote.backing_file", path=info.backing_file))
    if info.data_file:
        raise ImageRefused(message("remote.data_file", path=info.data_file))
    if info.encrypted:
        raise ImageRefused(message("remote.encrypted"))


def has_encrypted_content(workspace: Workspace, target: Target, path: str, info: ImageInfo, *, deadline: float) -> bool:
    """Whether what the guest sees of a self-contained image begins as a LUKS volume."""
    if info.virtual_size < len(LUKS):
        return False
    dump = run_on(workspace, target, path, BEGINNING, info.format, deadline=deadline, step="qemu-io")
    return LUKS.hex(" ") in dump.decode(errors="replace").partition("\n")[0]


def measure(
    workspace: Workspace, target: Target, path: str, image_format: str, *, deadline: float = MEASURE_SECONDS
) -> int:
    """How many bytes the whole of an image takes at most as one qcow2: compressed or empty, what counts is what is to
    be written."""
    raw = run_on(workspace, target, path, MEASURE, image_format, deadline=deadline, step="qemu-img measure")
    with reading(target.name, "qemu-img measure"):
        return whole(json_object(raw)["required"])


def flatten(
    workspace: Workspace,
    target: Target,
    source: str,
    source_format: str,
    dest: str,
    on_progress: Callable[[float], None] | None = None,
    deadline: float = FLATTEN_SECONDS,
) -> None:
    """Write the whole of a self-contained image as one qcow2 to `dest`, a temporary name that is overwritten.

    `on_progress` gets percent; what it raises ends the work here (the far process goes on until it is done).
    Raises ImageRefused for an image that is not self-contained.
    """
    ensure_self_contained(inspect(workspace, target, source, source_format, deadline=INSPECT_SECONDS))
    most = measure(workspace, target, source, source_format)
    work = _Conversion(workspace, target, source, Writing(dest, most), on_progress, deadline)
    work.run(CONVERT, source_format)


@dataclass(frozen=True)
class Layers:
    """An overlay that we made, and the path of the base's disk that it stands on."""

    overlay: str
    base: str


def read_layers(workspace: Workspace, target: Target, overlay: str, allowed: Collection[str]) -> Layers:
    """What an overlay stands on. Raises ImageRefused where it is no overlay, or one of another file than one that is
    allowed, or is otherwise not as we make them."""
    header = read_header(workspace, target, overlay, "qcow2", deadline=INSPECT_SECONDS)
    base = header.backing_file or ""
    if header.format != "qcow2" or base not in allowed:
        raise ImageRefused(message("remote.not_our_overlay", path=overlay))
    if header.huge:
        raise ImageRefused(message("remote.huge_tables"))
    _require_bounded(header.virtual_size)
    ensure_self_contained(_info(replace(header, backing_file=None), "qcow2", {"virtual-size": header.virtual_size}))
    ensure_self_contained(inspect(workspace, target, base, "qcow2", deadline=INSPECT_SECONDS))
    return Layers(overlay, base)


def measure_layers(workspace: Workspace, target: Target, both: Layers) -> int:
    """How many bytes both take at most as one qcow2."""
    step = "qemu-img measure"
    raw = run_on(
        workspace, target, both.overlay, MEASURE_LAYERS, deadline=MEASURE_SECONDS, step=step, base=both.base
    )  # fmt: skip
    with reading(target.name, step):
        return whole(json_object(raw)["required"])


def flatten_layers(
    workspace: Workspace,
    target: Target,
    both: Layers,
    dest: str,
    most: int,
    on_progress: Callable[[float], None] | None = None,
    deadline: float = FLATTEN_SECONDS,
) -> None:
    """Write an overlay and what it stands on as one qcow2, as `flatten` does; `most` is what was measured. It is
    refused by QEMU while the overlay is in use."""
    work = _Conversion(workspace, target, both.overlay, Writing(dest, most), on_progress, deadline)
    work.run(CONVERT_LAYERS, base=both.base)


@dataclass(frozen=True)
class _Conversion:
    """Writing the whole of an image as one qcow2."""

    workspace: Workspace
    target: Target
    source: str
    writing: Writing
    on_progress: Callable[[float], None] | None
    deadline: float

    def run(self, verb: Verb, *formats: str, base: str = "") -> None:
        """Run the tool that does it. Raises ImageRefused where the result is none that stands alone."""
        run_on(
            self.workspace,
            self.target,
            self.source,
            verb,
            *formats,
            deadline=self.deadline,
            cpu_seconds=LEAST_CPU_SECONDS + self.writing.most / LEAST_RATE,
            step="qemu-img convert",
            writing=self.writing,
            base=base,
            on_output=self._report,
        )
        # It was written by what had read the source.
        dest = self.writing.path
        ensure_self_contained(inspect(self.workspace, self.target, dest, "qcow2", deadline=INSPECT_SECONDS))

    def _report(self, output: bytes) -> None:
        if self.on_progress and (percents := PERCENT.findall(output)):
            self.on_progress(min(100.0, real(percents[-1], 999)))
