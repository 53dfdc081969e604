"""Importing a base, done by jobs: what it is made of is read again, and the base's row is written."""

from ravada_web.errors import InvalidInput
from ravada_web.hypervisor import domain_xml
from ravada_web.messages import message
from ravada_web.models import AllowedNode, Base, Node, User
from ravada_web.services.audit import events
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.bases import inspection
from ravada_web.services.bases.inspection import Source
from ravada_web.services.bases.source_images import with_command
from ravada_web.services.nodes.listing import master
from ravada_web.services.operations.execution import Handle


def import_base(handle: Handle) -> None:
    """Read what the base is to be made of, refuse what cannot be, or is not what was listed, and write its row."""
    params = handle.params
    field = "domain" if params["source"] == "domain" else "paths"
    source = inspection.read(params)
    if source.refused:
        first = source.refused[0]
        raise InvalidInput({field: with_command(first.text, first.remedy)})
    listed = params.get("listed")
    if listed is not None and listed != [finding.to_dict() for finding in source.findings]:
        raise InvalidInput({field: message("bases.changed_since_listed")})
    handle.check()
    handle.result = {"base_id": _write(handle, master(), source)}


def _write(handle: Handle, node: Node, source: Source) -> int:
    hardware = domain_xml.read_hardware(source.template)
    with handle.writing() as session:
        if wrong := base_actions.invalid_name(session, handle.params["name"]):
            raise InvalidInput(wrong)
        base = Base(
            name=handle.params["name"],
            description=handle.params["description"],
            template_xml=source.template,
            memory_mib=hardware.memory_mib,
            vcpus=hardware.vcpus,
            nics=hardware.nics,
            node_id=node.id,
            source_disks=source.files,
            needs=[need.to_dict() for need in source.needs],
            created_by_id=handle.user_id,
            allowed=[AllowedNode(node_id=node.id)],
        )
        session.add(base)
        events.record(session, session.get(User, handle.user_id), "import", base)
        return base.id
