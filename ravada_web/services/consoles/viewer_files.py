"""Viewer files (virt-viewer), where a node offers displays on an address.

The display's password is made for this one file, by a job on the node, and expires. It waits in Redis, sealed, for
two minutes and to be fetched once; it is in no row, no job and no log.
"""

import json
import secrets
from configparser import RawConfigParser
from io import StringIO
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from ravada_web.config import settings
from ravada_web.errors import Conflict, NotFound
from ravada_web.extensions import db, queues
from ravada_web.hypervisor import displays
from ravada_web.identity.sealing import Purpose, seal, unseal
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import Clone, CloneState, Operation, User
from ravada_web.remote.reading import reading
from ravada_web.remote.spice import read_authority
from ravada_web.remote.target import Target
from ravada_web.services.audit import events
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import outbox
from ravada_web.services.operations.execution import Handle
from ravada_web.services.operations.requests import request
from ravada_web.services.transaction import transaction

TICKET_SECONDS = 120


def impossible(viewer: User, clone: Clone) -> Message:
    """Why there is no such file for the clone now; an empty message where there is."""
    if clone.owner_id != viewer.id:
        return message("consoles.viewer_not_yours")
    if not clone.node.display_address:
        return message("consoles.viewer_not_enabled")
    if not endpoints.display_address(clone.node):
        return message("consoles.viewer_no_spice")
    if not clone.node.is_reachable:
        return message("consoles.viewer_host_away")
    if clone.state != CloneState.RUNNING:
        return message("consoles.viewer_not_running")
    return NOTHING


def offer(viewer: User, clone_id: int) -> Operation:
    """Request a viewer file for the clone. Raises NotFound, and Conflict where that cannot be."""
    outbox.require_queue()
    with transaction() as session:
        clone = clone_list.get(viewer, clone_id)
        if reason := impossible(viewer, clone):
            raise Conflict(reason)
        title = message("consoles.viewer_title", clone=clone.name)
        params = {"clone_id": clone.id}
        events.record(session, viewer, "open_viewer", clone)
        return request(session, "viewer_offer", title, actor=viewer, node=clone.node, params=params)


def admit(handle: Handle) -> None:
    """The job: set a fresh password on the display, and leave what the file needs where it is fetched once."""
    clone = db.session.get(Clone, handle.params["clone_id"])
    if clone is None:
        raise NotFound(message("clones.not_found"))
    node, name, uuid = clone.node, clone.name, clone.uuid
    outside = node.nat_address or node.display_address
    password = secrets.token_urlsafe(24)
    with endpoints.connect(node) as connection:
        handle.check()
        opened = displays.admit(connection, uuid, password, TICKET_SECONDS)
    where: dict[str, Any] = {"host": outside, "port": opened.port, "tls_port": opened.tls_port}
    if opened.tls_port > 0:
        where["ca"] = _authority(endpoints.target(node))
    _store(handle.operation_id, where | {"password": password, "title": name})


def _authority(where: Target) -> str:
    """The certificates of the authority, in PEM, and nothing else of what is in that file. Raises RemoteError."""
    step = "SPICE's authority"
    raw = read_authority(endpoints.workspace(), where, step)
    with reading(where.name, step):
        return certificates(raw)


def certificates(raw: bytes) -> str:
    """The certificates in a text, written anew. Raises ValueError where there is none, or one that is none."""
    found = load_pem_x509_certificates(raw)
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in found)


def _store(operation_id: int, where: dict[str, Any]) -> None:
    sealed = seal(json.dumps(where), Purpose.VIEWER_FILE, settings().secret_key())
    queues.redis.set(_key(operation_id), sealed, ex=TICKET_SECONDS)


def _key(operation_id: int) -> str:
    return f"ravada:viewer:{operation_id}"


def file_of(viewer: User, clone_id: int, operation_id: int) -> str:
    """The file's text, once. Raises NotFound for somebody else's, one that was fetched, and one that is too old."""
    operation = db.session.get(Operation, operation_id)
    if operation is None or operation.user_id != viewer.id or operation.params.get("clone_id") != clone_id:
        raise NotFound(message("operations.not_found"))
    where = _fetch(operation_id)
    if where is None:
        raise NotFound(message("consoles.viewer_file_expired"))
    return _text(where)


def _fetch(operation_id: int) -> dict[str, Any] | None:
    sealed = queues.redis.getdel(_key(operation_id))
    text = unseal(sealed.decode(), Purpose.VIEWER_FILE, settings().secret_key()) if isinstance(sealed, bytes) else None
    return json.loads(text) if text else None


def _text(where: dict[str, Any]) -> str:
    """virt-viewer's connection file (remote-viewer(1)), which it deletes once it has read it."""
    parser = RawConfigParser()
    entries = {
        "type": "spice",
        "title": where["title"],
        "host": where["host"],
        "password": where["password"],
        "delete-this-file": "1",
    }
    if where["tls_port"]:
        entries |= {"tls-port": str(where["tls_port"]), "ca": where["ca"].replace("\n", "\\n")}
    else:
        entries["port"] = str(where["port"])
    parser["virt-viewer"] = entries
    text = StringIO()
    parser.write(text, space_around_delimiters=False)
    return text.getvalue()
