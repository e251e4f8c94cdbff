"""Logs are events on stderr: one name each, listed in docs/reference/events.md.

Pretty for a terminal, JSON for machines. What guests and peers wrote is made inert in both.
"""

import os
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

from akshi_mesh.config.model import LogLevel, TelemetryConfig
from akshi_mesh.inert import inert

_LEVELS: dict[LogLevel, int] = {"trace": 0, "debug": 10, "info": 20, "warn": 30, "error": 40}
EXCEPTION_CHARS_MAX = 16_384
VALUE_CHARS_MAX = 2_048  # a stranger's text must not fill the disk


def configure_logs(telemetry: TelemetryConfig) -> None:
    """Set up structlog for this process. Call it once, before the node starts."""
    as_json = telemetry.log_format == "json"
    renderer: Any = structlog.processors.JSONRenderer() if as_json else _line
    before: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=as_json),
        structlog.processors.format_exc_info,
        _inert_values,
    ]
    structlog.configure(
        processors=[*before, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[telemetry.log_level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, Outliving(sys.stderr))),
        cache_logger_on_first_use=True,
    )


class Outliving:
    """A stream whose reader may go: a node that nobody listens to any more works on."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream  # None: it was closed before we began

    def write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
        except BrokenPipeError:
            hush(self._stream)

    def flush(self) -> None:
        if self._stream is None:
            return
        try:
            self._stream.flush()
        except BrokenPipeError:
            hush(self._stream)


def hush(stream: TextIO) -> None:
    """From now on what is written to `stream`, or waits in it, goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _inert_values(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Any:
    """Every text value without control characters, and short; bytes in hex."""
    for key, value in event.items():
        if isinstance(value, bytes):
            event[key] = value.hex()
        elif isinstance(value, str):
            if key == "exception":  # ours, and its end says what happened
                event[key] = inert(value[-EXCEPTION_CHARS_MAX:], lines=True)
            else:
                cut = value if len(value) <= VALUE_CHARS_MAX else value[:VALUE_CHARS_MAX] + "…"
                event[key] = inert(cut)
    return event


def _line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """``2026-11-22T04:31:07 info link.up peer=did:key:…``"""
    at = str(event.pop("timestamp"))[:19]
    level, name = event.pop("level"), event.pop("event")
    exception = event.pop("exception", None)
    facts = "".join(f" {key}={_shown(value)}" for key, value in event.items())
    trace = "" if exception is None else f"\n{exception}"
    return f"{at} {level:<5} {name}{facts}{trace}"


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text) if not text or any(map(str.isspace, text)) else text
