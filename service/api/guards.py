"""From the `Authorization` header to the principal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from flask import request

from service import trace
from service.api.context import get_context
from service.errors import TokenMissing
from service.services.principal import identify


def signed_in(view: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Give the view the caller as ``principal``.

    Raises, in the view's place:
        TokenMissing, InvalidToken, WrongTokenType, TokenExpired, TokenRevoked
    """

    @wraps(view)
    async def guarded(**arguments: Any) -> Any:
        principal = await identify(get_context(), bearer_token())
        trace.current.get().user_id = principal.id
        return await view(principal=principal, **arguments)

    guarded.guarded = True  # type: ignore[attr-defined]  # a mark for the OpenAPI document and for tests
    return guarded


def bearer_token() -> str:
    """Return the token of `Authorization: Bearer <token>` (RFC 6750 §2.1), the scheme in any case.

    Raises:
        TokenMissing: no such header, another scheme, or no token behind it.
    """
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenMissing
    return token.strip()
