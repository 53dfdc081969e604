"""What a base would be made of, read by jobs on the master before anything is imported: nothing is written there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ravada_web.errors import InvalidInput
from ravada_web.hypervisor import domain_xml, domains, volumes
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.hardware.analysis import analyse
from ravada_web.hypervisor.hardware.findings import VERDICTS, Finding
from ravada_web.hypervisor.hardware.rules import command
from ravada_web.messages import message
from ravada_web.models import Node
from ravada_web.needs import Need
from ravada_web.services.bases import nvram as nvram_files
from ravada_web.services.bases import source_images
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes.listing import master
from ravada_web.services.operations.execution import Handle


@dataclass(frozen=True)
class Source:
    """What a base is made of: its template, the disks to copy, what was found, what a node must offer, and the file of
    its UEFI variables."""

    template: str
    disks: Sequence[domain_xml.Disk]
    findings: tuple[Finding, ...]
    needs: tuple[Need, ...]
    nvram: domain_xml.Nvram | None = None

    @property
    def files(self) -> list[dict[str, Any]]:
        """The files that the base is made from, as its row keeps them."""
        disks = [{"target": disk.target, "path": disk.source, "format": disk.format} for disk in self.disks]
        return [*disks, *([nvram_files.source(self.nvram)] if self.nvram is not None else [])]

    @property
    def refused(self) -> tuple[Finding, ...]:
        """What stands in the way of the import; empty where nothing does."""
        return tuple(finding for finding in self.findings if finding.verdict == "refused")


def inspect(handle: Handle) -> None:
    """The job's part: list what would become of each element, for whoever asked to read it."""
    source = read(handle.params)
    handle.result = {"findings": [finding.to_dict() for finding in source.findings]}


def read(params: dict[str, Any]) -> Source:
    """Read what a request to import names. Raises InvalidInput where that is not there, or is running."""
    node = master()
    source = _domain(node, params["domain"]) if params["source"] == "domain" else _files(params)
    seen = [finding for disk in source.disks for finding in source_images.findings(node, disk)]
    refused = {finding.element for finding in seen if finding.verdict == "refused"}
    other = [finding for finding in source.findings if finding.verdict != "kept" or finding.element not in refused]
    findings = sorted((*other, *seen), key=lambda finding: VERDICTS.index(finding.verdict))
    return replace(source, findings=tuple(findings))


def _domain(node: Node, name: str) -> Source:
    try:
        with endpoints.connect(node) as connection:
            xml = volumes.with_paths(connection, domains.domain_xml(connection, name))
            analysis, nvram = analyse(xml), None
            if not analysis.refused:  # its libvirt could not say either with what it would start it
                xml, nvram = nvram_files.found(node, connection, xml)
                analysis = analyse(xml)
            states = {domain: state for domain, _uuid, state in domains.list_domains(connection)}
            saved = domains.has_saved_memory(connection, name)
        disks = [disk for disk in domain_xml.read_disks(xml) if disk.device == "disk" and disk.source]
    except HypervisorError as error:
        raise InvalidInput({"domain": error.message}) from error
    if states.get(name) != "stopped":
        raise InvalidInput({"domain": message("bases.domain_running", name=name)})
    if not disks and not analysis.refused:
        raise InvalidInput({"domain": message("bases.domain_disks", name=name)})
    wake = f"{command('virsh', 'start', name)} && {command('virsh', 'shutdown', name)}"
    asleep = [Finding("refused", "domain", message("hardware.saved_memory"), wake)] if saved else []
    unread = {finding.element for finding in analysis.refused}
    copied = [disk for disk in disks if f"disk {disk.target}" not in unread]
    return Source(analysis.template, copied, (*asleep, *analysis.findings), analysis.needs, nvram)


def _files(params: dict[str, Any]) -> Source:
    paths: list[str] = params["paths"]
    targets = [f"vd{chr(ord('a') + position)}" for position in range(len(paths))]
    xml = domain_xml.new_template(params["name"], params["memory_mib"], params["vcpus"], targets)
    disks = [
        domain_xml.Disk(target=target, source=path, format="qcow2", device="disk")
        for target, path in zip(targets, paths, strict=True)
    ]
    copied = [Finding("kept", f"disk {disk.target}", message("hardware.disk", path=disk.source)) for disk in disks]
    return Source(xml, disks, tuple(copied), analyse(xml).needs)
