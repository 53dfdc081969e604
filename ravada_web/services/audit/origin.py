"""Where the present request comes from, for the audit log: set by the web or the gateway, read where an event is
recorded.
"""

from contextvars import ContextVar

# The browser's address; "" is the product itself, or its command line on the machine.
address: ContextVar[str] = ContextVar("address", default="")
