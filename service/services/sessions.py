"""Use cases of sessions: begin, sign their pairs, end. docs/sessions.md draws the states."""

from __future__ import annotations

import datetime
import uuid

from service.context import Context
from service.errors import NotFound
from service.repositories.sessions import NewPair, StoredPair
from service.repositories.unit_of_work import UnitOfWork
from service.services.caller import Caller
from service.services.principal import Principal
from service.tokens import Claims, TokenPair, TokenType, new_jti, next_jti

MARGIN = datetime.timedelta(minutes=1)
"""For how long an entry of the blocklist outlives the tokens it refuses: clocks differ."""


async def begin(work: UnitOfWork, context: Context, user_id: int, *, caller: Caller) -> TokenPair:
    """Begin a session; return its first pair."""
    lifetime = datetime.timedelta(seconds=context.settings.session_seconds)
    pair = new_pair(context, new_jti())
    stored = await work.sessions.begin(user_id, pair, lifetime=lifetime, ip=caller.ip, user_agent=caller.user_agent)
    return signed(context, stored)


async def end(context: Context, principal: Principal, session_id: uuid.UUID) -> None:
    """End one of the caller's sessions: its refresh token, and all its access tokens.

    Raises:
        NotFound: it is not alive, or not theirs.
    """
    async with context.transaction() as work:
        if not await work.sessions.end(session_id, user_id=principal.id):
            raise NotFound
        await block(work, context, session_id)


async def end_all(context: Context, principal: Principal) -> None:
    """End all sessions of the caller, the one in use included."""
    async with context.transaction() as work:
        # Whoever ends several sessions of a user is alone at it: rows taken crosswise would be a deadlock.
        await work.users.lock(principal.id)
        await end_all_of(work, context, principal.id)


async def log_out(context: Context, principal: Principal) -> None:
    """End the session in use. Of two at once the other may have done it: that is what was asked for."""
    async with context.transaction() as work:
        await work.sessions.end(principal.session_id, user_id=principal.id)
        await block(work, context, principal.session_id)


async def end_all_of(work: UnitOfWork, context: Context, *user_ids: int, but: uuid.UUID | None = None) -> None:
    """End each session of these users, but for one, and refuse all its access tokens from now on."""
    await work.sessions.end_all(*user_ids, blocked_for=_blocked_for(context), but=but)


async def block(work: UnitOfWork, context: Context, *session_ids: uuid.UUID) -> None:
    """Refuse all access tokens of these sessions from now on."""
    await work.blocklist.add(session_ids, lifetime=_blocked_for(context))


def _blocked_for(context: Context) -> datetime.timedelta:
    return datetime.timedelta(seconds=context.settings.access_token_seconds) + MARGIN


def new_pair(context: Context, refresh_jti: uuid.UUID) -> NewPair:
    """Return what the next pair is to be; its access token is of the refresh token's generation."""
    return NewPair(
        access_jti=next_jti(refresh_jti),
        refresh_jti=refresh_jti,
        kid=context.tokens.signing_kid,
        access_lifetime=datetime.timedelta(seconds=context.settings.access_token_seconds),
        refresh_lifetime=datetime.timedelta(seconds=context.settings.refresh_token_seconds),
    )


def signed(context: Context, pair: StoredPair) -> TokenPair:
    """Sign a session's current pair from what is stored of it: the same bytes, however often."""
    sign, kid = context.tokens.sign, pair.kid
    issued_at = pair.issued_at.replace(microsecond=0)
    access = Claims(pair.user_id, pair.session_id, pair.access_jti, issued_at, pair.access_expires_at)
    refresh = Claims(pair.user_id, pair.session_id, pair.refresh_jti, issued_at, pair.expires_at)
    return TokenPair(
        access_token=sign(access, TokenType.ACCESS, kid=kid),
        refresh_token=sign(refresh, TokenType.REFRESH, kid=kid),
        expires_in=int((access.expires_at - issued_at).total_seconds()),
    )
