"""Installing our key: the command for the host, or one login with a password that is stored nowhere.

On its way to the job that uses it the password waits in Redis, sealed by the installation's key, for a minute at
most; taking it deletes it.
"""

from ravada_web.config import settings
from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db, queues
from ravada_web.identity.sealing import Purpose, seal, unseal
from ravada_web.messages import message
from ravada_web.models import Node, Operation, User
from ravada_web.remote.errors import CommandFailed, KeyRefused, NodeUnreachable, UnreadableAnswer
from ravada_web.remote.login import key_command, run_with_password
from ravada_web.services.audit import events
from ravada_web.services.joining import inspection
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes.endpoints import public_key
from ravada_web.services.operations import outbox
from ravada_web.services.operations.execution import Handle
from ravada_web.services.operations.requests import request
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

PASSWORD_SECONDS = 60
INSTALL_SECONDS = 15.0
LONGEST_PASSWORD = 512


def command(node: Node) -> str:
    """The command that installs our key, for the node's user on the node, for our address alone."""
    return key_command(public_key(), node.source_address)


def request_key_install(actor: User, node: Node, password: str) -> Operation:
    """Request the installation of our key by one login with this password. Raises InvalidInput and Conflict."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    if not 0 < len(password) <= LONGEST_PASSWORD:
        raise InvalidInput({"password": message("joining.enter_password", user=node.user)})
    if node.local:
        raise Conflict(message("joining.no_key_needed"))
    with transaction() as session:
        inspection.require_idle(session, node)
        title = message("joining.install_key", node=node.name)
        operation = request(session, "node_key", title, actor=actor, node=node)
        session.flush()
        events.record(session, actor, "install_key", node, node.user)
        sealed = seal(password, Purpose.NODE_PASSWORD, settings().secret_key())
        queues.redis.set(_place(operation.id), sealed, ex=PASSWORD_SECONDS)
        return operation


def _place(operation_id: int) -> str:
    return f"ravada:password:{operation_id}"


def install_key(handle: Handle) -> None:
    """The job's part: install the key, then check the node as with a key that was there."""
    sealed = queues.redis.getdel(_place(handle.operation_id))
    password = None
    if isinstance(sealed, bytes):
        password = unseal(sealed.decode(), Purpose.NODE_PASSWORD, settings().secret_key())
    if password is None:
        raise InvalidInput({"password": message("joining.password_expired", kept_seconds=PASSWORD_SECONDS)})
    node = db.session.get_one(Node, handle.node_id)
    where, line = endpoints.newcomer(node) if node.new_host_key else endpoints.target(node), command(node)
    db.session.rollback()
    try:
        run_with_password(where, password, line, INSTALL_SECONDS)
    except KeyRefused as error:
        raise InvalidInput({"password": error.message}) from error
    except (CommandFailed, UnreadableAnswer) as error:
        raise InvalidInput({"user": error.message}) from error
    except NodeUnreachable as error:
        raise InvalidInput({"address": error.message}) from error
    inspection.inspect(handle)
