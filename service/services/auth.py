"""Use cases of sessions: log in, refresh, log out."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass

from service.context import Context
from service.errors import AccountDisabled, InvalidCredentials, InvalidToken, TokenReused, TokenRevoked
from service.models import User
from service.repositories.unit_of_work import UnitOfWork
from service.services.principal import Principal, holder
from service.tokens import Claims, TokenPair, TokenType

EMAIL_LIMIT = 120
"""Characters of an email (contract: Users)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a session is used from: an address, where there is one, and what the client calls itself."""

    ip: str | None
    user_agent: str | None


async def log_in(context: Context, email: str, password: str, *, caller: Caller) -> tuple[TokenPair, User]:
    """Begin a session.

    The password is checked before the transaction, since a hash must not hold a connection; what it was checked
    against is looked at again inside.

    Raises:
        InvalidCredentials: no such account, or another password; both cost one hash.
        AccountDisabled: the password is right, the account is disabled.
    """
    user = None
    if len(email) <= EMAIL_LIMIT:  # no account has a longer one, and comparing it would cost the database dearly
        async with context.reading() as reading:
            user = await reading.users.by_email(email)
    if not await context.passwords.verify(password, user.password_hash if user else None) or user is None:
        raise InvalidCredentials
    async with context.transaction() as work:
        current = await work.users.lock(user.id)
        if current is None or current.password_hash != user.password_hash:
            raise InvalidCredentials
        if not current.is_active:
            raise AccountDisabled
        now = _now()
        session_id, refresh_jti = uuid.uuid4(), uuid.uuid4()
        ends_at = now + datetime.timedelta(seconds=context.settings.session_seconds)
        expires_at = min(now + datetime.timedelta(seconds=context.settings.refresh_token_seconds), ends_at)
        await work.sessions.begin(
            user_id=user.id,
            session_id=session_id,
            refresh_jti=refresh_jti,
            expires_at=expires_at,
            ends_at=ends_at,
            ip=caller.ip,
            user_agent=caller.user_agent,
        )
    return _pair(context, Claims(user.id, session_id, refresh_jti, now, expires_at)), current


async def refresh(context: Context, claims: Claims, *, caller: Caller) -> TokenPair:
    """Exchange the refresh token that says these claims for a new pair, once; it is worth nothing from then on.

    Raises:
        InvalidToken, TokenRevoked: its user is gone or disabled, its session has ended.
        TokenReused: it had been exchanged before; its session is ended, and that is committed.
    """
    now = _now()
    successor = uuid.uuid4()
    async with context.transaction() as work:
        user = await holder(work.users, claims)
        expires_at = await work.sessions.rotate(
            claims.session_id,
            presented=claims.jti,
            successor=successor,
            expires_at=now + datetime.timedelta(seconds=context.settings.refresh_token_seconds),
            ip=caller.ip,
            user_agent=caller.user_agent,
        )
        if expires_at is None:
            refusal = await _end_if_reused(work, context, claims)
    if expires_at is None:
        # Not inside the block: what it ended has to be committed.
        raise refusal
    return _pair(context, Claims(user.id, claims.session_id, successor, now, expires_at))


async def log_out(context: Context, principal: Principal) -> None:
    """End the caller's session: its refresh token, and all its access tokens."""
    async with context.transaction() as work:
        await work.sessions.end(principal.session_id)
        await block_sessions(work, context, principal.session_id)


async def block_sessions(work: UnitOfWork, context: Context, *session_ids: uuid.UUID) -> None:
    """Refuse all access tokens of these sessions; the entry says when the last of them has expired by itself."""
    longest = datetime.timedelta(seconds=context.settings.access_token_seconds)
    await work.blocklist.add(session_ids, expires_at=_now() + longest + datetime.timedelta(minutes=1))


async def _end_if_reused(work: UnitOfWork, context: Context, claims: Claims) -> Exception:
    """Find out why a refresh token could not be exchanged; end its session when it had been exchanged before."""
    session = await work.sessions.lock(claims.session_id)
    if session is None or session.user_id != claims.user_id:
        return InvalidToken()
    if session.ended_at is not None or session.refresh_jti == claims.jti:
        return TokenRevoked()
    await work.sessions.end(session.id)
    await block_sessions(work, context, session.id)
    return TokenReused()


def _pair(context: Context, refresh: Claims) -> TokenPair:
    """Sign a pair issued now; the access token does not outlive the refresh token."""
    longest = datetime.timedelta(seconds=context.settings.access_token_seconds)
    access = Claims(
        refresh.user_id,
        refresh.session_id,
        uuid.uuid4(),
        refresh.issued_at,
        min(refresh.issued_at + longest, refresh.expires_at),
    )
    return TokenPair(
        access_token=context.tokens.sign(access, TokenType.ACCESS),
        refresh_token=context.tokens.sign(refresh, TokenType.REFRESH),
        expires_in=int((access.expires_at - access.issued_at).total_seconds()),
    )


def _now() -> datetime.datetime:
    """The time in whole seconds, as tokens have it."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)
