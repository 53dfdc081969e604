"""`make bench-clones`: clones over three lab nodes, from the POST to all ready, beside plain libvirt in the same run.

The floor: for each node in parallel one open connection, and for each clone a libvirt volume with a backing file
and a definition of the same XML. Ready means counted on the nodes: the domain is defined, the overlay there with the
right backing file; and three drawn by lot are started. Progress goes to standard error, the JSON to standard output.
"""

import random
import re
import statistics
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import libvirt
from sqlalchemy import func, select

from ravada_web.extensions import db
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.domain_xml import CloneIdentity, for_clone
from ravada_web.models import Clone, CloneState
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes.facts import facts_of
from tests.benchmarks.browser import Browser
from tests.benchmarks.report import report
from tests.lab import missing_requirements
from tests.support.cluster import IMAGES, PASSWORD, Cluster, running_cluster
from tests.support.servers import wait_until

COUNT = 300
VOLUME = """<volume><name>{name}</name><capacity>{capacity}</capacity><target><format type='qcow2'/></target>
<backingStore><path>{backing}</path><format type='qcow2'/></backingStore></volume>"""


def say(what: str) -> None:
    """Show progress."""
    print(what, file=sys.stderr, flush=True)


def floor(cluster: Cluster, count: int) -> float:
    """Seconds that plain libvirt takes for the same clones; they are removed again, untimed."""
    work = [_floor_work(cluster, node.name, count // len(cluster.lab.nodes)) for node in cluster.lab.nodes]
    connections = [libvirt.open(uri) for uri, _volumes, _documents in work]
    with ThreadPoolExecutor(len(work)) as pool:
        begun = time.perf_counter()
        list(pool.map(_make, connections, work))
        seconds = time.perf_counter() - begun
        list(pool.map(_unmake, connections))
    return seconds


def _floor_work(cluster: Cluster, name: str, count: int) -> tuple[str, list[str], list[str]]:
    """The URI of a node, and all XML that it will be sent, made beforehand: the floor is libvirt's time alone."""
    node, base = cluster.node(name), cluster.base()
    version = base.current
    assert version is not None
    (disk,) = version.disks
    names = [f"floor-{number}" for number in range(count)]
    volumes = [
        VOLUME.format(name=f"{each}.qcow2", capacity=disk.virtual_size, backing=f"{IMAGES}/{disk.file_name}")
        for each in names
    ]
    identities = [
        CloneIdentity(each, str(uuid.uuid4()), [f"52:54:01:00:{n // 256:02x}:{n % 256:02x}"],
                      {"vda": f"{IMAGES}/{each}.qcow2"})
        for n, each in enumerate(names)
    ]  # fmt: skip
    documents = [for_clone(base.template_xml, identity, facts_of(node)) for identity in identities]
    return endpoints.libvirt_uri(endpoints.target(node)), volumes, documents


def _make(connection: libvirt.virConnect, work: tuple[str, list[str], list[str]]) -> None:
    pool = connection.storagePoolLookupByName("default")
    for volume, document in zip(work[1], work[2], strict=True):
        pool.createXML(volume)
        connection.defineXML(document)


def _unmake(connection: libvirt.virConnect) -> None:
    for domain in connection.listAllDomains():
        if domain.name().startswith("floor-"):
            domain.undefine()
    for volume in connection.storagePoolLookupByName("default").listAllVolumes():
        if volume.name().startswith("floor-"):
            volume.delete()
    connection.close()


def product(cluster: Cluster, browser: Browser, prefix: str, count: int) -> float:
    """Seconds from the POST of the form until all its clones are counted on the nodes."""
    fields = {"base_id": cluster.base_id, "count": count, "prefix": prefix, "owner": cluster.admin.name}
    token = browser.token("/clones/new")
    begun = time.perf_counter()
    browser.send("/clones/new", token, fields)
    wait_until(lambda: _stopped(prefix) == count, 120, f"{count} clones of {prefix}", poll=0.01)
    if _defined(cluster, prefix) != count:
        raise RuntimeError("the rows say ready, the nodes do not")
    return time.perf_counter() - begun


def _stopped(prefix: str) -> int:
    db.session.rollback()
    query = select(func.count()).select_from(Clone)
    return db.session.scalar(query.where(Clone.name.startswith(f"{prefix}-"), Clone.state == CloneState.STOPPED)) or 0


def _defined(cluster: Cluster, prefix: str) -> int:
    found = 0
    for node in cluster.lab.nodes:
        with open_connection(endpoints.libvirt_uri(endpoints.target(cluster.node(node.name)))) as connection:
            found += sum(domain.name().startswith(f"{prefix}-") for domain in connection.listAllDomains())
    return found


def prove(cluster: Cluster, prefix: str) -> None:
    """Look at every overlay on its node, and start three clones drawn by lot. Raises where one is wrong."""
    rows = cluster.clones(prefix)
    for node in cluster.lab.nodes:
        files = [f"{IMAGES}/{row.disk_file('vda')}" for row in rows if row.node.name == node.name]
        script = 'for file; do qemu-img info "$file" | grep "^backing file:" || exit 1; done'
        said = node.run(["sh", "-c", script, "sh", *files]).stdout
        right = re.findall(rf"^backing file: {IMAGES}/ravada-base-{cluster.base_id}-v1-vda.qcow2$", said, re.M)
        if len(right) != len(files):
            raise RuntimeError(f"{node.name}: {len(right)} of {len(files)} overlays have the right backing file")
    drawn = random.sample([row.id for row in rows], 3)
    clone_actions.start(cluster.admin, drawn)
    wait_until(lambda: _running(drawn) == 3, 60, "three drawn by lot run")


def _running(ids: list[int]) -> int:
    db.session.rollback()
    states = db.session.scalars(select(Clone.state).where(Clone.id.in_(ids)))
    return sum(state == CloneState.RUNNING for state in states)


def main() -> None:
    """Run it all."""
    if reason := missing_requirements():
        sys.exit(reason)
    say("Bringing up the lab and the product ...")
    with tempfile.TemporaryDirectory(prefix="rvb-") as folder, running_cluster(Path(folder)) as cluster:
        browser = Browser(cluster.url)
        browser.post("/login", {"name": "admin", "password": PASSWORD})
        say(f"The floor: {COUNT} clones by plain libvirt ...")
        floor_s = floor(cluster, COUNT)
        say(f"{floor_s:.2f} s. The product: the same by one POST ...")
        seconds = product(cluster, browser, "bench", COUNT)
        say(f"{seconds:.2f} s. Looking at every one, starting three ...")
        prove(cluster, "bench")
        say("One clone, five times ...")
        ones = [product(cluster, browser, f"one{number}", 1) for number in range(5)]
        result = {
            "count": COUNT,
            "floor_s": round(floor_s, 3),
            "seconds": round(seconds, 3),
            "ratio": round(seconds / floor_s, 3),
            "one_clone_ms": round(1000 * statistics.median(ones)),
        }
    report("bench-clones", result)


if __name__ == "__main__":
    main()
