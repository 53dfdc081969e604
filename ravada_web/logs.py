"""How we log: one line an event, with the operation's or request's ids bound to it; no secret ever.

What is logged may be a node's words: nothing in it can look like a line of its own, or move a terminal's cursor.
"""

import logging
import sys
import traceback
from typing import TextIO

import structlog

LONGEST_TEXT = 4_000
LONGEST_TRACEBACK = 16_000


def configure_logs() -> None:
    """Send structlog and the standard library's logging through one renderer to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    # Plain tracebacks: the richer ones show the values of variables, and with them passwords and sessions.
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_traceback)
    last: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        _clean_texts,
        renderer,
    ]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=last, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for noisy in ("paramiko", "alembic", "rq.worker", "werkzeug", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _clean_texts(
    _logger: structlog.typing.WrappedLogger, _method: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {name: _clean(value)[:LONGEST_TEXT] if isinstance(value, str) else value for name, value in line.items()}


def _write_traceback(log: TextIO, error: structlog.typing.ExcInfo) -> None:
    """Plain, its lines indented; the middle of a long one is left out."""
    text = "".join(traceback.format_exception(*error))
    if len(text) > LONGEST_TRACEBACK:
        text = f"{text[: LONGEST_TRACEBACK // 2]}\n…\n{text[-LONGEST_TRACEBACK // 2 :]}"
    log.writelines(f"\n    {_clean(line)}" for line in text.splitlines())


def _clean(text: str) -> str:
    """The text on one line, and without what a terminal takes for a command."""
    return "".join(char if char.isprintable() else " " for char in text)
