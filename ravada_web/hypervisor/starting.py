"""Networks and storage pools that were active before their host went away, started again."""

from collections.abc import Collection

import libvirt

from ravada_web.hypervisor.errors import HypervisorError, translated


def start_networks(connection: libvirt.virConnect, wanted: Collection[str]) -> list[str]:
    """Start those of these networks that are there and off; returns their names. One that cannot be started is left."""
    return _start(connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_INACTIVE), wanted) if wanted else []


def start_pools(connection: libvirt.virConnect, wanted: Collection[str]) -> list[str]:
    """Start those of these storage pools that are there and off; returns their names. One that cannot be started is
    left."""
    return (
        _start(connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE), wanted)
        if wanted
        else []
    )


def _start(idle: Collection[libvirt.virNetwork | libvirt.virStoragePool], wanted: Collection[str]) -> list[str]:
    started = []
    for each in idle:
        try:
            with translated():
                if each.name() in wanted:
                    each.create()
                    started.append(each.name())
        except HypervisorError:
            continue  # what is off keeps desktops from being placed there, and is shown
    return started
