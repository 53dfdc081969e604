"""What the helper is asked: a line of JSON, of somebody who may be hostile. Pure."""

import json
from dataclasses import dataclass

# Whatever declares commands, so that they are known.
from ravada_web.remote import (  # noqa: F401
    files,
    foreign_files,
    foreign_images,
    images,
    offers,
    overlays,
    passage,
    sampling,
    spice,
    survey,
    tpm,
    transfer,
)
from ravada_web.remote.verbs import VERBS, Call

# In bytes, its newline included: the paths of some thousand files.
LONGEST_REQUEST = 1 << 20
MOST_ARGUMENTS = 4096
# The words of a command, as the system takes them.
LONGEST_WORD, MOST_WORDS_BYTES = (1 << 17) - 1, 1 << 20
MOST_SECONDS = 7 * 86400.0


class Refused(Exception):
    """It is not done; the text says why."""


@dataclass(frozen=True)
class Request:
    """A command, and after how many seconds it is ended at the latest."""

    call: Call
    seconds: float | None


def parse(raw: bytes) -> Request:
    """Read a request. Raises Refused."""
    try:
        said = json.loads(raw)
        if not isinstance(said, dict) or said.keys() != {"verb", "arguments", "seconds"}:
            raise ValueError("not a request")
        return Request(_call(said["verb"], said["arguments"]), _seconds(said["seconds"]))
    except (ValueError, RecursionError) as error:
        raise Refused(f"not a request of this kind: {error}") from error


def _call(name: object, arguments: object) -> Call:
    verb = VERBS.get(name) if isinstance(name, str) else None
    if verb is None:
        raise ValueError(f"no such command: {name!r}")
    if not isinstance(arguments, list) or len(arguments) > MOST_ARGUMENTS:
        raise ValueError("not a list of arguments, or one without end")
    if not all(type(argument) in (str, int) for argument in arguments):
        raise ValueError("arguments are texts and numbers")
    call = verb(*arguments)
    words = [word.encode("utf-8", "surrogateescape") for word in call]
    if max(map(len, words), default=0) > LONGEST_WORD or sum(map(len, words)) > MOST_WORDS_BYTES:
        raise ValueError("longer than a command may be")
    return call


def _seconds(said: object) -> float | None:
    if said is None:
        return None
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not 0 < said <= MOST_SECONDS:
        raise ValueError(f"not a time: {said!r}")
    return float(said)
