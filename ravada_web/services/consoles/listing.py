"""What the page of a console shows beside the screen."""

from collections.abc import Sequence
from dataclasses import dataclass

from ravada_web.errors import NotFound
from ravada_web.messages import Message, message
from ravada_web.models import Clone, Console, Operation, User
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.consoles import rights as console_rights
from ravada_web.services.consoles import viewer_files
from ravada_web.services.operations import listing as operation_list


@dataclass(frozen=True)
class ConsolePage:
    """A clone, whether the viewer only looks on, who looks on now, and why there is no viewer file, if so."""

    clone: Clone
    looks_on: bool
    onlookers: Sequence[Console]
    no_file: Message


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
        looks_on=console_rights.is_onlooker(viewer, clone),
        onlookers=console_rights.onlookers(clone),
        no_file=viewer_files.impossible(viewer, clone),
    )


def viewer_file(viewer: User, clone_id: int, operation_id: int) -> ViewerFile:
    """A viewer file that was requested for this clone. Raises NotFound."""
    clone = clone_list.get(viewer, clone_id)
    operation = operation_list.get(viewer, operation_id, "viewer_offer")
    if operation.params["clone_id"] != clone_id:
        raise NotFound(message("operations.not_found"))
    return ViewerFile(clone, operation)
