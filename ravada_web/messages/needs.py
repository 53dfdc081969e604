"""What bases need of a node, as it is said of one that lacks it, and how it gets it."""

from ravada_web.messages.marks import N_, Template
from ravada_web.messages.message import Message, message

TEXTS: dict[str, Template] = {
    # Each follows "needs" or "lacks"
    "needs.arch": N_("a processor for %(value)s"),
    "needs.machine": N_("the machine type %(value)s"),
    "needs.firmware": N_("the firmware %(value)s"),
    "needs.firmware_any": N_("UEFI firmware"),
    "needs.secure_boot": N_("UEFI firmware with Secure Boot"),
    "needs.tpm": N_("an emulated TPM %(value)s"),
    "needs.kvm": N_("hardware virtualization (KVM)"),
    "needs.hyperv": N_("the Hyper-V feature %(value)s"),
    "needs.cpu_model": N_("the processor model %(value)s"),
    "needs.cpu_feature": N_("the processor feature %(value)s"),
    "needs.network": N_("the network %(value)s"),
    "needs.bridge": N_("the bridge %(value)s"),
    "needs.interface": N_("the network card %(value)s"),
    "needs.nwfilter": N_("the network filter %(value)s"),
    # How a node gets it, where no command does
    "needs.how_network": N_("Define the network on the host, or start it: virsh net-start %(value)s."),
    "needs.how_firmware": N_("Install ovmf (Debian, Ubuntu) or edk2-ovmf (Fedora, RHEL) on the host."),
    "needs.how_tpm": N_("Install swtpm and swtpm-tools on the host."),
    "needs.how_bridge": N_("Create the bridge in the network configuration of the host."),
    "needs.how_interface": N_("Give the host’s card that name, or attach the base to a network instead."),
    "needs.how_kvm": N_("Enable VT-x or AMD-V in the host’s firmware, or nested virtualization in its hypervisor."),
    "needs.how_processor": N_("Use a host with a newer processor, or choose an older model for the base."),
    "needs.how_qemu": N_("Install QEMU for this kind of machine on the host, or upgrade it."),
    "needs.how_nwfilter": N_("Define the filter on the host, as virsh nwfilter-dumpxml shows it on the master."),
}
_HOW = {
    "arch": "processor",
    "machine": "qemu",
    "secure_boot": "firmware",
    "hyperv": "kvm",
    "cpu_model": "processor",
    "cpu_feature": "processor",
}


def need_message(kind: str, value: str) -> Message:
    """What is needed (a need's kind and value), to follow a verb."""
    if (kind, value) == ("firmware", "efi"):
        return message("needs.firmware_any")
    return message(f"needs.{kind}", value=value)


def how_message(kind: str, value: str) -> Message:
    """What gives a node what is needed, in words."""
    how = _HOW.get(kind, kind)
    return message(f"needs.how_{how}", **({"value": value} if how == "network" else {}))
