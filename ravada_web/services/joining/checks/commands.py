"""The commands that fix a host, each for its own distribution; a shell's text that root runs there."""

import shlex

from ravada_web.needs import Need
from ravada_web.remote.libvirt_daemon import MODULAR, MONOLITHIC, PROXY
from ravada_web.remote.survey import Survey

_APT = "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"
_DNF = "dnf install -y"
# What one needs of each family's packages.
_PACKAGES = {
    "debian": {
        "libvirt": "libvirt-daemon-system libvirt-clients libvirt-daemon-config-network dnsmasq-base "
        "qemu-system-x86 qemu-utils",
        "tools": "qemu-utils libvirt-clients coreutils findutils util-linux mount acl",
        "firmware": "ovmf",
        "tpm": "swtpm swtpm-tools",
        "firewall": "nftables",
        "wake": "ethtool",
    },
    "fedora": {
        "libvirt": "libvirt-daemon-kvm libvirt-client libvirt-daemon-config-network qemu-kvm qemu-img",
        "tools": "qemu-img libvirt-client coreutils findutils util-linux acl",
        "firmware": "edk2-ovmf",
        "tpm": "swtpm swtpm-tools",
        "firewall": "nftables",
        "wake": "ethtool",
    },
}
# Fedora's and RHEL's libvirt is many daemons, each begun by its socket; virtproxyd gives the one socket we speak to.
_SOCKETS = "virtqemud virtnetworkd virtstoraged virtnodedevd virtsecretd virtproxyd"
_DEFINE_DEFAULT = "virsh net-info default >/dev/null 2>&1 || virsh net-define /usr/share/libvirt/networks/default.xml; "
_FORWARDING = ("DisableForwarding no", "AllowTcpForwarding local", "AllowStreamLocalForwarding local", "PermitOpen any")
_START = "{ virtlogd -d 2>/dev/null || true; libvirtd -d; }"


def family(survey: Survey) -> str:
    """ "debian", "fedora" (RHEL and its kin too), or "" for a distribution whose packages are not known here."""
    if survey.kin & {"debian", "ubuntu"}:
        return "debian"
    return "fedora" if survey.kin & {"fedora", "rhel", "centos"} else ""


def install(survey: Survey, what: str) -> str:
    """Install the packages for "libvirt", "tools", "firmware", "tpm", "firewall" or "wake"; "" where they are not
    known."""
    kind = family(survey)
    if not kind:
        return ""
    return f"{_APT if kind == 'debian' else _DNF} {_PACKAGES[kind][what]}"


def give(survey: Survey, need: Need) -> str:
    """Give a host what a base needs; "" where no command does."""
    packages = {"firmware": "firmware", "secure_boot": "firmware", "tpm": "tpm"}.get(need.kind)
    return install(survey, packages) if packages else ""


def start_libvirt(survey: Survey) -> str:
    """Have the libvirt that the host has run, now and after each boot; "" where that is not known here.

    Never a second one beside one that runs.
    """
    daemon = survey.libvirt
    if daemon.modular or (family(survey) == "fedora" and not daemon.running | daemon.enabled):
        if daemon.systemd:
            return "systemctl enable --now " + " ".join(f"{name}.socket" for name in _SOCKETS.split())
        return f"{PROXY} -d" if PROXY in daemon.installed else ""
    if MONOLITHIC in daemon.running:
        return restart_libvirt(survey)
    return "systemctl enable --now libvirtd" if daemon.systemd else _START


def restart_libvirt(survey: Survey) -> str:
    """Restart the daemon that runs, its socket included; guests go on. "" where that is not known here."""
    names = MODULAR if survey.libvirt.modular else MONOLITHIC
    if not survey.libvirt.systemd:
        return ""
    return f"systemctl stop {names}.service; systemctl restart {names}.socket && systemctl start {names}.service"


def forward(user: str, source: str) -> str:
    """Have sshd forward sockets for our login alone."""
    match = f"Match User {user} Address {source}" if source else f"Match User {user}"
    rule = shlex.quote("\\n    ".join([match, *_FORWARDING]) + "\\n")
    file = "/etc/ssh/sshd_config.d/00-ravada.conf"
    return f"printf {rule} > {file} && sshd -t && {{ systemctl reload ssh || systemctl reload sshd; }}"


def make_pool(name: str, path: str) -> str:
    """Define a folder as a storage pool, where none of that name is defined, and start it, now and after each boot."""
    pool, folder = shlex.quote(name), shlex.quote(path)
    define = f"{{ virsh pool-info {pool} >/dev/null 2>&1 || virsh pool-define-as {pool} dir --target {folder}; }}"
    return f"{define} && virsh pool-build {pool} && {{ {start_pool(name)}; }}"


def move_pool(name: str, path: str) -> str:
    """Define a pool anew in another folder; its files stay where they are."""
    pool = shlex.quote(name)
    return f"virsh pool-destroy {pool}; virsh pool-undefine {pool} && {make_pool(name, path)}"


def start_pool(name: str) -> str:
    """Start a pool that is defined; one that was started meanwhile will do."""
    pool = shlex.quote(name)
    runs = f"LC_ALL=C virsh pool-info {pool} | grep -q 'State: *running'"
    return f"virsh pool-start {pool}; virsh pool-autostart {pool} && {runs}"


def start_network(name: str) -> str:
    """Start a libvirt network; libvirt's own `default` is defined first where it is missing."""
    network = shlex.quote(name)
    define = _DEFINE_DEFAULT if name == "default" else ""
    start = f"virsh net-start {network}; virsh net-autostart {network}"
    return f"{define}{start} && virsh net-list --name | grep -qxF {network}"


def set_clock(survey: Survey) -> str:
    """Have the host's clock follow the network's."""
    if family(survey) == "fedora":
        return f"{_DNF} chrony && systemctl enable --now chronyd && chronyc makestep"
    if family(survey) == "debian":
        return f"{_APT} chrony && systemctl enable --now chrony && chronyc makestep"
    return ""


def wake_by_packet(card: str, mac: str) -> str:
    """Have a card wake the host by Wake-on-LAN, from now on and whenever the card is found again."""
    rule = f'ACTION=="add", SUBSYSTEM=="net", ATTR{{address}}=="{mac}", RUN+="%s -s $name wol g"\\n'
    file = "/etc/udev/rules.d/90-ravada-wake.rules"
    kept = f'mkdir -p /etc/udev/rules.d && printf {shlex.quote(rule)} "$(command -v ethtool)" > {file}'
    return f"ethtool -s {shlex.quote(card)} wol g && {kept}"
