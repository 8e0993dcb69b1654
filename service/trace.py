"""What is known of the request under way: for its log lines, its metrics and its problem documents.

The edge begins a trace; the layers below fill in what they learn. The object is shared by everything that runs for
the request, since tasks and greenlets copy the context variable and not the object.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Trace:
    """One request: ``route`` is the rule that matched (``/api/users/<int:user_id>``), never the path."""

    request_id: str
    route: str | None = None
    user_id: int | None = None


_NONE = Trace(request_id="-")

current: ContextVar[Trace] = ContextVar("trace", default=_NONE)
