"""Use cases of tokens: log in, refresh, change the password."""

from __future__ import annotations

import datetime
import hashlib
import unicodedata
from dataclasses import dataclass

from service import metrics
from service.context import Context
from service.errors import (
    AccountDisabled,
    FieldFault,
    InvalidCredentials,
    InvalidToken,
    ServiceError,
    TokenExpired,
    TokenReused,
    TokenRevoked,
    Unavailable,
    ValidationFailed,
)
from service.repositories.sessions import Presented
from service.repositories.unit_of_work import UnitOfWork
from service.repositories.users import Account
from service.services import lockout, sessions
from service.services.caller import Caller
from service.services.limits import Rate, spend
from service.services.lockout import Target
from service.services.password_rules import check_new_password
from service.services.principal import Principal, holder
from service.tokens import Claims, TokenPair, generation, new_jti, next_jti

NAME_LIMIT = 4 * 120
"""Characters of the longest name that is looked for: an email (contract: Users), each letter with three marks."""
RETRY = datetime.timedelta(seconds=10)
"""For how long after an exchange its parent gets the same pair again (contract: Accounts and tokens)."""
ROUNDS = 3
"""How often a password is checked again because its hash was renewed meanwhile."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who says to be whom: ``name`` is an email or, in OAuth's form, possibly a username."""

    name: str
    password: str
    oauth: bool = False


async def log_in(context: Context, login: Login, *, caller: Caller) -> tuple[TokenPair, Account]:
    """Begin a session.

    The password is checked before the transaction, since a hash must not hold a connection; what it was checked
    against is looked at again inside.

    Raises:
        InvalidCredentials: no such account, or another password; both cost one hash.
        AccountDisabled: the password is right, the account is disabled.
        RateLimited: too many logins, or a lock.
        Unavailable: too many passwords are being checked.
    """
    async with context.passwords.place():
        account, user = await _find(context, login)
        target = Target(account, caller.network)
        if not login.oauth:  # whose rate is that of its route alone
            await spend(context, Rate.LOGIN_OF_ACCOUNT, f"{caller.address} {account}")
        await lockout.refuse_locked(context, target)
        for _ in range(ROUNDS):
            stored = user.password_hash if user else None
            if not await context.passwords.verify(login.password, stored) or user is None:
                raise await lockout.fail(context, target) or InvalidCredentials()
            renewed = await _renewed(context, login.password, user)
            async with context.transaction() as work:
                current = await work.users.lock(user.id)
                unchanged = current is not None and current.password_hash == user.password_hash
                if current is not None and unchanged:
                    await lockout.succeed(work, context, target)
                    if current.is_active:
                        if renewed is not None:
                            await work.users.renew_hash(user.id, renewed)
                        return await sessions.begin(work, context, user.id, caller=caller), current
            if unchanged:
                raise AccountDisabled  # not inside the block: that the count begins anew has to be committed
            user = current
        raise Unavailable


async def refresh(context: Context, claims: Claims, *, caller: Caller) -> TokenPair:
    """Exchange the refresh token that says these claims for a new pair; there is never more than one such pair.

    Its user was looked at when it was presented; whatever takes the user's rights since has ended the session, too.

    Raises:
        InvalidToken, TokenRevoked, TokenExpired: its user is gone or disabled, its session has ended.
        TokenReused: it had been exchanged before; its session is ended, and that is committed.
    """
    presented = Presented(claims.session_id, claims.user_id, claims.jti)
    async with context.transaction() as work:
        pair = sessions.new_pair(context, next_jti(claims.jti))
        outcome = "exchanged"
        stored = await work.sessions.rotate(presented, pair, ip=caller.ip, user_agent=caller.user_agent)
        if stored is None:
            outcome = "repeated"
            stored = await work.sessions.exchanged(presented, within=RETRY)
        if stored is None:
            refusal = await _end_if_reused(work, context, claims)
            outcome = "reused" if isinstance(refusal, TokenReused) else "refused"
    metrics.refreshes.labels(outcome).inc()
    if stored is None:
        # Not inside the block: what it ended has to be committed.
        raise refusal
    return sessions.signed(context, stored)


async def change_password(context: Context, principal: Principal, current: str, new: str) -> TokenPair:
    """Set a new password; return a new pair of the session in use. All other tokens of the user are worth nothing.

    Raises:
        ValidationFailed: the current password is another, or the new one too easy to guess.
        TokenRevoked, InvalidToken: the session has ended since the request began, or the user is gone or disabled.
        RateLimited: too many wrong ones in this session.
        Unavailable: too many passwords are being checked.
    """
    user = principal.user
    check_new_password(new, username=user.username, email=user.email, pointer="/new_password")
    target = Target.within(principal.session_id)
    async with context.passwords.place():
        await lockout.refuse_locked(context, target)
        for _ in range(ROUNDS):
            if not await context.passwords.verify(current, user.password_hash):
                fault = FieldFault("/current_password", "wrong_password", "It is another")
                raise await lockout.fail(context, target) or ValidationFailed(faults=(fault,))
            password_hash = await context.passwords.hash(new)
            async with context.transaction() as work:
                locked = await work.users.lock(user.id)
                if locked is None or not locked.is_active:
                    raise InvalidToken
                if locked.password_hash == user.password_hash:
                    await lockout.succeed(work, context, target)
                    await work.users.change(user.id, {"password_hash": password_hash})
                    return await _renew_session(work, context, principal)
            user = locked
        raise Unavailable


async def _find(context: Context, login: Login) -> tuple[str, Account | None]:
    """Return under which name failures are counted, and the account if there is one.

    What is longer than any name could be is not looked for: to compare it would cost the database dearly.
    """
    if len(login.name) > NAME_LIMIT:
        return "too long", None
    as_username = login.oauth and "@" not in unicodedata.normalize("NFKC", login.name)
    users = context.reading.users
    key, user = await (users.by_username if as_username else users.by_email)(login.name)
    # A digest: people type their passwords into the wrong field.
    return (f"user:{user.id}" if user else "unknown:" + hashlib.sha256(key.encode()).hexdigest()), user


async def _renewed(context: Context, password: str, user: Account) -> str | None:
    """Return a hash with today's parameters when the stored one has others, and is going to be used again."""
    if not user.is_active or not context.passwords.is_outdated(user.password_hash):
        return None
    return await context.passwords.hash(password)


async def _end_if_reused(work: UnitOfWork, context: Context, claims: Claims) -> ServiceError:
    """Find out why a refresh token could not be exchanged; end its session when it had been exchanged before."""
    session = await work.sessions.lock(claims.session_id)
    if session is None or session.user_id != claims.user_id:
        return InvalidToken()
    try:
        await holder(work.users, claims)  # again: it may have been disabled, or its password changed, meanwhile
    except (InvalidToken, TokenRevoked) as refusal:
        return refusal
    if session.ended_at is not None:
        return TokenRevoked()
    if session.refresh_jti == claims.jti:
        return TokenExpired()  # by the database's clock, which is the one that counts
    await work.sessions.end(session.id, user_id=session.user_id)
    await sessions.block(work, context, session.id)
    return TokenReused()


async def _renew_session(work: UnitOfWork, context: Context, principal: Principal) -> TokenPair:
    """End the user's other sessions, and give the one in use a pair of a new generation."""
    await sessions.end_all_of(work, context, principal.id, but=principal.session_id)
    before = await work.sessions.lock(principal.session_id)
    if before is None or generation(before.refresh_jti) != principal.generation:
        raise TokenRevoked  # by another change of the password, meanwhile
    stored = await work.sessions.renew(principal.session_id, sessions.new_pair(context, new_jti()))
    if stored is None:
        raise TokenRevoked
    longest = datetime.timedelta(seconds=context.settings.refresh_token_seconds)
    await work.blocklist.add([principal.generation], lifetime=longest + sessions.MARGIN)
    return sessions.signed(context, stored)
