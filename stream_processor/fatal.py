"""The way out when going on could lose or double something: at once, loudly, with nothing committed on the way."""

import os
import sys
from typing import Any, Final, NoReturn

import structlog

log = structlog.get_logger(__name__)

EXIT_CODE: Final = 70
"""EX_SOFTWARE: the supervisor starts the process again and the log is replayed from the last commit."""


def exit_now(reason: str, error: BaseException | None = None, **context: Any) -> NoReturn:
    """End the process without running anything else: no acknowledgement, no commit, no clean-up."""
    log.critical("stopping_at_once", reason=reason, exc_info=error, **context)
    _end(EXIT_CODE)


def leave_now(reason: str) -> NoReturn:
    """End a process that was told to end, and waits for something that may never come."""
    log.warning("leaving_at_once", reason=reason)
    _end(0)


def _end(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
