"""The commands that are run on nodes: each has a name, and arguments of known kinds.

A node behind SSH is told the words that this makes. On this very host the helper, which is root, is told the name and
the arguments alone: it makes the words itself, and asks libvirt whether a path is one of those that it may touch.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count

from ravada_web.messages.foreign import LONGEST_NAME
from ravada_web.remote.target import checked_path

Argument = str | int
MOST_NUMBER = (1 << 63) - 1
_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Place(Enum):
    """Where a path may lead on this very host."""

    FILE = auto()  # below the folder of a pool
    IMAGE = auto()  # the same, or a file that a virtual machine names as its own; never opened through a link
    FOLDER = auto()  # the folder of a pool, or below
    OFFER = auto()  # what comes with the host's packages, or is in a pool; only whether it is there is told
    DISPLAY = auto()  # the socket of a running machine's display


@dataclass(frozen=True)
class Kind:
    """A kind of argument: `read` makes its word of it, and raises ValueError for what is none of the kind.

    One that may not be touched is refused, or, with `optional`, treated as one that is not there.
    """

    read: Callable[[Argument], str]
    place: Place | None = None
    optional: bool = False


class Call(tuple[str, ...]):
    """A command's words, and which command it is with what."""

    verb: "Verb"
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Verb:
    """A command: its words, with the kind of an argument in the place of each, and the kind of all further ones."""

    name: str
    words: tuple[str | Kind, ...]
    each: Kind | None = None

    def kinds(self, number: int) -> list[Kind]:
        """The kinds of so many arguments. Raises ValueError where it takes less or more."""
        kinds = [word for word in self.words if isinstance(word, Kind)]
        more = number - len(kinds)
        if more < 0 or (more and self.each is None):
            raise ValueError(f"{self.name} takes {len(kinds)} arguments, not {number}")
        return kinds + [self.each] * more if self.each else kinds

    def __call__(self, *arguments: Argument) -> Call:
        """The command with these. Raises ValueError for an argument that is not of its kind."""
        read = [kind.read(argument) for kind, argument in zip(self.kinds(len(arguments)), arguments, strict=True)]
        at = count()
        words = [read[next(at)] if isinstance(word, Kind) else word for word in self.words]
        call = Call([*words, *read[next(at) :]])
        call.verb, call.arguments = self, arguments
        return call


VERBS: dict[str, Verb] = {}


def known(verb: Verb) -> Verb:
    """Have the helper know the command, by its name, which is no other's."""
    if VERBS.setdefault(verb.name, verb) is not verb:
        raise ValueError(f"two commands are called {verb.name}")
    return verb


def script(name: str, text: str, *kinds: Kind, each: Kind | None = None) -> Verb:
    """A shell's script that the helper knows, its arguments being "$1", "$2", …"""
    return known(Verb(name, ("sh", "-c", text, "sh", *kinds), each))


def _path(path: Argument) -> str:
    if not isinstance(path, str):
        raise ValueError(f"not a path: {path!r}")
    return checked_path(path)


def _name(name: Argument) -> str:
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"not a file's name: {name!r}")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"too long for a file's name: {name!r}")
    return name


def _number(number: Argument) -> str:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MOST_NUMBER:
        raise ValueError(f"not a number of this kind: {number!r}")
    return str(number)


def matching(pattern: re.Pattern[str]) -> Callable[[Argument], str]:
    """Reads a text that is wholly of a pattern."""

    def read(text: Argument) -> str:
        if not isinstance(text, str) or not pattern.fullmatch(text):
            raise ValueError(f"not a text of this kind: {text!r}")
        return text

    return read


FILE, IMAGE, FOLDER = (Kind(_path, place) for place in (Place.FILE, Place.IMAGE, Place.FOLDER))
# Those of which a command says nothing where they are not there.
SEEN, OFFERED = Kind(_path, Place.FOLDER, optional=True), Kind(_path, Place.OFFER, optional=True)
NAME, NUMBER = Kind(_name), Kind(_number)
TOKEN, DIGEST = Kind(matching(_TOKEN)), Kind(matching(_DIGEST))
DISPLAY = known(Verb("display", (Kind(_path, Place.DISPLAY),)))
