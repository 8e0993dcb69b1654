"""Use cases of accounts: register, change, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from service.context import Context
from service.errors import Forbidden, InvalidToken, LastAdmin, NotFound
from service.models import User
from service.repositories.unit_of_work import UnitOfWork
from service.services import sessions
from service.services.password_rules import check_new_password
from service.services.preconditions import Precondition, unconditional
from service.services.principal import Principal

ADMINS_FIELDS = frozenset({"role", "is_active"})


async def register(context: Context, *, username: str, email: str, password: str, role: str = "user") -> User:
    """Make an account.

    Raises:
        ValidationFailed: the password is too easy to guess.
        EmailTaken, UsernameTaken: somebody has it, in any letter case.
        Unavailable: too many passwords are being hashed.
    """
    check_new_password(password, username=username, email=email, pointer="/password")
    async with context.passwords.place():
        password_hash = await context.passwords.hash(password)
    async with context.transaction() as work:
        return await work.users.add(username=username, email=email, password_hash=password_hash, role=role)


async def change(
    context: Context,
    principal: Principal,
    user_id: int,
    *,
    changes: Mapping[str, object],
    precondition: Precondition = unconditional,
) -> User:
    """Set some of ``username``, ``email``, ``role`` and ``is_active``. Disabling ends all sessions.

    Raises:
        InvalidToken: the caller has been deleted or disabled since the request began.
        NotFound: no such account.
        Forbidden: it is another's, or what only admins may set.
        PreconditionFailed: it is not what the caller thinks it is.
        LastAdmin: no active admin would remain.
        EmailTaken, UsernameTaken: somebody has it.
    """
    async with context.transaction() as work:
        principal, user = await _lock_own(work, principal, user_id, what="update")
        if not principal.is_admin and not ADMINS_FIELDS.isdisjoint(changes):
            raise Forbidden("Only admins may change role and is_active")
        precondition(user)
        if changes.get("role") == "user" or changes.get("is_active") is False:
            await _keep_an_admin(work, user)
        was_active = user.is_active
        changed = await work.users.change(user_id, changes)
        if was_active and not changed.is_active:
            await sessions.block(work, context, *await work.sessions.end_all(user_id))
    return changed


async def delete(
    context: Context, principal: Principal, user_id: int, *, precondition: Precondition = unconditional
) -> None:
    """Delete an account and what hangs on it.

    Raises:
        InvalidToken: the caller has been deleted or disabled since the request began.
        NotFound: no such account.
        Forbidden: it is another's.
        PreconditionFailed: it is not what the caller thinks it is.
        LastAdmin: no active admin would remain.
    """
    async with context.transaction() as work:
        _, user = await _lock_own(work, principal, user_id, what="delete")
        precondition(user)
        await _keep_an_admin(work, user)
        await work.users.remove(user_id)


async def _lock_own(work: UnitOfWork, principal: Principal, user_id: int, *, what: str) -> tuple[Principal, User]:
    """Return the account and who the caller is by now: while the row was waited for, they may have been demoted."""
    user = await work.users.lock(user_id)
    caller = user if user_id == principal.id else await work.users.get(principal.id)
    if caller is None or not caller.is_active:
        raise InvalidToken
    if user is None:
        raise NotFound
    principal = replace(principal, user=caller)
    if not principal.may_change(user_id):
        raise Forbidden(f"Cannot {what} another user")
    return principal, user


async def _keep_an_admin(work: UnitOfWork, user: User) -> None:
    """Refuse to lose this user as an admin when there is no other."""
    if user.role == "admin" and user.is_active and await work.users.only_active_admin(user.id):
        raise LastAdmin
