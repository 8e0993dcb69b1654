"""Log lines: JSON in production, one an event whatever the event says; for people elsewhere, tracebacks spread out."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from service import trace

FIELDS = ("method", "path", "route", "status", "duration_ms", "client", "user_id")
"""What a line may carry beside its message, as ``extra``."""


def configure(level: str, *, as_json: bool) -> None:
    """Send all logs to standard output, from now on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JSONFormatter() if as_json else LineFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # What no line of ours says need not be found out for each (the logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.logAsyncioTasks = False  # type: ignore[attr-defined]  # of Python 3.12 and later
    logging._srcfile = None
    logging.getLogger("hypercorn.error").setLevel(logging.WARNING)  # it announces what goes well


class JSONFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what a client sent can't end it, since JSON escapes control characters."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": trace.current.get().request_id,
        } | {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class LineFormatter(logging.Formatter):
    """A readable line, with what the record carries behind the message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; the fields are printed as JSON, so that none can forge another line."""
        fields = {name: getattr(record, name) for name in FIELDS if getattr(record, name, None) is not None}
        line = super().format(record)
        return line + " " + json.dumps(fields) if fields else line
