"""A command past the far user's login shell, whichever that is: how it is written for it, and where its output begins.

sshd gives the command as one line to that shell: bash, but also tcsh, fish, zsh or a script of somebody's. The line
uses only what all of them read alike, and has `sh` do the rest. What the shell says by itself, such as a greeting in
root's .bashrc, comes before a mark, on both outputs.
"""

import shlex
from collections.abc import Sequence

# No greeting has it. A shell that traces what it runs shows the line below, in which it is written otherwise.
MARK = b"\x1eravada\x1e\n"
# A greeting may be as long.
LONGEST_GREETING = 65536
_SAY_MARK = r"printf '\036ravada\036\n'"
_DECODE = 'eval "$(printf %b "$@")"'
# Old csh limits the length of a word.
_WORD = 800


def line_for(argv: Sequence[str]) -> str:
    """One line for any login shell that has `sh` say MARK on both outputs, then become the command."""
    script = f"{_SAY_MARK}; {_SAY_MARK} >&2; exec {shlex.join(argv)}"
    encoded = [_encoded(byte) for byte in script.encode(errors="surrogateescape")]
    words = ["".join(encoded[at : at + _WORD]) for at in range(0, len(encoded), _WORD)]
    return " ".join(["exec sh -c", f"'{_DECODE}'", "sh", *(f"'{word}'" for word in words)])


def _encoded(byte: int) -> str:
    """A byte inside single quotes: as it is, or as an escape of printf's, its backslash outside of the quotes.

    csh looks for "!" within quotes and takes no line's end there, fish takes backslashes for escapes.
    """
    plain = 32 <= byte < 127 and chr(byte) not in "'\\!"
    return chr(byte) if plain else f"'\\\\'0{byte:03o}"


def after_mark(output: bytes) -> bytes | None:
    """What follows the mark; None where there is none (yet)."""
    _greeting, mark, rest = output.partition(MARK)
    return rest if mark else None
