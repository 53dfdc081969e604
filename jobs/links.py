"""The links process, alone: `python -m jobs.links`. Keeps one SSH connection to every trusted node."""

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from jobs.loop import until_stopped
from ravada_web import create_app
from ravada_web.clock import now
from ravada_web.extensions import db, log_kept
from ravada_web.remote.links import LinkKeeper, LinkState
from ravada_web.services.nodes import endpoints, link_states
from ravada_web.services.nodes.endpoints import Linked

log = structlog.get_logger()
READ_SECONDS = 0.5


def run(app: Flask) -> None:
    """Keep the links in step with the nodes' rows until told to stop, then close them all."""
    with app.app_context(), log_kept():
        keeper, began = LinkKeeper(endpoints.workspace()), now().timestamp()
        try:
            wanted = Linked([], {})
            for _round in until_stopped(READ_SECONDS):
                wanted = read_targets(wanted)
                refused = {node_id: LinkState(False, began, why) for node_id, why in wanted.refused.items()}
                link_states.publish(keeper.reconcile(wanted.targets) | refused)
        finally:
            keeper.close()


def read_targets(before: Linked) -> Linked:
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
