"""The certificates that a host's SPICE displays are trusted by."""

from ravada_web.remote.commands import run
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import script

# The authority behind the node's certificates for SPICE, where its libvirt is configured to find them, or by default.
AUTHORITY = script(
    "spice_authority",
    """
folder=$(sed -n 's/^ *spice_tls_x509_cert_dir *= *"\\(.*\\)".*/\\1/p' /etc/libvirt/qemu.conf)
exec cat "${folder:-/etc/pki/libvirt-spice}/ca-cert.pem"
""",
)
AUTHORITY_SECONDS, MOST_AUTHORITY = 5.0, 1 << 16


def read_authority(workspace: Workspace, target: Target, step: str) -> bytes:
    """The file of the authority's certificates. Raises what `run` raises."""
    return run(workspace, target, AUTHORITY(), deadline=AUTHORITY_SECONDS, step=step, most=MOST_AUTHORITY)
