"""`/api/auth`: sessions and their tokens."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint

from service.api.caller import caller
from service.api.context import get_context
from service.api.guards import refreshing, signed_in
from service.api.limits import limited
from service.api.schemas.auth import LoggedIn, Login, PasswordChange, SecretData, SessionList, SessionView, Tokens
from service.api.schemas.bodies import Message
from service.api.schemas.users import PrivateUser
from service.errors import AccountDisabled, AdminRequired, InvalidCredentials, NotFound, TokenReused
from service.services import auth, sessions
from service.services.limits import Rate
from service.services.principal import Principal
from service.tokens import Claims
from service.web.operations import body, returns

blueprint = Blueprint("auth", __name__, url_prefix="/api/auth")


@blueprint.post("/login")
@limited(Rate.LOGIN)
@returns(LoggedIn, refusals=(InvalidCredentials, AccountDisabled))
@body(Login)
async def log_in(body: Login) -> LoggedIn:
    """Log in with email and password; a session begins."""
    pair, user = await auth.log_in(get_context(), auth.Login(body.email, body.password), caller=caller())
    return LoggedIn.of(pair, user=PrivateUser.of(user))


@blueprint.post("/refresh")
@limited(Rate.REFRESH)
@refreshing
@returns(Tokens, refusals=(TokenReused,))
async def refresh(claims: Claims) -> Tokens:
    """Exchange the refresh token, sent as the bearer token, for a new pair.

    Repeated within ten seconds, while the new refresh token has not been used, it answers the same pair again.
    """
    return Tokens.of(await auth.refresh(get_context(), claims, caller=caller()))


@blueprint.delete("/logout")
@signed_in
@returns(Message)
async def log_out(principal: Principal) -> Message:
    """End this session: its access tokens and its refresh token."""
    await sessions.log_out(get_context(), principal)
    return Message(message="Token revoked")


@blueprint.get("/sessions/")
@signed_in
@returns(SessionList)
async def list_sessions(principal: Principal) -> SessionList:
    """List one's own sessions, newest first."""
    alive = await get_context().reading.sessions.alive_of(principal.id)
    return SessionList(sessions=[SessionView.of(session, current=principal.session_id) for session in alive])


@blueprint.delete("/sessions/")
@signed_in
@returns(None, status=204)
async def end_sessions(principal: Principal) -> None:
    """End all of one's sessions, this one included."""
    await sessions.end_all(get_context(), principal)


@blueprint.delete("/sessions/<uuid:session_id>")
@signed_in
@returns(None, status=204, refusals=(NotFound,))
async def end_session(principal: Principal, session_id: UUID) -> None:
    """End one of one's sessions."""
    await sessions.end(get_context(), principal, session_id)


@blueprint.post("/password")
@limited(Rate.PASSWORD)
@signed_in
@returns(Tokens)
@body(PasswordChange)
async def change_password(principal: Principal, body: PasswordChange) -> Tokens:
    """Change one's password; the answer is a new pair for this session, and every other token is worth nothing."""
    pair = await auth.change_password(get_context(), principal, body.current_password, body.new_password)
    return Tokens.of(pair)


@blueprint.get("/me")
@signed_in
@returns(PrivateUser)
async def me(principal: Principal) -> PrivateUser:
    """Get one's own account."""
    return PrivateUser.of(principal.user)


@blueprint.get("/admin-only")
@signed_in
@returns(SecretData, refusals=(AdminRequired,))
async def admin_only(principal: Principal) -> SecretData:
    """Read what only admins may read."""
    principal.require_admin()
    return SecretData(data="secret admin data")
