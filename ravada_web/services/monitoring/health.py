"""What a check makes of a node: the rules by which it is up, degraded or down, and comes back.

SSH that answers neither over the link nor by a connection of its own is down. libvirt that does not answer is
degraded at once, libvirt that is slow after SLOW_RUN checks running. A trouble of that many checks is believed to be
over only after GOOD_RUN good ones; a shorter one, such as a restart of libvirtd, at the first.
"""

from ravada_web.messages import message
from ravada_web.models import Node, Observed
from ravada_web.services.monitoring.answers import Answer

SLOW_SECONDS = 2.0
SLOW_RUN, GOOD_RUN = 5, 10


def judge(node: Node, answer: Answer) -> None:
    """Write state and reason into the node's row, and how many checks of which kind ran in a row."""
    node.observed, node.reason = answer.observed, answer.reason
    if answer.observed == Observed.DOWN:
        # It comes back as a host that has just been started.
        node.slow_checks = node.good_checks = 0
    elif answer.libvirt_silent or (answer.libvirt_seconds or 0) > SLOW_SECONDS:
        _bad(node, answer)
    elif answer.libvirt_seconds is not None:
        _good(node)


def _bad(node: Node, answer: Answer) -> None:
    node.slow_checks, node.good_checks = node.slow_checks + 1, 0
    if node.slow_checks >= SLOW_RUN and not answer.libvirt_silent:
        node.observed = Observed.DEGRADED
        node.reason = message(
            "nodes.slow_libvirt",
            count=node.slow_checks,
            took_seconds=answer.libvirt_seconds,
            limit_seconds=SLOW_SECONDS,
        )


def _good(node: Node) -> None:
    if node.slow_checks < SLOW_RUN or node.good_checks + 1 >= GOOD_RUN:
        node.slow_checks = node.good_checks = 0
        return
    node.good_checks += 1
    node.observed = Observed.DEGRADED
    node.reason = message("nodes.recovering", bad=node.slow_checks, good=node.good_checks, needed=GOOD_RUN)
