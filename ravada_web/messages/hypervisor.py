"""What goes wrong in a hypervisor, and why it has paused a guest."""

from ravada_web.messages.marks import N_, Template

TEXTS: dict[str, Template] = {
    "hypervisor.no_words": N_("no error message"),
    "hypervisor.no_answer": N_("it did not answer within %(deadline_seconds)s"),
    "hypervisor.no_viewer_display": N_("it was started without a display for desktop viewers: restart it"),
    "hypervisor.screen_too_large": N_("its screen is larger than any screen"),
    "hypervisor.screen_unreadable": N_("its screen cannot be read: %(said)s"),
    "hypervisor.xml_entities": N_("its XML has a document type or entities"),
    "hypervisor.xml_unreadable": N_("its XML cannot be read: %(said)s"),
    "hypervisor.xml_other": N_("its XML is a <%(tag)s> instead of a <%(expected)s>"),
    "hypervisor.xml_too_large": N_("its XML is larger or deeper than any"),
    "hypervisor.unreadable": N_("libvirt’s answer makes no sense: %(said)s"),
    "hypervisor.too_many_domains": N_("it lists %(count)s domains, more than any host has"),
    "hypervisor.no_memory": N_("the domain does not say how much memory it has"),
    "hypervisor.no_devices": N_("the domain has no devices"),
    "hypervisor.no_uefi": N_(
        "the base boots with UEFI, which this node does not offer: install ovmf (edk2-ovmf) there"
    ),
    "hypervisor.no_networks": N_("the node has no active network %(networks)s: virsh net-start %(first)s there"),
    "hypervisor.paused_by_error": N_(
        "The hypervisor paused it after an internal error. Force it off and start it again; if that does not help, "
        "read its log on the node: /var/log/libvirt/qemu/."
    ),
    "hypervisor.paused_for_space": N_(
        "It is paused: the storage pool of its node was full. Nothing is lost; once there is space, start it again."
    ),
}
