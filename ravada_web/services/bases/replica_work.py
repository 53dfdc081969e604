"""Bringing a replica in order on its node: what is there and whole is kept, what is not is copied; nothing is ever
overwritten in place.
"""

from ravada_web.extensions import db
from ravada_web.messages import NOTHING
from ravada_web.models import Node, ReplicaState
from ravada_web.remote import files, overlays
from ravada_web.remote.images import INSPECT_SECONDS
from ravada_web.services.bases import replica_files
from ravada_web.services.bases.replica_copying import Copying
from ravada_web.services.bases.replica_plan import File, Plan, check, hash_of, plan_of, write
from ravada_web.services.bases.replica_removal import delete_files
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.storage import leftovers, pools


def copy(handle: Handle) -> None:
    """Bring the replica in order on the operation's node."""
    plan = plan_of(handle)
    if plan is None:
        return
    leftovers.sweep(plan.where, [plan.directory])
    stamps: dict[str, str] = {}
    lacking = [file for file in plan.files if not _is_whole(handle, plan, file, stamps)]
    if lacking:
        _require_room(handle, plan, sum(file.size for file in lacking))
        Copying(handle, plan, lacking, stamps).run()
    _make_templates(handle, plan, stamps)
    _finish(handle, plan, stamps)


def _is_whole(handle: Handle, plan: Plan, file: File, stamps: dict[str, str]) -> bool:
    """Whether the file is there with the right hash; its stamp is kept then."""
    path = plan.path(file.name)
    seen = replica_files.look(plan.where, [path]).get(path)
    if seen is None or seen.size != file.size:
        return False
    write(handle, plan.replica_id, state=ReplicaState.VERIFYING)
    if hash_of(plan.where, path, file) != file.sha256:
        return False
    stamps[file.name] = seen.stamp
    return True


def _require_room(handle: Handle, plan: Plan, need: int) -> None:
    space = files.free_space(endpoints.workspace(), plan.where, [plan.directory], deadline=INSPECT_SECONDS)
    check(handle, plan.replica_id)
    node = db.session.get_one(Node, plan.where.node_id)
    pools.require_room(node, plan.directory, space[plan.directory][1] >> 20, need >> 20)


def _make_templates(handle: Handle, plan: Plan, stamps: dict[str, str]) -> None:
    """Make the empty overlays that clones' disks are copies of; they are always the same bytes."""
    check(handle, plan.replica_id)
    disks = [file for file in plan.files if file.template != file.name]
    workspace, token = endpoints.workspace(), handle.token
    for file in disks:
        backing, template = plan.path(file.name), plan.path(file.template)
        overlays.make_template(workspace, plan.where, backing, template, file.virtual_size, token)
    stamps |= replica_files.stamps_of(plan.where, plan.directory, [file.template for file in disks])


def _finish(handle: Handle, plan: Plan, stamps: dict[str, str]) -> None:
    """Call the replica ready; where it was taken away meanwhile, what was published goes again."""
    values = {"state": ReplicaState.READY, "progress": 100, "directory": plan.directory, "reason": NOTHING}
    values |= {"stamps": stamps, "failures": 0, "retry_at": None}
    if not write(handle, plan.replica_id, **values):
        made = [name for file in plan.files for name in (file.template, file.name)]
        delete_files(plan.where, plan.directory, [name for name in made if name not in plan.known])
