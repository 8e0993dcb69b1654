"""`/api/auth`: sessions and their tokens."""

from __future__ import annotations

import ipaddress

from flask import Blueprint, request

from service.api.context import get_context
from service.api.guards import refreshing, signed_in
from service.api.schemas import LoggedIn, Login, Message, PrivateUser, SecretData, Tokens
from service.services import auth
from service.services.auth import Caller
from service.services.principal import Principal
from service.tokens import Claims, TokenPair
from service.web.operations import body, returns

blueprint = Blueprint("auth", __name__, url_prefix="/api/auth")


@blueprint.post("/login")
@returns(LoggedIn)
@body(Login)
async def log_in(body: Login) -> LoggedIn:
    """Log in with email and password; a session begins."""
    pair, user = await auth.log_in(get_context(), body.email, body.password, caller=caller())
    return LoggedIn(**tokens(pair).model_dump(), user=PrivateUser.model_validate(user))


@blueprint.post("/refresh")
@refreshing
@returns(Tokens)
async def refresh(claims: Claims) -> Tokens:
    """Exchange the refresh token, sent as the bearer token, for a new pair."""
    return tokens(await auth.refresh(get_context(), claims, caller=caller()))


@blueprint.delete("/logout")
@signed_in
@returns(Message)
async def log_out(principal: Principal) -> Message:
    """End this session: its access tokens and its refresh token."""
    await auth.log_out(get_context(), principal)
    return Message(message="Token revoked")


@blueprint.get("/me")
@signed_in
@returns(PrivateUser)
async def me(principal: Principal) -> PrivateUser:
    """Get one's own account."""
    return PrivateUser.model_validate(principal.user)


@blueprint.get("/admin-only")
@signed_in
@returns(SecretData)
async def admin_only(principal: Principal) -> SecretData:
    """Read what only admins may read."""
    principal.require_admin()
    return SecretData(data="secret admin data")


def tokens(pair: TokenPair) -> Tokens:
    """Return the pair as it goes over the wire."""
    return Tokens(
        access_token=pair.access_token,
        refresh_token=pair.refresh_token,
        token_type="Bearer",  # noqa: S106 - the scheme's name (RFC 6750), no secret
        expires_in=pair.expires_in,
    )


def caller() -> Caller:
    """Return where the request came from, as a session remembers it."""
    try:
        ip = str(ipaddress.ip_address(request.remote_addr or ""))
    except ValueError:  # a server on a Unix socket knows no address
        ip = None
    return Caller(ip, request.headers.get("User-Agent", "").replace("\0", "")[:256] or None)
