"""Certificates of tests: self-signed, for an address."""

import subprocess
from pathlib import Path


def make_certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """A certificate for an IP address, its own authority, and its key: the paths of both (PEM)."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = ["-subj", f"/CN={address}", "-addext", f"subjectAltName=IP:{address}"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key
