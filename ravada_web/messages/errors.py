"""The base of all errors of ours that a person reads."""

from ravada_web.messages.message import Message, as_message


class MessageError(Exception):
    """Something was refused or failed: `message` says what, and `str()` words that for the present reader.

    A plain sentence is kept as it is.
    """

    def __init__(self, message: Message | str) -> None:
        self.message = as_message(message)
        super().__init__(self.message)

    def __str__(self) -> str:
        return str(self.message)
