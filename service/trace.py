"""What is known of the request under way: for its log lines, its metrics, its problem documents and its headers.

The edge begins a trace; the layers below fill in what they learn. The object is shared by everything that runs for
the request, since tasks and greenlets copy the context variable and not the object.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """Of so many requests in a window, how many are left, and in how many seconds it ends."""

    limit: int
    remaining: int
    reset_seconds: int


@dataclass(slots=True)
class Trace:
    """One request: ``route`` is the rule that matched (``/api/users/<int:user_id>``), never the path; ``allowance`` the
    one that is nearest to its end, of those that were asked. ``malformed_query`` and ``two_authorizations`` are for the
    app to refuse, in its order: the edge sees them, and does not know which routes there are.
    """

    request_id: str
    route: str | None = None
    user_id: int | None = None
    allowance: Allowance | None = None
    malformed_query: bool = False
    two_authorizations: bool = False


_NONE = Trace(request_id="-")

current: ContextVar[Trace] = ContextVar("trace", default=_NONE)
