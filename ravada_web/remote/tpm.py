"""The state of emulated TPMs: a small file that libvirt keeps for a domain's UUID outside of all pools."""

import re

from ravada_web.messages import message
from ravada_web.remote.commands import run
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import FILE, Kind, matching, script

TPM_SECONDS = 60.0
# What swtpm keeps takes some KiB.
MOST_BYTES = 1 << 20
# Where it is below the domain's folder, by the TPM's version.
STATES = {"2.0": "tpm2/tpm2-00.permall", "1.2": "tpm1.2/tpm-00.permall"}
_UUID = Kind(matching(re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")))
_STATE = Kind(matching(re.compile("|".join(map(re.escape, STATES.values())))))

READ_STATE = """
state=/var/lib/libvirt/swtpm/$1/$2
if [ -f "$state" ] && [ ! -h "$state" ]; then exec cat -- "$state"; fi
"""
# As libvirt makes the folders, which are its swtpm's user's. A TPM that has a state begins with it.
PUT_STATE = """
[ -f "$1" ] || exit 0
room=/var/lib/libvirt/swtpm home=/var/lib/libvirt/swtpm/$2 folder=/var/lib/libvirt/swtpm/$2/${3%/*}
umask 077
for path in "$room" "$home"; do [ -d "$path" ] || mkdir -m 0711 -- "$path" || exit 1; done
mkdir -p -- "$folder" && cp -- "$1" "$home/$3.part" && sync -- "$home/$3.part" || exit 1
mv -f -T -- "$home/$3.part" "$home/$3" || exit 1
for user in tss swtpm; do
    if [ "$(id -u)" = 0 ] && id "$user" >/dev/null 2>&1; then chown -R -- "$user:" "$folder" || exit 1; break; fi
done
sync -- "$folder" && rm -f -- "$1"
"""
READING = script("read_tpm", READ_STATE, _UUID, _STATE)
PUTTING = script("put_tpm", PUT_STATE, FILE, _UUID, _STATE)


def read_state(workspace: Workspace, target: Target, uuid: str, version: str) -> bytes:
    """The state of a domain's TPM, which is off; b"" of one that has never run."""
    step = message("remote.step_read_tpm")
    return run(workspace, target, READING(uuid, STATES[version]), deadline=TPM_SECONDS, step=step, most=MOST_BYTES)


def put_state(workspace: Workspace, target: Target, path: str, uuid: str, version: str) -> None:
    """Have a domain's TPM begin with the state in this file of a pool, which goes; without the file nothing is done."""
    step = message("remote.step_put_tpm")
    run(workspace, target, PUTTING(path, uuid, STATES[version]), deadline=TPM_SECONDS, step=step)
