"""The rules that leave only SSH from the master, and DNS and DHCP for guests, in the words of each firewall. They are a
shell's text that root runs there, tried first: what they replaced comes back by itself unless they are confirmed.

What an administrator allows to all is closed. What is allowed to some, by their address, stays.
"""

from ravada_web.remote.survey import FIREWALLD_CLOSED, FIREWALLD_ZONES, TABLE

# New rules go by themselves after this many seconds, unless a new login past them succeeded.
TRIAL_SECONDS = 30
KEPT = "/run/ravada-firewall-kept"
# Held for as long as a trial lasts.
LOCK = "/run/ravada-firewall.lock"
RULES = "/etc/nftables.ravada.nft"
# Where ufw's files and firewalld's rules are put by during the trial.
BEFORE = "/run/ravada-firewall"


def rules(tool: str, source: str, port: int) -> str:
    """The command that applies the rules by the host's own firewall; by nftables where it has none."""
    if tool == "firewalld":
        return _firewalld(source, port)
    return _ufw(source, port) if tool == "ufw" else _nft(source, port)


def on_trial(apply: str, undo: str, keep: str) -> str:
    """The command that applies rules, and takes them back by itself unless KEPT is there in time. The time starts when
    this shell ends, be it killed halfway; the next trial waits for the end of this one. What survives a reboot is for
    `keep`: a host that was locked out and switched off comes back open."""
    return f"""exec 9> {LOCK} && flock -w 120 9 || exit 1
rm -f {KEPT}
undo() {{
{undo}
}}
keep() {{
{keep}
}}
apply() {{
{apply}
}}
(while kill -0 $$; do sleep 0.2; done
left={TRIAL_SECONDS}
while [ $left -gt 0 ] && [ ! -e {KEPT} ]; do sleep 1; left=$((left - 1)); done
if [ -e {KEPT} ]; then keep; else undo; fi) </dev/null >/dev/null 2>&1 &
apply || {{ kill $!; undo >/dev/null 2>&1; exit 1; }}"""


def _firewalld(source: str, port: int) -> str:
    """At runtime alone at first; runtime and what is permanent each keep what else they hold. A rule of ours of a lower
    priority is before all services and ports, in each zone that has interfaces."""
    kind = "ipv6" if ":" in source else "ipv4"
    icmp = """rule priority="-1150" protocol value="icmp" accept
rule priority="-1150" protocol value="ipv6-icmp" accept"""
    words = f"""{FIREWALLD_ZONES}
listed() {{ firewall-cmd $1 $2 --list-rich-rules | sed '/^$/d'; }}
wanted() {{
    some='^rule (family="[^"]*" |)(source (address|ipset|mac)=.*'
    sed -E -e '/^rule priority="-1[12]00"/d' -e '/address="[^"]*\\/0"/b' \\
        -e "s/$some (drop|reject).*)/rule priority=\\"-1151\\" \\1\\2/" \\
        -e "s/$some)/rule priority=\\"-1150\\" \\1\\2/" | cat {BEFORE}/$1 - | awk '!seen[$0]++'
}}
change() {{
    verb=$1 file=$2; shift 2
    while IFS= read -r rule; do set -- "$@" "--$verb-rich-rule=$rule"; done < "$file"
    [ ! -s "$file" ] || firewall-cmd "$@"
}}
become() {{
    listed $1 $2 > {BEFORE}/now
    grep -vxFf {BEFORE}/now $3 > {BEFORE}/more
    grep -vxFf $3 {BEFORE}/now > {BEFORE}/less
    change add {BEFORE}/more $1 $2 && change remove {BEFORE}/less $1 $2
}}
all() {{
    while read -r who place; do
        listed $place $1 > {BEFORE}/$place$1.old && wanted $who < {BEFORE}/$place$1.old > {BEFORE}/$place$1.new &&
        become $place "$1" {BEFORE}/$place$1.new || return 1
    done < {BEFORE}/places
}}"""
    trial = on_trial(
        f"""rm -rf {BEFORE} && mkdir -m 700 {BEFORE} || return 1
cat > {BEFORE}/hosts <<'RULES'
rule priority="-1200" family="{kind}" source address="{source}" port port="{port}" protocol="tcp" accept
{icmp}
rule priority="-1150" service name="dhcpv6-client" accept
{FIREWALLD_CLOSED}
RULES
cat > {BEFORE}/guests <<'RULES'
rule priority="-1150" service name="dns" accept
rule priority="-1150" service name="dhcp" accept
rule priority="-1150" service name="dhcpv6" accept
{icmp}
{FIREWALLD_CLOSED}
RULES
zones | sed 's/.*/hosts --zone=&/' > {BEFORE}/places
firewall-cmd --get-zones | grep -owE 'libvirt(-routed)?' | sed 's/.*/guests --zone=&/' >> {BEFORE}/places
firewall-cmd --get-policies | grep -ow libvirt-to-host | sed 's/.*/guests --policy=&/' >> {BEFORE}/places
all""",
        f"""while read -r who place; do
    become $place '' {BEFORE}/$place.old || firewall-cmd --reload
done < {BEFORE}/places
rm -rf {BEFORE}""",
        f"all --permanent; rm -rf {BEFORE}",
    )
    return f"{words}\n{trial}"


def _ufw(source: str, port: int) -> str:
    """Before all rules that are there. ufw writes its files at once: the old ones are put by, and put back into their
    place while the new rules are in force."""
    verdict = "(allow|deny|reject|limit)( log| log-all)?"
    return on_trial(
        f"""rm -rf {BEFORE} && mkdir -m 700 {BEFORE} && cp -a /etc/ufw {BEFORE}/old &&
ufw show added | sed -n 's/^ufw //p' > {BEFORE}/added || return 1
ours='to any|in on virbr[+]( to any port (53|67 proto udp|547 proto udp))?|from {source} to any port {port} proto tcp'
grep -E "^{verdict} ($ours)( comment .*)?\\$| comment 'ravada'\\$" {BEFORE}/added > {BEFORE}/ours
grep -E '^{verdict} .*from [0-9a-f]*[.:]' {BEFORE}/added | grep -vE '^{verdict} out ' |
    grep -vxFf {BEFORE}/ours > {BEFORE}/some
each() {{
    while IFS= read -r rule; do printf '%s\\n' "$rule" | xargs ufw $1 || return 1; done < {BEFORE}/$2
}}
{{
echo deny to any comment ravada
tac {BEFORE}/some
cat <<'RULES'
deny in on virbr+ comment ravada
allow in on virbr+ to any port 53 comment ravada
allow in on virbr+ to any port 67 proto udp comment ravada
allow in on virbr+ to any port 547 proto udp comment ravada
allow from {source} to any port {port} proto tcp comment ravada
RULES
}} > {BEFORE}/first
each delete ours && each delete some && each prepend first && ufw reload || return 1
cp -a /etc/ufw {BEFORE}/new && cp -a {BEFORE}/old/. /etc/ufw""",
        f"cp -a {BEFORE}/old/. /etc/ufw && ufw reload\nrm -rf {BEFORE}",
        f"cp -a {BEFORE}/new/. /etc/ufw && rm -rf {BEFORE}",
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
        udp sport . udp dport {{ 67 . 68, 547 . 546 }} accept
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
for file in /etc/nftables.conf /etc/sysconfig/nftables.conf; do
    [ ! -f $file ] || grep -qF '{RULES}' $file || echo 'include "{RULES}"' >> $file
done
[ ! -d /run/systemd/system ] || systemctl enable nftables""",
    )
