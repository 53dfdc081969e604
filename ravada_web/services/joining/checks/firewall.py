"""The check of the host's open ports, and the rules that leave only SSH from the master (the seed's advice)."""

from ravada_web.messages import message, sentences
from ravada_web.remote.survey import TABLE
from ravada_web.services.joining.checks import commands
from ravada_web.services.joining.checks.findings import Finding, Seen

# Our own rules are removed after this many seconds, unless a new login past them succeeded.
TRIAL_SECONDS = 30
KEPT = "/run/ravada-firewall-kept"
RULES = "/etc/nftables.ravada.nft"


def firewall(seen: Seen) -> Finding:
    """Open ports, and the rules that would close them; they are applied on request alone."""
    if seen.survey.closed:
        return Finding("firewall", "pass", message("joining.firewall_closed", tool=seen.survey.firewall))
    open_ones = [f"{item.port} ({item.program})" if item.program else str(item.port) for item in seen.survey.listeners]
    beside_ssh = [item for item in seen.survey.listeners if item.port != seen.port]
    open_ports = message("joining.firewall_open", ports=open_ones) if open_ones else message("joining.firewall_silent")
    if seen.local or not seen.source:
        return Finding("firewall", "warn" if beside_ssh else "pass", open_ports)
    advice = sentences(open_ports, message("joining.firewall_advice", source=seen.source, trial_seconds=TRIAL_SECONDS))
    needs_nft = seen.survey.firewall not in ("ufw", "firewalld") and "nft" not in seen.survey.programs
    first = f"{commands.install(seen.survey, 'firewall')} || exit 1\n" if needs_nft else ""
    return Finding("firewall", "warn", advice, first + rules(seen.survey.firewall, seen.source, seen.port))


def rules(tool: str, source: str, port: int) -> str:
    """The command that lets in SSH from `source` alone, by the host's own tool; nftables where it has none."""
    if tool == "firewalld":
        kind = "ipv6" if ":" in source else "ipv4"
        rich = f'rule family="{kind}" source address="{source}" port port="{port}" protocol="tcp" accept'
        return (
            f"firewall-cmd --permanent --add-rich-rule='{rich}' && "
            "firewall-cmd --permanent --remove-service=ssh && firewall-cmd --reload"
        )
    if tool == "ufw":
        return (
            f"ufw allow proto tcp from {source} to any port {port} comment ravada && ufw allow in on virbr0 && "
            "ufw default deny incoming && ufw reload"
        )
    return _nft(source, port)


def _nft(source: str, port: int) -> str:
    """Rules of their own table, tried before they are kept: until KEPT is there they last TRIAL_SECONDS."""
    family = "ip6" if ":" in source else "ip"
    table = f"""table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
    chain input {{
        type filter hook input priority 0; policy drop;
        ct state established,related accept
        iifname "lo" accept
        iifname "virbr*" accept
        meta l4proto {{ icmp, ipv6-icmp }} accept
        {family} saddr {source} tcp dport {port} accept
    }}
}}"""
    return f"""cat > {RULES} <<'RULES'
{table}
RULES
rm -f {KEPT} && nft -f {RULES} || exit 1
(sleep {TRIAL_SECONDS}; [ -e {KEPT} ] || nft delete table inet {TABLE}) </dev/null >/dev/null 2>&1 &
if [ -f /etc/nftables.conf ]; then
    grep -qF '{RULES}' /etc/nftables.conf || echo 'include "{RULES}"' >> /etc/nftables.conf
    [ ! -d /run/systemd/system ] || systemctl enable nftables
fi"""
