"""From the `Authorization` header to the principal."""

from __future__ import annotations

from functools import wraps
from typing import Any

from flask import request

from service import trace
from service.api.context import get_context
from service.errors import TokenMissing
from service.services.principal import identify, present
from service.web.operation import View, describe


def signed_in(view: View) -> View:
    """Give the view the caller as ``principal``.

    Raises, in the view's place:
        TokenMissing, InvalidToken, WrongTokenType, TokenExpired, TokenRevoked
    """

    @wraps(view)
    async def guarded(**arguments: Any) -> Any:
        principal = await identify(get_context(), bearer_token())
        trace.current.get().user_id = principal.id
        return await view(principal=principal, **arguments)

    return describe(guarded, bearer="access")


def refreshing(view: View) -> View:
    """Give the view what the refresh token says as ``claims``; whether it may still be exchanged is not asked here.

    Raises, in the view's place:
        TokenMissing, InvalidToken, WrongTokenType, TokenExpired, TokenRevoked
    """

    @wraps(view)
    async def guarded(**arguments: Any) -> Any:
        return await view(claims=await present(get_context(), bearer_token()), **arguments)

    return describe(guarded, bearer="refresh")


def bearer_token() -> str:
    """Return the token of `Authorization: Bearer <token>` (RFC 6750 §2.1), the scheme in any case.

    Raises:
        TokenMissing: no such header, another scheme, or no token behind it.
    """
    scheme, _, token = request.headers.get("Authorization", "").strip(" \t").partition(" ")
    token = token.strip(" \t")
    if scheme.lower() != "bearer" or not token:
        raise TokenMissing
    return token
