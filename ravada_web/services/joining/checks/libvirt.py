"""The checks of what libvirt offers: itself, pools, networks, what bases need, and the processor."""

from collections.abc import Sequence

from ravada_web.hypervisor.facts import PoolFacts
from ravada_web.messages import NOTHING, Message, as_message, message, sentences
from ravada_web.messages.needs import how_message, need_message
from ravada_web.models import Access
from ravada_web.needs import Need, lacking
from ravada_web.remote.libvirt_daemon import LibvirtDaemon
from ravada_web.services.joining.checks import commands
from ravada_web.services.joining.checks.findings import Finding, Seen
from ravada_web.services.nodes.offers import offered

SLOW_SECONDS = 2.0


def libvirt(seen: Seen) -> Finding:
    """libvirt answers, by the way that it will be used."""
    if seen.facts is not None:
        answers = message(
            "joining.libvirt",
            libvirt=seen.facts.libvirt_version,
            qemu=seen.facts.qemu_version,
            answer_ms=seen.libvirt_seconds * 1000,
        )
        return Finding("libvirt", "warn" if seen.libvirt_seconds > SLOW_SECONDS else "pass", answers)
    return _without_answer(seen)


def _without_answer(seen: Seen) -> Finding:
    """Why it does not: each cause where it was seen, with the remedy of that one."""
    daemon, start = seen.survey.libvirt, commands.start_libvirt(seen.survey)
    if not daemon.installed:
        install = commands.install(seen.survey, "libvirt")
        remedy = f"{install} && {start}" if install else ""
        return _fails(message("joining.libvirt_missing"), remedy)
    if not daemon.listening:
        return _fails(_not_listening(daemon), start)
    if seen.access == Access.SUDO and not seen.socket_open:
        return _fails(message("joining.libvirt_closed", user=seen.user), f"usermod -aG libvirt {seen.user}")
    if seen.libvirt_hangs:
        restart = commands.restart_libvirt(seen.survey)
        return Finding("libvirt", "fail", message("joining.libvirt_hangs"), restart, applied=False)
    if not daemon.answers:
        return _fails(message("joining.libvirt_silent", why=daemon.said or seen.libvirt_error))
    if seen.survey.forwards is False:
        return _fails(message("joining.libvirt_no_forwarding"), commands.forward(seen.user, seen.source))
    return _fails(message("joining.libvirt_not_reached", user=seen.user, why=seen.libvirt_error))


def _fails(text: Message, remedy: str = "") -> Finding:
    return Finding("libvirt", "fail", text, remedy)


def _not_listening(daemon: LibvirtDaemon) -> Message:
    if daemon.modular:
        return message("joining.libvirt_modular")
    if daemon.running:
        return message("joining.libvirt_no_socket")
    return message("joining.libvirt_stopped")


def pools(seen: Seen) -> list[Finding]:
    """The master's pools are there too, with the same folders, and active; and what is free in them. A host without
    libvirt has none; of one that does not answer, none is known."""
    needed = dict(seen.needs.pools) or {"default": "/var/lib/libvirt/images"}
    if seen.facts is None and not _is_bare(seen):
        return [
            Finding(f"pool:{name}", "warn", message("joining.pool_unknown", pool=name, path=path))
            for name, path in sorted(needed.items())
        ]
    own = {pool.name: pool for pool in (seen.facts.pools if seen.facts else ())}
    return [_pool(seen, own.get(name), name, path) for name, path in sorted(needed.items())]


def _is_bare(seen: Seen) -> bool:
    """Whether libvirt is yet to be installed, by a command that we have."""
    return not seen.survey.libvirt.installed and bool(commands.install(seen.survey, "libvirt"))


def _pool(seen: Seen, pool: PoolFacts | None, name: str, path: str) -> Finding:
    code = f"pool:{name}"
    if pool is None:
        missing = message("storage.pool_missing", pool=name, path=path)
        return Finding(code, "fail", missing, commands.make_pool(name, path))
    if pool.path != path:
        elsewhere = message("storage.pool_elsewhere", pool=name, here=pool.path, there=path)
        move = commands.move_pool(name, path)
        return Finding(code, "fail", sentences(elsewhere, message("joining.pool_move")), move, applied=False)
    if not pool.active:
        return Finding(code, "fail", message("joining.pool_inactive", pool=name), commands.start_pool(name))
    return _room(seen, code, name, path)


def _room(seen: Seen, code: str, name: str, path: str) -> Finding:
    if path not in seen.sample.disks:
        return Finding(code, "fail", message("joining.pool_no_folder", pool=name, path=path))
    total, free = (size >> 20 for size in seen.sample.disks[path])
    figures = message("joining.pool", pool=name, path=path, free_mib=free, total_mib=total)
    floor = seen.needs.disk_floor_mib
    if free <= floor:
        return Finding(code, "fail", sentences(figures, message("joining.pool_full", floor_mib=floor)))
    return Finding(code, "pass", figures)


def networks(seen: Seen) -> list[Finding]:
    """The networks that clones are plugged to are active; none is known of a libvirt that does not answer."""
    named = {need.value: bases for need, bases in seen.needs.of_bases.items() if need.kind == "network"}
    needed = named or {"default": []}
    if seen.facts is None and not _is_bare(seen):
        return [
            Finding(f"network:{name}", "warn", message("joining.network_unknown", network=name))
            for name in sorted(needed)
        ]
    active = seen.facts.networks if seen.facts else ()
    return [_network(name, bases, name in active) for name, bases in sorted(needed.items())]


def _network(name: str, bases: Sequence[str], active: bool) -> Finding:
    code = f"network:{name}"
    if active:
        return Finding(code, "pass", message("joining.network", network=name))
    needed_by = message("joining.needed_by", bases=bases) if bases else NOTHING
    inactive = sentences(message("joining.network_inactive", network=name), needed_by)
    return Finding(code, "fail", inactive, commands.start_network(name))


def needs(seen: Seen) -> list[Finding]:
    """What bases need of a node, networks apart: of each thing that is not here, which bases cannot run for want of
    it."""
    if seen.facts is None:
        return []
    missing = lacking(seen.needs.of_bases, offered(seen.facts, seen.host))
    lines = [_missing(seen, need) for need in sorted(missing) if need.kind != "network"]
    return lines or [Finding("needs", "pass", message("joining.needs"))]


def _missing(seen: Seen, need: Need) -> Finding:
    what = need_message(need.kind, need.value)
    said = message("joining.cannot_run", bases=seen.needs.of_bases[need], missing=what)
    command = commands.give(seen.survey, need)
    how = NOTHING if command else how_message(need.kind, need.value)
    return Finding(f"need:{need.kind}:{need.value}", "warn", sentences(said, how), command)


def processor(seen: Seen) -> Finding:
    """Whether running clones could move between it and the others."""
    own = seen.survey.processor
    model: Message | str = own or message("joining.processor_unknown")
    others = sorted({peer.processor for peer in seen.peers if peer.processor and peer.processor != own})
    if others:
        return Finding("processor", "warn", message("joining.processor_differs", model=model, others=others))
    if seen.peers:
        return Finding("processor", "pass", message("joining.processor_same", model=model))
    return Finding("processor", "pass", as_message(model))
