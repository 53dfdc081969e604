"""What becomes of each element of a virtual machine that is imported: kept, fitted, dropped or refused."""

from ravada_web.messages.marks import N_, Template

TEXTS: dict[str, Template] = {
    # Refused
    "hardware.encrypted": N_(
        "This disk is encrypted, so its copies could not be read. Write it to an unencrypted file, then attach that "
        "file instead (virsh edit)."
    ),
    "hardware.disk_no_volume": N_(
        "libvirt has no volume %(volume)s in an active pool %(pool)s. Start the pool, or attach the disk as a file."
    ),
    "hardware.disk_on_device": N_(
        "%(source)s is not a file. Copy it to a qcow2 file, then attach that file instead (virsh edit)."
    ),
    "hardware.disk_on_network": N_(
        "%(source)s is on the network. Copy it to a qcow2 file, then attach that file instead (virsh edit)."
    ),
    "hardware.not_hvm": N_("Only fully virtualized machines (hvm) can be imported."),
    "hardware.kernel_of_host": N_(
        "It boots %(path)s, a file of its host that other nodes lack. Install a boot loader in the guest, then remove "
        "the direct kernel boot."
    ),
    "hardware.saved_memory": N_(
        "It was suspended to disk (managed save), so its disks are in mid-work. Start it, then shut it down."
    ),
    # Dropped
    "hardware.snapshots": N_("Snapshots inside the image (%(names)s) are not copied; its present state is."),
    "hardware.bitmaps": N_("Dirty bitmaps of backups (%(names)s) are not copied."),
    "hardware.disk_shared": N_("Each desktop has its own disk; none is shared."),
    "hardware.disk_transient": N_("Whether changes are kept is decided for each desktop: persistent or volatile."),
    "hardware.disk_settings": N_("The settings of the original file (%(settings)s) do not fit thin copies."),
    "hardware.card_of_host": N_("A network card of type %(type)s leads to something that only its host has."),
    "hardware.card_device": N_("Each node names the host’s end of the card itself."),
    "hardware.card_backend": N_("The settings of the host’s end of the card were for its host."),
    "hardware.card_ports": N_("Fixed ports of the host can belong to one machine only."),
    "hardware.card_team": N_("The card that it is teamed with was passed through from the host."),
    "hardware.host_file": N_("%(path)s is a file of the original host."),
    "hardware.firmware_file": N_("Boots with the firmware %(path)s. Nodes without this file are not used."),
    "hardware.firmware_writable": N_(
        "Its firmware file %(path)s is writable and keeps this machine’s own settings. Use a read-only firmware, with "
        "its settings in an NVRAM file."
    ),
    "hardware.firmware_of_host": N_("%(path)s is a file of the original host. The node’s standard BIOS is used."),
    "hardware.spice": N_("Works only with SPICE, which Ravada replaces with its own display."),
    "hardware.channel_of_host": N_("Leads to something that only the original host has."),
    "hardware.video_second": N_("A second QXL screen works only with SPICE."),
    "hardware.tpm_encryption": N_("Each desktop’s TPM starts empty; the original’s state is not copied."),
    "hardware.of_host": N_("Belongs to the original host."),
    "hardware.passed_through": N_("%(device)s is a device of the original host and is not passed through."),
    "hardware.shared_folder": N_("The folder %(path)s of the original host is not shared (%(tag)s in the guest)."),
    "hardware.memory_of_host": N_("Memory of this kind has its content on the original host."),
    "hardware.memory_backing": N_("Where its memory comes from was chosen for the original host."),
    "hardware.pinned": N_("Pinning to processors of the original host. Each node schedules its desktops itself."),
    "hardware.placed_on_host": N_(
        "How the original host gave it memory, disk and processors (huge pages, NUMA, limits). Each node decides that "
        "itself."
    ),
    "hardware.launch_security": N_("Memory encryption (%(type)s) depends on the original host’s processor."),
    "hardware.security_label": N_("Each node’s libvirt confines its desktops by its own labels."),
    "hardware.notes": N_("Notes about the original."),
    "hardware.qemu_arguments": N_(
        "Arguments handed to QEMU behind libvirt’s back, which can open ports or files of the host: %(arguments)s"
    ),
    "hardware.foreign": N_("Not part of libvirt’s common format; its meaning on other nodes is unknown."),
    "hardware.unknown_of_host": N_("Ravada does not know this element, and it names something of the original host."),
    # Fitted
    "hardware.virtualization": N_("KVM where the node has it, otherwise emulation."),
    "hardware.identity": N_("Each desktop has its own."),
    "hardware.sysinfo": N_("Each desktop’s SMBIOS serial number is its name."),
    "hardware.all_memory": N_("Each desktop starts with all its memory."),
    "hardware.processor_of_host": N_(
        "Each node’s own processor is passed on; without KVM, an emulated one with the same number of cores."
    ),
    "hardware.medium": N_("The medium %(path)s is taken out; the drive stays, empty."),
    "hardware.card_mac": N_("Each desktop has its own MAC address."),
    "hardware.card_port_id": N_("Each desktop has its own port ID on the virtual switch."),
    "hardware.emulator": N_("Each node’s own QEMU is used."),
    "hardware.display": N_("Replaced (it was %(type)s) with one private display, opened through Ravada only."),
    "hardware.audio": N_("Replaced: a sound card stays, and nothing is played on the host."),
    "hardware.sound_output": N_("The sound card stays, without the output that it was bound to."),
    "hardware.video_qxl": N_("QXL needs SPICE; standard VGA takes its place."),
    "hardware.video_3d": N_("3D acceleration needs a graphics card of the host; the screen works without it."),
    "hardware.video_driver": N_("QEMU draws the screen itself, without a process of the host."),
    "hardware.port": N_(
        "The guest keeps the port; its other end on the original host (%(type)s %(other_end)s) is replaced with a "
        "terminal of libvirt."
    ),
    "hardware.channel": N_(
        "The guest keeps the channel; its other end on the original host (%(type)s %(other_end)s) is replaced with a "
        "socket of libvirt."
    ),
    "hardware.vsock": N_("CID %(cid)s can belong to one machine only; each desktop gets a free one."),
    "hardware.tpm_of_host": N_(
        "The TPM was not an emulated one of libvirt. Each desktop gets an emulated TPM of its own, which its node must "
        "offer."
    ),
    "hardware.randomness": N_("Random numbers come from the node’s /dev/urandom."),
    # Kept
    "hardware.as_is": N_("Kept as it is."),
    "hardware.unknown": N_("Kept as it is; Ravada does not know this element."),
    "hardware.disk": N_("%(path)s is copied; each desktop writes to a thin layer of its own."),
    "hardware.machine": N_(
        "Machine type %(machine)s; on a node without it, the newest %(family)s. Nodes with neither are not used."
    ),
    "hardware.uefi": N_("Boots with UEFI. Nodes without UEFI firmware are not used."),
    "hardware.nvram": N_("Its boot entries and Secure Boot keys are copied with the disks; each desktop has its own."),
    "hardware.uefi_secured": N_("Boots with UEFI and Secure Boot. Nodes without such firmware are not used."),
    "hardware.hyperv": N_("Hyper-V features (%(features)s) need KVM. Nodes without it are not used."),
    "hardware.hyperv_clock": N_("The Hyper-V clock needs KVM. Nodes without it are not used."),
    "hardware.processor": N_("Processor model %(model)s. Nodes that cannot provide it are not used."),
    "hardware.processor_features": N_(
        "Processor model %(model)s with %(features)s. Nodes that cannot provide them are not used."
    ),
    "hardware.card_network": N_("Connected to libvirt’s network %(name)s. Nodes without it are not used."),
    "hardware.card_bridge": N_("Connected to the host’s bridge %(name)s. Nodes without it are not used."),
    "hardware.card_direct": N_(
        "Connected directly to the host’s network card %(name)s. Nodes without one of that name are not used."
    ),
    "hardware.card_filter": N_("Filtered by libvirt’s filter %(name)s. Nodes without it are not used."),
    "hardware.tpm": N_("Each desktop gets an emulated TPM %(version)s of its own. Nodes without it are not used."),
}
