"""Structured logs to stderr: one line an event, readable on a terminal, JSON elsewhere; numbers never in full."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog

_NUMBER = re.compile(r"\+[0-9]{5,11}(?=[0-9]{4})")
_LINK = re.compile(r"/(a|status|sign-in|voice)/[A-Za-z0-9_\-]{16,}")
_EMAIL = re.compile(r"([A-Za-z0-9])[A-Za-z0-9._%+\-]*@([A-Za-z0-9.\-]+)")
_URL_PASSWORD = re.compile(r"(://[^:/@\s]+):[^@/\s]+@")


def without_password(text: str) -> str:
    """Takes the password out of any address in a line that the operator asked for."""
    return _URL_PASSWORD.sub(r"\1:***@", text)


def redact(text: str) -> str:
    """Takes phone numbers, addresses, staff links and passwords out of a line."""
    text = without_password(text)
    text = _NUMBER.sub("+***", text)
    text = _LINK.sub(r"/\1/***", text)
    return _EMAIL.sub(r"\1***@\2", text)


def _redacted(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def set_up(*, level: int = logging.INFO) -> None:
    """Once a process. Our own loggers are `muster.*`; libraries speak from WARNING up."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    terminal = sys.stderr.isatty()
    last: list[structlog.typing.Processor] = (
        [_redacted, structlog.dev.ConsoleRenderer(pad_event_to=0)]
        if terminal
        else [structlog.processors.format_exc_info, _redacted, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("muster").setLevel(level)
    # Its request log would hold full addresses.
    logging.getLogger("uvicorn.access").disabled = True
