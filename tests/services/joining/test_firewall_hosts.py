"""The rules of each firewall, on a host that has it: what they close, what stays, and that they go by themselves."""

import shlex
from pathlib import Path

import pytest

from ravada_web.remote import survey
from ravada_web.services.joining.checks import firewall_rules
from tests.support.servers import wait_until
from tests.support.walled_host import WalledHost, walled_host

# The administrator lets all reach SSH and a database, and the friend port 80 for good; eth0 is not in
# firewalld's default zone. What ufw has of our rules already, under other verdicts, counts for nothing.
ALLOWED = {
    "nft": "true",
    "ufw": """ufw limit from 192.0.2.1 to any port 22 proto tcp; ufw allow from 192.0.2.7 to any port 80
ufw allow from any""",
    "firewalld": """echo '<zone><service name="ssh"/><port port="5432" protocol="tcp"/><rule family="ipv4"><source
address="192.0.2.7"/><port port="80" protocol="tcp"/><accept/></rule><interface name="eth0"/></zone>
' > /etc/firewalld/zones/work.xml
echo '<zone target="ACCEPT"><service name="dhcp"/><service name="dns"/><service name="ssh"/><service name="tftp"/>
<port port="5432" protocol="tcp"/><rule priority="32767"><reject/></rule><interface name="virbr0"/></zone>
' > /etc/firewalld/zones/libvirt.xml
rm -f /usr/lib/firewalld/*/libvirt-*
firewall-cmd --reload""",
}
LISTED = {
    "nft": "nft list ruleset",
    "ufw": "ufw status numbered; cat /etc/ufw/user.rules /etc/ufw/user6.rules",
    "firewalld": "{ firewall-cmd --list-all-zones; firewall-cmd --list-all-policies; } | sort",
}
RELOAD = {
    "nft": "nft -f /etc/nftables.conf",
    "ufw": "ufw reload",
    "firewalld": "firewall-cmd --reload",
}
PERMANENT = "cat /etc/nftables.conf /etc/ufw/*.rules /etc/firewalld/zones/* 2>/dev/null || true"
GUESTS = {"tcp 53", "udp 53", "udp 67"}


def trial(tool: str, source: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The rules, tried for no longer than the shell that applies them."""
    monkeypatch.setattr(firewall_rules, "TRIAL_SECONDS", 0)
    return firewall_rules.rules(tool, source, 22)


def closed(tool: str, master: str) -> dict[str, set[str]]:
    friend: set[str] = set() if tool == "nft" else {"tcp 80"}
    none: dict[str, set[str]] = {"master": set(), "master6": set(), "friend6": set(), "friend": friend}
    return none | {"guest": GUESTS, "guest6": GUESTS, master: {"tcp 22"}}


def told(host: WalledHost) -> tuple[str, bool]:
    """What the survey of the host tells of its firewall: the tool, and whether our rules are in force."""
    return survey._firewall(survey.parse_parts(host.run(shlex.join(survey.SURVEY())).encode()))


def wait_reached(host: WalledHost, expected: dict[str, set[str]]) -> None:
    seen: list[dict[str, set[str]]] = []
    try:
        wait_until(lambda: seen.append(host.reached()) or seen[-1] == expected, 60, "only that is reached")
    except AssertionError:
        assert seen[-1] == expected
        raise


# Their commands take a quarter of a second of processor time each: ufw goes one way here, firewalld the other.
@pytest.mark.parametrize("tool", ["nft", "firewalld"])
def test_rules_close_all_but_ssh_and_go_by_themselves(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with walled_host(tool, tmp_path) as host:
        host.run(ALLOWED[tool])
        before, listed = host.reached(), host.run(LISTED[tool])
        assert all("tcp 5432" in before[who] for who in ("master", "master6", "friend", "guest"))
        with host.held(trial(tool, "2001:db8::1", monkeypatch)):
            wait_reached(host, closed(tool, "master6"))
            assert told(host) == (tool, True)
        wait_until(lambda: host.run(LISTED[tool]) == listed, 60, "what was there is back")
        wait_reached(host, before)


@pytest.mark.parametrize("tool", ["nft", "ufw"])
def test_rules_that_are_confirmed_stay(tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with walled_host(tool, tmp_path) as host:
        host.run(ALLOWED[tool])
        permanent = host.run(PERMANENT)
        with host.held(f"{trial(tool, '192.0.2.1', monkeypatch)}\ntouch {firewall_rules.KEPT}"):
            wait_reached(host, closed(tool, "master"))
            assert host.run(PERMANENT) == permanent, "a host that is switched off now comes back as it was"
        host.run(f"flock {firewall_rules.LOCK} {RELOAD[tool]}")
        assert told(host) == (tool, True)
        wait_reached(host, closed(tool, "master"))
