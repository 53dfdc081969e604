"""The errors that a use case raises: each carries a message for its reader."""

from collections.abc import Mapping

from ravada_web.messages import Message, MessageError, sentences


class RavadaError(MessageError):
    """Something was refused or failed; `message` says what happened, why, and what to do.

    `status` is the HTTP status that the web answers with; the command line prints the text and exits with 1.
    """

    status = 400


class InvalidInput(RavadaError):
    """A form's fields are wrong: `fields` maps a field's name to the reason shown beside it. Nothing was changed."""

    status = 422

    def __init__(self, fields: Mapping[str, Message | str]) -> None:
        super().__init__(sentences(*fields.values()))
        self.fields = dict(fields)


class NotAllowed(RavadaError):
    """The person has no right to do this to this object."""

    status = 403


class NotFound(RavadaError):
    """No such object, or none that this person may know of: the answer is the same."""

    status = 404


class Conflict(RavadaError):
    """The object's state does not allow it now."""

    status = 409


class QueueUnreachable(RavadaError):
    """Redis does not answer: nothing was written, the same request works once it is back."""

    status = 503


class CannotRun(RavadaError):
    """The product cannot run as it is set up here; starting it again will not help, the message says what will."""

    status = 500


class DatabaseBusy(RavadaError):
    """The database stayed locked for longer than we wait: nothing was written."""

    status = 503


class RowsLocked(DatabaseBusy):
    """Some rows alone are in others' hands: a lock on them was not to be had in time, or two waited for each other. The
    same works once they are done; what is about other rows works now."""


class DatabaseFull(DatabaseBusy):
    """The disk of the database is full: nothing was written, the same request works once there is room."""
