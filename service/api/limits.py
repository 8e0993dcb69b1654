"""Limits of rate on routes: `@limited` outside of everything else, and the headers that tell of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response

from service import trace
from service.api.caller import caller
from service.api.context import get_context
from service.services.limits import Rate, spend
from service.web.operation import View, describe


def limited(rate: Rate) -> Callable[[View], View]:
    """Let an address ask so often; whatever the request is worth otherwise, it counts.

    Raises, in the view's place:
        RateLimited
    """

    def decorate(view: View) -> View:
        @wraps(view)
        async def within(**arguments: Any) -> Any:
            await spend(get_context(), rate, caller().address)
            return await view(**arguments)

        return describe(within, limited=True)

    return decorate


def tell_allowance(response: Response) -> Response:
    """Add what is left to the answer's headers."""
    allowance = trace.current.get().allowance
    if allowance is not None:
        response.headers["RateLimit-Limit"] = str(allowance.limit)
        response.headers["RateLimit-Remaining"] = str(allowance.remaining)
        response.headers["RateLimit-Reset"] = str(allowance.reset_seconds)
    return response
