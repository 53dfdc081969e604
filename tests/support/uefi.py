"""A UEFI disk as a Debian installer leaves it: its loader is known by an entry in the NVRAM alone."""

import subprocess
import sys
from pathlib import Path

OVMF = Path("/usr/share/OVMF")
LOADER = r"\EFI\debian\grubx64.efi"


def make_uefi(folder: Path, name: str, variables: str) -> tuple[Path, Path]:
    """The disk `name`.qcow2 and the variables `name`_VARS.fd, which begin as OVMF's file `variables`.

    There is no EFI\\BOOT\\BOOTX64.EFI; a kernel's own EFI stub plays the boot loader.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kernel = max(Path("/boot").glob("vmlinuz-*-cloud-amd64"), key=lambda path: path.stat().st_mtime)
    raw, disk, nvram = folder / "esp.raw", folder / f"{name}.qcow2", folder / f"{name}_VARS.fd"
    with raw.open("wb") as file:
        file.truncate(64 << 20)
    tool = Path(sys.executable).with_name("virt-fw-vars")
    for command in (
        ["mformat", "-i", raw, "-F", "::"],
        ["mmd", "-i", raw, "::/EFI", "::/EFI/debian"],
        ["mcopy", "-i", raw, kernel, "::/EFI/debian/grubx64.efi"],
        ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk],
        [tool, "--input", OVMF / variables, "--output", nvram, "--append-boot-filepath", LOADER],
    ):
        subprocess.run(command, check=True, capture_output=True)
    raw.unlink()
    return disk, nvram
