"""Importing a base, done by jobs: a domain or files of the master are read, and the base's row is written."""

from collections.abc import Sequence
from typing import Any

from ravada_web.errors import InvalidInput
from ravada_web.hypervisor import domain_xml, domains
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.hardware.analysis import analyse
from ravada_web.messages import message
from ravada_web.models import AllowedNode, Base, Node, User
from ravada_web.remote import images
from ravada_web.remote.errors import ImageRefused
from ravada_web.remote.images import INSPECT_SECONDS
from ravada_web.services.audit import events
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.bases import nvram as nvram_files
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes.listing import master
from ravada_web.services.operations.execution import Handle
from ravada_web.services.transaction import transaction


def import_base(handle: Handle) -> None:
    """Read what the base is to be made of, refuse what cannot be, and write its row."""
    node = master()
    by_domain = handle.params["source"] == "domain"
    xml, sources, nvram = _from_domain(handle, node) if by_domain else (*_from_files(handle), None)
    field = "domain" if by_domain else "paths"
    try:
        for source in sources:
            info = images.inspect(
                endpoints.workspace(), endpoints.target(node), source.source, source.format, deadline=INSPECT_SECONDS
            )
            images.ensure_self_contained(info)
    except ImageRefused as error:
        raise InvalidInput({field: error.message}) from error
    handle.check()
    read: list[dict[str, Any]] = [{"target": s.target, "path": s.source, "format": s.format} for s in sources]
    handle.result = {"base_id": _write(handle, node, xml, read + ([nvram_files.source(nvram)] if nvram else []))}


def _from_domain(handle: Handle, node: Node) -> tuple[str, Sequence[domain_xml.Disk], domain_xml.Nvram | None]:
    name = handle.params["domain"]
    try:
        with endpoints.connect(node) as connection:
            xml, nvram = nvram_files.found(node, connection, domains.domain_xml(connection, name))
            states = {domain: state for domain, _uuid, state in domains.list_domains(connection)}
    except HypervisorError as error:
        raise InvalidInput({"domain": error.message}) from error
    if states.get(name) != "stopped":
        raise InvalidInput({"domain": message("bases.domain_running", name=name)})
    analysis = analyse(xml)
    if analysis.refused:
        raise InvalidInput({"domain": analysis.refused[0].text})
    disks = [disk for disk in domain_xml.read_disks(xml) if disk.device == "disk"]
    if not disks or any(not disk.source for disk in disks):
        raise InvalidInput({"domain": message("bases.domain_disks", name=name)})
    return analysis.template, disks, nvram


def _from_files(handle: Handle) -> tuple[str, Sequence[domain_xml.Disk]]:
    paths: list[str] = handle.params["paths"]
    targets = [f"vd{chr(ord('a') + position)}" for position in range(len(paths))]
    params = handle.params
    xml = domain_xml.new_template(params["name"], params["memory_mib"], params["vcpus"], targets)
    return xml, [
        domain_xml.Disk(target=target, source=path, format="qcow2", device="disk")
        for target, path in zip(targets, paths, strict=True)
    ]


def _write(handle: Handle, node: Node, xml: str, sources: list[dict[str, Any]]) -> int:
    hardware = domain_xml.read_hardware(xml)
    with transaction() as session:
        if wrong := base_actions.invalid_name(session, handle.params["name"]):
            raise InvalidInput(wrong)
        base = Base(
            name=handle.params["name"],
            description=handle.params["description"],
            template_xml=xml,
            memory_mib=hardware.memory_mib,
            vcpus=hardware.vcpus,
            nics=hardware.nics,
            node_id=node.id,
            source_disks=sources,
            needs=[need.to_dict() for need in analyse(xml).needs],
            created_by_id=handle.user_id,
            allowed=[AllowedNode(node_id=node.id)],
        )
        session.add(base)
        events.record(session, session.get(User, handle.user_id), "import", base)
        return base.id
