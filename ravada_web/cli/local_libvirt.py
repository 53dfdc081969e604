"""This host's own libvirt, where it is the master node: started, and given the pool and network that clones use."""

import shutil
import subprocess
from pathlib import Path

import click

POOL_PATH = "/var/lib/libvirt/images"


def start() -> None:
    """Start libvirtd where it does not answer: by systemd, or directly where there is none; and say so.

    Raises ClickException when it is not installed or does not come up.
    """
    if _virsh("version") is not None:
        return
    if shutil.which("libvirtd") is None:
        raise click.ClickException("libvirtd is not installed: apt install libvirt-daemon-system qemu-system-x86")
    if Path("/run/systemd/system").is_dir():
        click.echo("Starting libvirtd (systemctl start libvirtd) ...")
        subprocess.run(["systemctl", "start", "libvirtd"], check=False)
    else:
        click.echo("No systemd here: starting libvirtd directly (virtlogd -d, libvirtd -d) ...")
        for program in ("virtlogd", "libvirtd"):
            subprocess.run([program, "-d"], check=False)
    if _virsh("version") is None:
        raise click.ClickException("libvirtd was started but does not answer; try: virsh -c qemu:///system version")


def ensure_pool_and_network() -> None:
    """Make sure of an active storage pool and of the network `default`; what is there is left as it is."""
    if not (_virsh("pool-list", "--name") or "").strip():
        click.echo(f"No active storage pool: creating `default` at {POOL_PATH} ...")
        _virsh("pool-define-as", "default", "dir", "--target", POOL_PATH)
        _virsh("pool-build", "default")
        _virsh("pool-autostart", "default")
        if _virsh("pool-start", "default") is None:
            click.echo("This failed; create one with virsh pool-define-as and pool-start.", err=True)
    if "default" not in (_virsh("net-list", "--name") or "").split():
        click.echo("Starting the network `default` ...")
        _virsh("net-autostart", "default")
        if _virsh("net-start", "default") is None:
            click.echo("This failed; desktops need a network. To see why: virsh net-start default", err=True)


def _virsh(*arguments: str) -> str | None:
    """What virsh says; None when it fails or hangs."""
    command = ["virsh", "--connect", "qemu:///system", "--quiet", *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return None
    return result.stdout if result.returncode == 0 else None
