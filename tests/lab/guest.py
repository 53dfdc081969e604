"""A small Linux that shows its own name on its screen, built from Debian's kernel and busybox alone."""

import gzip
import hashlib
import shutil
import subprocess
from pathlib import Path

# Drivers of the card, the power button and the keyboard; what the kernel has built in is passed over.
MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "button", "evdev", "i8042", "atkbd")
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-.:"
INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /usr/bin /usr/sbin /sbin
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod "/modules/$module" 2>/dev/null; done
name=$(cat /sys/class/dmi/id/product_serial)
hostname "$name"
power=$(grep -l 'Power Button' /sys/class/input/event*/device/name | head -n 1 | cut -d/ -f5)
[ -n "$power" ] && (head -c 24 "/dev/input/$power" >/dev/null; poweroff -f) &
ip link set eth0 up 2>/dev/null
printf '#!/bin/sh\\n[ "$1" = bound ] && ip addr add "$ip/$mask" dev eth0\\n' > /lease; chmod 755 /lease
udhcpc -i eth0 -n -q -t 2 -T 1 -s /lease >/dev/null 2>&1
address=$(ip -4 addr show eth0 2>/dev/null | grep -o 'inet [0-9.]*' | cut -c6-)
printf '\\033[2J\\033[H'
echo '{ALPHABET}'
echo "name: $name"
echo "address: ${{address:-none}}"
echo "card: $(cat /sys/class/net/eth0/address 2>/dev/null)"
cd /
while :; do setsid cttyhack sh; done
"""
SYSLINUX = """default linux
label linux
  kernel vmlinuz
  append initrd=initrd quiet loglevel=0 nomodeset vga=normal consoleblank=0 console=tty0 rdinit=/init
"""


def build_guest(folder: Path) -> Path:
    """The image `folder`/guest.qcow2, built anew when the kernel or this recipe changed."""
    kernel = max(Path("/boot").glob("vmlinuz-*-cloud-amd64"), key=lambda path: path.stat().st_mtime)
    recipe = hashlib.sha256((kernel.name + Path(__file__).read_text()).encode()).hexdigest()
    image, stamp = folder / "guest.qcow2", folder / "recipe"
    if image.exists() and stamp.exists() and stamp.read_text() == recipe:
        return image
    folder.mkdir(parents=True, exist_ok=True)
    initrd = _make_initrd(folder / "root", kernel.name.removeprefix("vmlinuz-"))
    raw = _make_disk(folder, kernel, initrd)
    part = folder / "guest.part"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, part], check=True)
    part.rename(image)
    raw.unlink()
    stamp.write_text(recipe)
    return image


def _make_initrd(root: Path, release: str) -> Path:
    shutil.rmtree(root, ignore_errors=True)
    for inside in ("bin", "modules"):
        (root / inside).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", root / "bin/busybox")
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    names = [_add_module(root, path) for path in _module_files(release)]
    (root / "modules/order").write_text("\n".join(names))
    listing = subprocess.run(["find", ".", "-print0"], cwd=root, check=True, capture_output=True).stdout
    archive = subprocess.run(
        ["cpio", "--quiet", "-0", "-o", "-H", "newc", "-R", "0:0"],
        cwd=root, input=listing, check=True, capture_output=True,
    ).stdout  # fmt: skip
    initrd = root.parent / "initrd"
    initrd.write_bytes(gzip.compress(archive, 6))
    return initrd


def _module_files(release: str) -> list[Path]:
    """The modules' files, what they need first."""
    found: dict[Path, None] = {}
    for name in MODULES:
        command = ["modprobe", "-S", release, "--show-depends", name]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        lines = [line.split() for line in done.stdout.splitlines()]
        found |= {Path(words[1]): None for words in lines if words and words[0] == "insmod"}
    return list(found)


def _add_module(root: Path, path: Path) -> str:
    """Copy a module, unpacked; answers its file's name."""
    name = path.name.removesuffix(".xz").removesuffix(".zst")
    target = root / "modules" / name
    if path.suffix in (".xz", ".zst"):
        program = {".xz": "xz", ".zst": "zstd"}[path.suffix]
        target.write_bytes(subprocess.run([program, "-dc", path], check=True, capture_output=True).stdout)
    else:
        shutil.copy(path, target)
    return name


def _make_disk(folder: Path, kernel: Path, initrd: Path) -> Path:
    """A FAT disk with a boot loader, made without mounting anything."""
    raw = folder / "guest.raw"
    mib = (kernel.stat().st_size + initrd.stat().st_size) // (1 << 20) + 6
    raw.unlink(missing_ok=True)
    with raw.open("wb") as file:
        file.truncate(max(34, mib) << 20)
    (folder / "syslinux.cfg").write_text(SYSLINUX)
    run = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run(["mformat", "-i", raw, "-F", "::"], **run)
    subprocess.run(["syslinux", "--install", raw], **run)
    for source, name in ((kernel, "vmlinuz"), (initrd, "initrd"), (folder / "syslinux.cfg", "syslinux.cfg")):
        subprocess.run(["mcopy", "-i", raw, source, f"::{name}"], **run)
    return raw
