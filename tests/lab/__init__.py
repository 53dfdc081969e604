"""The lab: real nodes on one machine, each with its own libvirtd, sshd, network, hostname and storage."""

from tests.lab.guest import build_guest
from tests.lab.lab import Lab, missing_requirements
from tests.lab.node import LabNode

__all__ = ["Lab", "LabNode", "build_guest", "missing_requirements"]
