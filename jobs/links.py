"""The links process, alone: `python -m jobs.links`. Keeps one SSH connection to every trusted node, and passes displays
on to the gateway."""

import socket
import threading
from collections.abc import Mapping, Sequence

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from jobs.loop import until_stopped
from ravada_web import create_app
from ravada_web.clock import now
from ravada_web.config import settings
from ravada_web.extensions import db, log_kept
from ravada_web.guard import EVERYBODYS
from ravada_web.remote.links import LinkKeeper, LinkState
from ravada_web.remote.target import Target
from ravada_web.services.consoles import display_requests
from ravada_web.services.monitoring import links
from ravada_web.services.moves import move_work
from ravada_web.services.nodes import endpoints, link_states
from ravada_web.services.nodes.endpoints import Linked

log = structlog.get_logger()
READ_SECONDS = 0.5
# Nodes that hang hold so many requests for displays up, and none beyond.
AT_ONCE = 6


def run(app: Flask) -> None:
    """Keep the links in step with the nodes' rows until told to stop, then close them all."""
    with app.app_context(), log_kept():
        keeper, began = LinkKeeper(endpoints.workspace()), now().timestamp()
        pass_displays_on(app, display_requests.listen(settings().displays_socket))
        try:
            wanted, carrying, before = Linked([], {}), set[int](), dict[int, LinkState]()
            for _round in until_stopped(READ_SECONDS):
                wanted, carrying = read_targets(wanted, carrying)
                refused = {node_id: LinkState(False, began, why) for node_id, why in wanted.refused.items()}
                states = keeper.reconcile(wanted.targets, carrying)
                link_states.publish(states | refused)
                tell_changes(app, wanted.targets, before, states)
                before = states
        finally:
            keeper.close()


def read_targets(before: Linked, carrying: set[int]) -> tuple[Linked, set[int]]:
    """The nodes that are to have a link, and those that are to have a carrier; the previous ones while the database
    cannot be read."""
    try:
        return endpoints.targets_to_link(), move_work.nodes_at_work()
    except SQLAlchemyError as error:
        log.warning("nodes not read, keeping the links as they are", error=str(error))
        return before, carrying
    finally:
        db.session.remove()


def tell_changes(
    app: Flask, targets: Sequence[Target], before: Mapping[int, LinkState], after: Mapping[int, LinkState]
) -> None:
    """Have the nodes looked at, from a thread that waits for them, whose links have just broken or come up."""
    was_up = {node_id for node_id, state in before.items() if state.up}
    broken = [target for target in targets if target.node_id in was_up and not after[target.node_id].up]
    # Those of a process that has only just begun were not down before it.
    came_up = [node_id for node_id, state in after.items() if state.up and node_id in before and node_id not in was_up]

    def tell() -> None:
        with app.app_context():
            try:
                if broken:
                    links.broke(broken)
                if came_up:
                    links.came_up(came_up)
            except EVERYBODYS as error:
                log.warning("links not told of, the next checks will see", error=str(error))
            finally:
                db.session.remove()

    if broken or came_up:
        threading.Thread(target=tell, name="changes", daemon=True).start()


def pass_displays_on(app: Flask, listening: socket.socket) -> None:
    """Answer the gateway's requests, from threads that live as long as this process."""

    def serve() -> None:
        while True:
            with listening.accept()[0] as plug, app.app_context():
                try:
                    display_requests.answer(plug)
                except EVERYBODYS as error:
                    log.warning("display not passed on", error=str(error))
                finally:
                    db.session.remove()

    for number in range(AT_ONCE):
        threading.Thread(target=serve, name=f"displays {number}", daemon=True).start()


if __name__ == "__main__":
    run(create_app())
