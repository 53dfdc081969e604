"""After a reboot: networks and pools that were active are started, others are left; on libvirt's own test driver."""

from collections.abc import Iterator

import libvirt
import pytest

from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.facts import read_active_pools, read_networks
from ravada_web.hypervisor.starting import start_networks, start_pools


@pytest.fixture
def host() -> Iterator[libvirt.virConnect]:
    """A host whose network and pool "default" are off."""
    with open_connection("test:///default") as connection:
        network, pool = connection.networkLookupByName("default"), connection.storagePoolLookupByName("default-pool")
        network.destroy()
        pool.destroy()
        yield connection
        if not network.isActive():
            network.create()
        if not pool.isActive():
            pool.create()


def test_what_is_used_is_started_and_nothing_else(host: libvirt.virConnect) -> None:
    assert start_networks(host, {"other"}) == [] and start_pools(host, set()) == []
    assert not read_networks(host) and not read_active_pools(host)
    assert start_networks(host, {"default", "gone"}) == ["default"]
    assert start_pools(host, {"default-pool"}) == ["default-pool"]
    assert (read_networks(host), read_active_pools(host)) == (("default",), ("default-pool",))
    assert start_networks(host, {"default"}) == [], "it is on"
