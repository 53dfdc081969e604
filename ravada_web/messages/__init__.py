"""What the product says: a kind and its figures, worded in the reader's language where it is shown.

Here belong the kinds' texts, one file per topic, and how figures are formatted; nothing that knows rows or requests.
"""

from ravada_web.messages.errors import MessageError
from ravada_web.messages.message import NOTHING, Figure, Message, as_message, message, sentences, text

__all__ = ["NOTHING", "Figure", "Message", "MessageError", "as_message", "message", "sentences", "text"]
