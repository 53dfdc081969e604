"""The check of the host's open ports: what answers to us, whatever rules there are."""

from ravada_web.messages import Message, message, sentences
from ravada_web.remote.reach import KNOWN
from ravada_web.services.joining.checks import commands
from ravada_web.services.joining.checks.findings import Finding, Seen
from ravada_web.services.joining.checks.firewall_rules import TRIAL_SECONDS, rules


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
