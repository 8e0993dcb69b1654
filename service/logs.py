"""Log lines: JSON in production, one an event whatever the event says; for people elsewhere, tracebacks spread out."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import TextIO

from service import trace

FIELDS = ("method", "path", "route", "status", "duration_ms", "client", "user_id")
"""What a line may carry beside its message; a log record, as ``extra``."""

Fields = Mapping[str, str | int | float | None]

_requests = logging.getLogger("postern.access")


def configure(level: str, *, as_json: bool, requests: bool = True) -> None:
    """Send all logs to standard output, from now on; without the lines of ``requests`` if that is so."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JSONFormatter() if as_json else LineFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # What no line of ours says need not be found out for each (the logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.logAsyncioTasks = False  # type: ignore[attr-defined]  # of Python 3.12 and later
    logging._srcfile = None
    logging.getLogger("hypercorn.error").setLevel(logging.WARNING)  # it announces what goes well
    _requests.setLevel(logging.NOTSET if requests else logging.WARNING)
    global _straight  # noqa: PLW0603 - as logging itself, one for the process
    _straight = _Straight(sys.stdout) if as_json and _requests.isEnabledFor(logging.INFO) else None


def request(fields: Fields) -> None:
    """Leave the line of a request that has been answered; to be called on the loop. ``fields`` are of `FIELDS`."""
    if _straight is None:
        _requests.info("request", extra=dict(fields))
    else:
        _straight.write(_json(_requests.name, "info", "request", time.time(), fields))


class _Straight:
    """Where the lines of requests go past `logging`, as its records cost more than all else of them, and to the same
    stream: what one round of the loop has written goes out together at its end.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_to_flush = False

    def write(self, line: str) -> None:
        """Write a line. A stream that is full, or gone, is no reason to fail a request."""
        with suppress(OSError, ValueError):
            self._stream.write(line + "\n")
        if not self._is_to_flush:
            self._is_to_flush = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_to_flush = False
        with suppress(OSError, ValueError):
            self._stream.flush()


_straight: _Straight | None = None


class JSONFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what a client sent can't end it, since JSON escapes control characters."""
        fields = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return _json(record.name, record.levelname.lower(), record.getMessage(), record.created, fields)


def _json(logger: str, level: str, message: str, seconds: float, fields: Fields) -> str:
    """Return the line; `json.dumps` of all of it takes three times as long as of what may need to be escaped."""
    line = (
        f'{{"time": "{_second(int(seconds))}.{int(seconds % 1 * 1000):03d}+00:00", "level": "{level}", '
        f'"logger": {quoted(logger)}, "message": {quoted(message)}, "request_id": "{trace.current.get().request_id}"'
    )
    for name, value in fields.items():
        if isinstance(value, str):
            line += f', "{name}": {quoted(value)}'
        else:
            line += f', "{name}": {value if type(value) in (int, float) else json.dumps(value, default=str)}'
    return line + "}"


@lru_cache(maxsize=1)  # many lines are of the same
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class LineFormatter(logging.Formatter):
    """A readable line, with what the record carries behind the message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; the fields are printed as JSON, so that none can forge another line."""
        fields = {name: getattr(record, name) for name in FIELDS if getattr(record, name, None) is not None}
        line = super().format(record)
        return line + " " + json.dumps(fields) if fields else line
