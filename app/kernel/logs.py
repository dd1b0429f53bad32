"""Structured logs to stderr: one line an event, readable on a terminal, JSON elsewhere; numbers never in full."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog

_NUMBER = re.compile(r"(?:\+|%2[Bb])[0-9]{5,11}(?=[0-9]{4})")
_LINK = re.compile(r"/(a|status|sign-in|voice)/[A-Za-z0-9_\-]{16,}")
_TOKEN = re.compile(r"\bmuster_[A-Za-z0-9_\-]{20,}")
_EMAIL = re.compile(r"([A-Za-z0-9])[A-Za-z0-9._%+\-]*@([A-Za-z0-9.\-]+)")
_URL_PASSWORD = re.compile(r"(://[^:/@\s]+):[^@/\s]+@")


def without_password(text: str) -> str:
    """Takes the password out of any address in a line that the operator asked for."""
    return _URL_PASSWORD.sub(r"\1:***@", text)


def redact(text: str) -> str:
    """Takes phone numbers, addresses, staff links, tokens and passwords out of a line."""
    text = without_password(text)
    text = _NUMBER.sub("+***", text)
    text = _LINK.sub(r"/\1/***", text)
    text = _TOKEN.sub("muster_***", text)
    return _EMAIL.sub(r"\1***@\2", text)


def _redacted(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def _redacted_line(_logger: Any, _method: str, line: Any) -> str:
    """The whole of it once more: what a traceback or a library's own field holds."""
    return redact(str(line))


def formatter(*, terminal: bool) -> structlog.stdlib.ProcessorFormatter:
    """Makes one line of a record: for people on a terminal, JSON elsewhere."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # The usual traceback for terminals shows every local variable, and colours numbers to pieces.
    console = structlog.dev.ConsoleRenderer(pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)
    last: list[structlog.typing.Processor] = (
        [_redacted, console, _redacted_line]
        if terminal
        else [structlog.processors.format_exc_info, _redacted, structlog.processors.JSONRenderer(), _redacted_line]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )


def set_up(*, level: int = logging.INFO) -> None:
    """Once a process. Our own loggers are `muster.*`; libraries speak from WARNING up."""
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(terminal=sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("muster").setLevel(level)
    # Its request log would hold full addresses.
    logging.getLogger("uvicorn.access").disabled = True
