"""From where the present request comes, for the audit log: set at the door, read where an event is recorded."""

from contextvars import ContextVar

# The browser's address; "" is the product itself, or its command line on the machine.
address: ContextVar[str] = ContextVar("address", default="")
