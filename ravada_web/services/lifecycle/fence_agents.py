"""Debian's fence agents: which are installed on this host, what they want to know, and what one says of a machine.

An agent is a program that takes lines of `name=value` on its standard input and says "Status: ON" or "Status: OFF". It
gets no argument and no environment, and is given up after a time of ours: some wait longer than their own limits.
"""

import json
import os
import re
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import quote, quote_plus
from xml.etree.ElementTree import Element

from ravada_web.errors import Conflict
from ravada_web.hypervisor import tree
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.messages import MessageError, message
from ravada_web.messages.foreign import lines, printable, word
from ravada_web.remote.pipes import TooMuch
from ravada_web.services.lifecycle import programs

FOLDER = Path("/usr/sbin")
# Of these, "off" is not the machine's power: a person's word, a ping that fails, a crash dump, an evacuation.
NOT_POWER = {"fence_ack_manual", "fence_crosslink", "fence_evacuate", "fence_heuristics_ping", "fence_kdump"}
NAME = re.compile(r"fence_[a-z0-9_]{1,50}")
OPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST_OUTPUT, MOST_OPTIONS, LONGEST = 1 << 18, 200, 400
DESCRIBE_SECONDS, STATUS_SECONDS, OFF_SECONDS, ON_SECONDS = 5.0, 30.0, 75.0, 75.0

# Who may set a node's options is not root on this server: none that run a program, read or write a file of its, or say
# more than the log should have. Nor any that make "off" of what is not known.
_OURS = {"action", "version", "help", "quiet", "verbose", "verbose_level", "separator", "plug_separator", "delay"}
_OURS |= {"debug", "logfile", "boto3_debug", "missing_as_off", "ssh_options", "openrc", "kubeconfig", "exec", "cloud"}
_OURS |= {"runonfail", "runonwarn", "disable_timeout", "suppress_errors", "stackdriver_logging", "no_shared_storage"}
_OURS_TOO = re.compile(r"(debug|.*[_-](script|path|file)$)", re.IGNORECASE)
_SECRET = re.compile(r"passw|secret|token|api_?key|access_key|community|hexadecimal_kg", re.IGNORECASE)
_KINDS = ("string", "integer", "second", "boolean", "select")
_STATUS = re.compile(r"Status: (ON|OFF)")

Power = Literal["on", "off"]


class FenceFailed(MessageError):
    """An agent did not do what it was asked, or did not say what is the case; `message` says why."""


@dataclass(frozen=True)
class Option:
    """What an agent wants to know: `kind` is string, integer, second, boolean or select; `help` is its own English."""

    name: str
    kind: str
    default: str
    help: str
    required: bool
    secret: bool
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Agent:
    """An agent as it describes itself."""

    name: str
    title: str
    options: tuple[Option, ...]


def installed() -> list[str]:
    """The names of this host's agents that switch a machine's power."""
    found = (path.name for path in FOLDER.glob("fence_*") if os.access(path, os.X_OK))
    return sorted(name for name in found if NAME.fullmatch(name) and name not in NOT_POWER)


def describe(name: str) -> Agent:
    """What the agent wants to know. Raises Conflict for one that is not here, or cannot be used to turn a node off."""
    if name not in installed():
        raise Conflict(message("fencing.not_installed", agent=printable(name)))
    path = FOLDER / name
    try:
        return _described(path, path.stat().st_mtime_ns)
    except (FenceFailed, HypervisorError) as error:
        raise Conflict(message("fencing.unusable", agent=name, why=error.message)) from error


def ask(name: str, options: Mapping[str, str]) -> Power:
    """Whether the machine is on. Raises FenceFailed where the agent does not say so, in word and in status alike."""
    status, output, said = _run(name, {**options, "action": "status"}, STATUS_SECONDS)
    # Status 2 alone is also what Python ends with that cannot read its program.
    spoken = {found[1].lower() for line in lines(output, LONGEST) if (found := _STATUS.search(line))}
    for power, expected in (("on", 0), ("off", 2)):
        if status == expected and spoken == {power}:
            return power  # type: ignore[return-value]
    raise FenceFailed(message("fencing.unclear", agent=name, status=status, said=said))


def turn_off(name: str, options: Mapping[str, str]) -> None:
    """Have the machine turned off. Raises FenceFailed; whether it is off is another question."""
    status, _output, said = _run(name, {**options, "action": "off"}, OFF_SECONDS)
    if status != 0:
        raise FenceFailed(message("fencing.not_turned_off", agent=name, status=status, said=said))


def turn_on(name: str, options: Mapping[str, str]) -> None:
    """Have the machine turned on, which changes nothing for one that is. Raises FenceFailed."""
    status, _output, said = _run(name, {**options, "action": "on"}, ON_SECONDS)
    if status != 0:
        raise FenceFailed(message("fencing.not_turned_on", agent=name, status=status, said=said))


@lru_cache(maxsize=128)
def _described(path: Path, _changed: int) -> Agent:
    status, output, said = _run(path.name, {"action": "metadata"}, DESCRIBE_SECONDS)
    if status != 0:
        raise FenceFailed(message("fencing.unclear", agent=path.name, status=status, said=said))
    root = tree.parse(output.decode(errors="replace"), "resource-agent")
    actions = {element.get("name") for element in root.iterfind("./actions/action")}
    # What cannot start a machine again does not switch its power: it shuts ports or disks.
    if not {"off", "status", "reboot"} <= actions:
        raise FenceFailed(message("fencing.no_power"))
    described = [_option(element) for element in root.findall("./parameters/parameter")[:MOST_OPTIONS]]
    options = tuple(option for option in described if option is not None)
    return Agent(path.name, printable(root.get("shortdesc", "")), options)


def _option(parameter: Element) -> Option | None:
    name = parameter.get("name", "")
    ours = name.replace("-", "_") in _OURS or (_OURS_TOO.fullmatch(name) and name != "identity_file")
    if parameter.get("deprecated") == "1" or not OPTION.fullmatch(name) or ours:
        return None
    content = parameter.find("content")
    attributes = content.attrib if content is not None else {}
    choices = [printable(each.get("value", "")) for each in parameter.iterfind("./content/option")]
    return Option(
        name=name,
        kind=kind if (kind := word(attributes.get("type"))) in _KINDS else "string",
        default=printable(attributes.get("default", "")),
        help=printable(parameter.findtext("shortdesc") or ""),
        required=parameter.get("required") == "1",
        secret=bool(_SECRET.search(name)),
        choices=tuple(choices),
    )


def _run(name: str, options: Mapping[str, str], seconds: float) -> tuple[int, bytes, str]:
    """The agent's status, its output, and the end of what it said, without any of the options' secrets.

    Raises FenceFailed where it is not here, is too slow or says too much.
    """
    entered = "".join(f"{key}={value}\n" for key, value in options.items()).encode()
    secrets = [value for key, value in options.items() if value and _SECRET.search(key)]
    path = FOLDER / name
    if not os.access(path, os.X_OK):
        raise FenceFailed(message("fencing.not_installed", agent=name))
    try:
        status, output, errors = programs.ended([path], entered, seconds, MOST_OUTPUT, {})
    except OSError as error:
        raise FenceFailed(message("fencing.not_installed", agent=name)) from error
    except subprocess.TimeoutExpired as error:
        raise FenceFailed(message("fencing.late", agent=name, deadline_seconds=seconds)) from error
    except TooMuch as error:
        raise FenceFailed(message("fencing.too_much", agent=name)) from error
    said = errors.strip() or output
    for secret in sorted({form for value in secrets for form in _forms(value)}, key=len, reverse=True):
        said = said.replace(secret, b"***")
    return status, output, printable(said)


def _forms(secret: str) -> set[bytes]:
    """A secret as it may be said: as it is, in a URL, in Python's or JSON's quotes, and by base64."""
    in_urls = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    forms = {secret, *in_urls, repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    return {form.encode() for form in forms} | {b64encode(secret.encode()).rstrip(b"=")}
