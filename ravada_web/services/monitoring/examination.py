"""What one node is asked by a check, and what its answers mean: SSH first, then libvirt."""

import time
from contextlib import suppress
from functools import partial

import libvirt

from ravada_web.guard import guarded
from ravada_web.hypervisor import domains, starting
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.errors import HypervisorError, HypervisorUnreachable
from ravada_web.hypervisor.facts import read_active_pools, read_facts, read_networks
from ravada_web.hypervisor.health import read_health
from ravada_web.messages import Message, message
from ravada_web.models import Away, Observed
from ravada_web.remote import presence
from ravada_web.remote.errors import HostKeyChanged, NodeUnreachable, OwnFault, RemoteError, UnreadableAnswer
from ravada_web.remote.files import free_space
from ravada_web.remote.libvirt_daemon import look
from ravada_web.remote.links import link_is_up, renew_link
from ravada_web.remote.offers import read_offers
from ravada_web.remote.sampling import Sample, sample
from ravada_web.remote.target import Target, Workspace
from ravada_web.services.bases import replica_files
from ravada_web.services.monitoring.answers import Answer, Question

# Death must be known within 10 s of it: one interval of 5 s, and these two.
FIRST_SECONDS = 1.0
AGAIN_SECONDS = 2.0
# Longer than what counts as slow (health.SLOW_SECONDS): slow and silent are two things.
LIBVIRT_SECONDS = 4.0
ROUND_SECONDS = 8.0


def probe_node(question: Question, workspace: Workspace, answer: Answer) -> None:
    """Probe one node and complete its answer: SSH (once more at once, by a new connection, when it does not answer),
    then libvirt. A node whose answer makes no sense is asked for the rest all the same.
    """
    started = time.monotonic()
    with guarded(answer.degrade, node=question.target.name):
        try:
            answer.sample = _sample(question, workspace)
        except UnreadableAnswer:
            raise
        except RemoteError as error:
            answer.observed, answer.reason, answer.away = Observed.DOWN, error.message, manner_of(error)
            return
        answer.ssh_seconds = time.monotonic() - started
        answer.pinned_again = question.quarantined
        answer.findings = replica_files.compare(question.files, answer.sample.files)
        if answer.sample.nologin:
            answer.degrade(message("nodes.no_login"))
    if not link_is_up(workspace, question.target):
        answer.degrade(message("nodes.link_starting"))
        return
    query_libvirt(question, answer, workspace)
    _measure_new_pools(question, answer, workspace)
    if question.want_facts and answer.facts is not None:
        with suppress(RemoteError):  # what was seen before stays
            answer.offers = read_offers(workspace, question.target, question.firmware, deadline=AGAIN_SECONDS)


def manner_of(error: RemoteError) -> Away:
    """How a node is away whose SSH failed so. All but silence is an answer of something at its address, which is alive;
    what is wrong with this server says nothing of the node."""
    silent = isinstance(error, OwnFault) or (isinstance(error, NodeUnreachable) and error.code in _SILENCE)
    return Away.SILENT if silent else Away.REFUSES


_SILENCE = ("timeout", "unknown_address")


def _sample(question: Question, workspace: Workspace) -> Sample:
    """Ask over the link, then by a connection of its own where anything takes one; without a link twice, and once where
    the node is known to be down. A quarantined one is asked by a new connection alone: a link of before says nothing of
    the key that the host shows now. Raises what `sample` and `presence.fault` say.
    """
    where, down = question.target, question.before == Observed.DOWN
    files = replica_files.to_look_at(question.files)
    ask = partial(sample, workspace, where, question.paths, files=files)
    linked = not question.quarantined and link_is_up(workspace, where)
    if linked:
        try:
            return ask(deadline=FIRST_SECONDS)
        except HostKeyChanged:
            raise
        except RemoteError:
            pass  # two failures of different kinds make a death
    if not where.local and (fault := presence.fault(where, FIRST_SECONDS if down else AGAIN_SECONDS)):
        raise fault
    try:
        seen = ask(deadline=AGAIN_SECONDS, fresh=True)
    except HostKeyChanged:
        raise
    except RemoteError:
        if linked or down or question.quarantined:
            raise
        seen = ask(deadline=AGAIN_SECONDS, fresh=True)
    if linked and down:  # what its login may do was settled when the link was made, and has been set right since
        renew_link(workspace, where, after=0)
    return seen


def query_libvirt(question: Question, answer: Answer, workspace: Workspace) -> None:
    """Complete the answer by what libvirt says; one that does not answer degrades the node."""
    started = time.monotonic()
    try:
        with open_connection(question.uri, deadline=LIBVIRT_SECONDS, within=ROUND_SECONDS) as connection:
            _end_doomed(question, answer, connection)
            _start_again(question, answer, connection)
            answer.health = read_health(connection)
            answer.libvirt_seconds = time.monotonic() - started
            if question.want_facts or answer.observed != Observed.UP or _is_news(question, connection):
                answer.facts = read_facts(connection)
    except HypervisorError as error:
        answer.libvirt_silent = True
        answer.degrade(_why_silent(error, question.target, workspace))


def _end_doomed(question: Question, answer: Answer, connection: libvirt.virConnect) -> None:
    """Before all else: what was deleted or made again elsewhere while the node was away runs no longer."""
    if question.doomed:
        try:
            domains.end_all(connection, question.doomed)
        except HypervisorUnreachable:
            raise
        except HypervisorError as error:
            answer.degrade(message("nodes.double_runs", why=error.message))


def _start_again(question: Question, answer: Answer, connection: libvirt.virConnect) -> None:
    """On a host that was away: what our desktops stand on and was active before is started."""
    if question.before != Observed.UP:
        networks = starting.start_networks(connection, question.used_networks & set(question.networks))
        pools = starting.start_pools(connection, question.used_pools & set(question.pools))
        answer.started = tuple(sorted([*networks, *pools]))


def _measure_new_pools(question: Question, answer: Answer, workspace: Workspace) -> None:
    """Have the room of pools that turn out to be active with the same look at the node."""
    pools = answer.facts.pools if answer.facts else ()
    new = [pool.path for pool in pools if pool.active and pool.path not in question.paths]
    if new and answer.sample:
        with suppress(RemoteError):  # unknown room counts as none
            answer.sample.disks.update(free_space(workspace, question.target, new, deadline=AGAIN_SECONDS))


def _is_news(question: Question, connection: libvirt.virConnect) -> bool:
    """Whether a network or a pool was started or stopped since the facts were read."""
    return (read_networks(connection), read_active_pools(connection)) != (question.networks, question.pools)


def _why_silent(error: HypervisorError, target: Target, workspace: Workspace) -> Message:
    """Why libvirt did not answer, as seen on the host. Where only the link is to blame, it is made anew in time: its
    sshd may have been set right since.
    """
    silent = message("nodes.libvirt_silent", why=error.message)
    if target.local or not isinstance(error, HypervisorUnreachable) or error.hangs:
        return silent
    try:
        daemon = look(workspace, target)
    except RemoteError:
        return silent
    if daemon.answers:
        renew_link(workspace, target)
        return message("nodes.no_forwarding", user=target.user)
    if daemon.listening:
        return message("nodes.libvirt_silent", why=daemon.said or error.message)
    return message("nodes.libvirt_modular") if daemon.modular else message("nodes.libvirt_stopped")
