"""The links process: `python -m jobs.links`. Keeps one SSH connection to every trusted node."""

import signal
import threading
from types import FrameType

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ravada_web import create_app
from ravada_web.extensions import db
from ravada_web.remote.links import LinkKeeper
from ravada_web.services import links

log = structlog.get_logger()
LOOK_SECONDS = 0.5


def main() -> None:
    """Keep the links in step with the nodes' rows until told to stop, then close them all."""
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with create_app().app_context():
        keeper = LinkKeeper(links.workspace())
        try:
            wanted = []
            while not stopped.wait(LOOK_SECONDS):
                try:
                    wanted = links.linked()
                except SQLAlchemyError as error:
                    log.warning("nodes not read, keeping the links as they are", error=str(error))
                finally:
                    db.session.remove()
                keeper.reconcile(wanted)
        finally:
            keeper.close()


if __name__ == "__main__":
    main()
