"""Tracing: whether there is any, and what the layers say to it. How OpenTelemetry does it is in `service.spans`.

It is an extra (`pip install 'postern[otel]'`), and nothing of it is imported unless OTEL_EXPORTER_OTLP_ENDPOINT is set.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from service.trace import Trace


class Statement(Protocol):
    """One that is under way."""

    def end(self, fault: str = "") -> None:
        """Say that it has ended, and by what fault, if by one."""


class Tracing(Protocol):
    """What is told of the requests of a process."""

    def request(self, method: str, headers: Mapping[bytes, bytes]) -> AbstractContextManager[None]:
        """Begin a request's span; it is the caller's trace that it goes on with, if the caller has one."""

    def answered(self, method: str, trace: Trace, status: int) -> None:
        """Say what has become of the request."""

    def in_line(self, line: Hashable) -> AbstractContextManager[None]:
        """Say that the request waits in a line, of which a batch is made."""

    def batch(self, line: Hashable, size: int) -> AbstractContextManager[None]:
        """Begin the span of a batch, for all who stand in line now."""

    def statement(self, text: str) -> Statement:
        """Begin a statement's span."""

    def close(self) -> None:
        """Send what is left, which may take some seconds."""


_NOTHING = nullcontext()
active: Tracing | None = None
"""The one of this process, if it is turned on."""


def turn_on(endpoint: str) -> None:
    """Trace from now on, and send it to a collector that speaks OTLP over HTTP. The other settings are the standard's
    environment variables: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    global active  # noqa: PLW0603 - as metrics are, it is the process's
    from service.spans import Spans  # noqa: PLC0415 - an extra

    if active is None:
        active = Spans(endpoint)


def turn_off() -> None:
    """Send what is left, and trace no more."""
    global active  # noqa: PLW0603 - as above
    if active is not None:
        active.close()
    active = None


def in_line(line: Hashable) -> AbstractContextManager[None]:
    """Say that the request waits in a line, if there is tracing."""
    return _NOTHING if active is None else active.in_line(line)


def batch(line: Hashable, size: int) -> AbstractContextManager[None]:
    """Begin the span of a batch, if there is tracing."""
    return _NOTHING if active is None else active.batch(line, size)
