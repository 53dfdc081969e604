"""A job that claims its operation and then never ends, for tests that kill workers."""

import threading

from ravada_web.services.operations.execution import Handle, run


def hang(operation_id: int, attempt: int) -> None:
    """Claim, and wait for ever."""

    def wait(_handle: Handle) -> None:
        threading.Event().wait()

    run(operation_id, attempt, wait)
