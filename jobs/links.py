"""The links process, alone: `python -m jobs.links`. Keeps one SSH connection to every trusted node."""

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from jobs.loop import until_stopped
from ravada_web import create_app
from ravada_web.extensions import db
from ravada_web.remote.links import LinkKeeper
from ravada_web.remote.target import Target
from ravada_web.services.nodes import endpoints, link_states

log = structlog.get_logger()
READ_SECONDS = 0.5


def run(app: Flask) -> None:
    """Keep the links in step with the nodes' rows until told to stop, then close them all."""
    with app.app_context():
        keeper = LinkKeeper(endpoints.workspace())
        try:
            targets: list[Target] = []
            for _round in until_stopped(READ_SECONDS):
                targets = read_targets(targets)
                link_states.publish(keeper.reconcile(targets))
        finally:
            keeper.close()


def read_targets(before: list[Target]) -> list[Target]:
    """The nodes that are to have a link; the previous ones while the database cannot be read."""
    try:
        return endpoints.targets_to_link()
    except SQLAlchemyError as error:
        log.warning("nodes not read, keeping the links as they are", error=str(error))
        return before
    finally:
        db.session.remove()


if __name__ == "__main__":
    run(create_app())
