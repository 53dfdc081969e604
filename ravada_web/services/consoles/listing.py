"""What the page of a console shows beside the screen."""

from collections.abc import Sequence
from dataclasses import dataclass

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import Clone, Console, Operation, User
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.consoles import rights as console_rights
from ravada_web.services.consoles import viewer_files
from ravada_web.services.consoles.tickets import COMING
from ravada_web.services.moves import plan_notes
from ravada_web.services.operations import listing as operation_list
from ravada_web.services.operations import waiting
from ravada_web.services.operations.waiting import Waiting


@dataclass(frozen=True)
class ConsolePage:
    """A clone, whether the viewer only looks on, who looks on now, and why there is no viewer file, if so. `waiting` is
    its place, where others go first; `made_again` why it was made again elsewhere, if it was; `ahead` what a plan of
    moves is about to do to it."""

    clone: Clone
    waiting: Waiting | None
    looks_on: bool
    onlookers: Sequence[Console]
    no_file: Message
    made_again: Message
    ahead: Message


@dataclass(frozen=True)
class ViewerFile:
    """A clone, and the operation that makes a viewer file for it."""

    clone: Clone
    operation: Operation


def console(viewer: User, clone_id: int) -> ConsolePage:
    """The console of one clone. Raises NotFound, and NotAllowed for one who may not view its screen."""
    clone = clone_list.get(viewer, clone_id)
    console_rights.require_view(viewer, clone)
    return ConsolePage(
        clone=clone,
        waiting=_place(viewer, clone),
        looks_on=console_rights.is_onlooker(viewer, clone),
        onlookers=console_rights.onlookers(clone),
        no_file=viewer_files.impossible(viewer, clone),
        made_again=clone.decision.why if clone.decision else NOTHING,
        ahead=plan_notes.notes(db.session(), [clone]).get(clone.id, NOTHING),
    )


def _place(viewer: User, clone: Clone) -> Waiting | None:
    if clone.state not in COMING or clone.operation_id is None:
        return None
    return waiting.places(viewer, [clone.operation_id]).get(clone.operation_id)


def viewer_file(viewer: User, clone_id: int, operation_id: int) -> ViewerFile:
    """A viewer file that was requested for this clone. Raises NotFound."""
    clone = clone_list.get(viewer, clone_id)
    operation = operation_list.get(viewer, operation_id, "viewer_offer")
    if operation.params["clone_id"] != clone_id:
        raise NotFound(message("operations.not_found"))
    return ViewerFile(clone, operation)
