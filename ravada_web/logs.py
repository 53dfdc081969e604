"""How we log: one line an event, with the operation's or request's ids bound to it; no secret ever."""

import logging
import sys

import structlog


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
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for noisy in ("paramiko", "alembic", "rq.worker", "werkzeug", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
