"""The check of the host's open ports, and the rules that leave only SSH from the master (the seed's advice)."""

from ravada_web.messages import Message, message, sentences
from ravada_web.remote.reach import KNOWN
from ravada_web.remote.survey import TABLE
from ravada_web.services.joining.checks import commands
from ravada_web.services.joining.checks.findings import Finding, Seen

# New rules go by themselves after this many seconds, unless a new login past them succeeded.
TRIAL_SECONDS = 30
KEPT = "/run/ravada-firewall-kept"
RULES = "/etc/nftables.ravada.nft"
# Where ufw's own files are put by during the trial.
UFW_BEFORE = "/run/ravada-ufw"


def firewall(seen: Seen) -> Finding:
    """What answers to us, whatever rules there are; those that would close it are applied on request alone."""
    # Of our own host we cannot tell what others reach.
    answering = {item.port for item in seen.survey.listeners} if seen.local else {*seen.reachable}
    beside_ssh = answering - {seen.port}
    if seen.survey.closed and not beside_ssh:
        return Finding("firewall", "pass", message("joining.firewall_closed", tool=seen.survey.firewall))
    open_ports = _open_ports(seen, answering)
    if seen.local or not seen.source:
        return Finding("firewall", "warn" if beside_ssh else "pass", open_ports)
    advice = sentences(open_ports, message("joining.firewall_advice", source=seen.source, trial_seconds=TRIAL_SECONDS))
    needs_nft = seen.survey.firewall not in ("ufw", "firewalld") and "nft" not in seen.survey.programs
    first = f"{commands.install(seen.survey, 'firewall')} || exit 1\n" if needs_nft else ""
    return Finding("firewall", "warn", advice, first + rules(seen.survey.firewall, seen.source, seen.port))


def _open_ports(seen: Seen, answering: set[int]) -> Message:
    programs = KNOWN | {item.port: item.program for item in seen.survey.listeners if item.program}
    names = [f"{port} ({programs[port]})" if port in programs else str(port) for port in sorted(answering)]
    return message("joining.firewall_open", ports=names) if names else message("joining.firewall_silent")


def rules(tool: str, source: str, port: int) -> str:
    """The command that lets in SSH from `source` alone, and guests to their host's DNS and DHCP alone, by the host's
    own tool; nftables where it has none. Whichever it is, the rules are tried before they are kept."""
    if tool == "firewalld":
        return _firewalld(source, port)
    return _ufw(source, port) if tool == "ufw" else _nft(source, port)


def on_trial(apply: str, undo: str, keep: str) -> str:
    """The command that applies rules, and takes them back by itself unless KEPT is there in time. What survives a
    reboot is for `keep`: a host that was locked out and switched off comes back open."""
    return f"""rm -f {KEPT}
undo() {{
{undo}
}}
keep() {{
{keep}
}}
apply() {{
{apply}
}}
apply || {{ undo; exit 1; }}
(left={TRIAL_SECONDS}
while [ $left -gt 0 ] && [ ! -e {KEPT} ]; do sleep 1; left=$((left - 1)); done
if [ -e {KEPT} ]; then keep; else undo; fi) </dev/null >/dev/null 2>&1 &"""


def _firewalld(source: str, port: int) -> str:
    """At runtime alone at first; a reload goes back to what is permanent."""
    kind = "ipv6" if ":" in source else "ipv4"
    ssh = f'rule priority="-200" family="{kind}" source address="{source}" port port="{port}" protocol="tcp" accept'
    rest = 'rule priority="-100" drop'
    return on_trial(
        f"""firewall-cmd --add-rich-rule='{ssh}' && firewall-cmd --add-rich-rule='{rest}' || return 1
if firewall-cmd --get-zones | grep -qw libvirt; then
    firewall-cmd --zone=libvirt --remove-service=ssh --remove-service=tftp
fi""",
        "firewall-cmd --reload",
        "firewall-cmd --runtime-to-permanent",
    )


def _ufw(source: str, port: int) -> str:
    """Before all rules that are there, which may let in more, the last one prepended first."""
    return on_trial(
        f"""rm -rf {UFW_BEFORE} && mkdir -m 700 {UFW_BEFORE} || return 1
cp -a /etc/ufw {UFW_BEFORE}/rules && cp -a /etc/default/ufw {UFW_BEFORE}/default || return 1
ufw default deny incoming && ufw prepend deny in from any &&
ufw prepend allow in on virbr0 to any port 53 && ufw prepend allow in on virbr0 proto udp to any port 67 &&
ufw prepend allow proto tcp from {source} to any port {port} comment ravada && ufw reload""",
        f"cp -a {UFW_BEFORE}/rules/. /etc/ufw/ && cp -a {UFW_BEFORE}/default /etc/default/ufw && ufw reload",
        f"rm -rf {UFW_BEFORE}",
    )


def table(source: str, port: int) -> str:
    """The rules of our own table, in nft's language."""
    family = "ip6" if ":" in source else "ip"
    return f"""table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
    chain input {{
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iifname "lo" accept
        meta l4proto {{ icmp, ipv6-icmp }} accept
        iifname "virbr*" udp dport {{ 53, 67, 547 }} accept
        iifname "virbr*" tcp dport 53 accept
        iifname "virbr*" drop
        {family} saddr {source} tcp dport {port} accept
    }}
}}"""


def _nft(source: str, port: int) -> str:
    return on_trial(
        f"""cat > {RULES}.new <<'RULES'
{table(source, port)}
RULES
nft -f {RULES}.new""",
        f"nft delete table inet {TABLE}; rm -f {RULES}.new; [ ! -e {RULES} ] || nft -f {RULES}",
        f"""mv {RULES}.new {RULES}
if [ -f /etc/nftables.conf ]; then
    grep -qF '{RULES}' /etc/nftables.conf || echo 'include "{RULES}"' >> /etc/nftables.conf
    [ ! -d /run/systemd/system ] || systemctl enable nftables
fi""",
    )
