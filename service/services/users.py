"""Use cases of accounts: register, change, delete, one and many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from service.context import Context
from service.errors import Forbidden, LastAdmin, NotFound
from service.models import User
from service.repositories.unit_of_work import UnitOfWork
from service.services import sessions
from service.services.idempotency import ALWAYS, Once
from service.services.password_rules import check_new_password
from service.services.preconditions import Precondition, unconditional
from service.services.principal import Principal, current

BATCH = 100
"""Accounts that bulk work changes in one transaction: nobody waits long for it."""
Act = Callable[[UnitOfWork, tuple[int, ...]], Awaitable[None]]
"""What is done to the accounts of these ids."""
ADMINS_FIELDS = frozenset({"role", "is_active"})


async def register(
    context: Context, *, username: str, email: str, password: str, role: str = "user", once: Once = ALWAYS
) -> User:
    """Make an account.

    Raises:
        AlreadyAnswered, IdempotencyInProgress, IdempotencyKeyReused: as `Once` says.
        ValidationFailed: the password is too easy to guess.
        EmailTaken, UsernameTaken: somebody has it, in any letter case.
        Unavailable: too many passwords are being hashed.
    """
    check_new_password(password, username=username, email=email, pointer="/password")
    async with context.passwords.place():
        password_hash = await context.passwords.hash(password)
    async with context.transaction() as work:
        await once.begin(work)
        user = await work.users.add(username=username, email=email, password_hash=password_hash, role=role)
        await once.keep(work, user, user_id=user.id)
    return user


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
        principal, user = await _lock_own(work, principal, user_id, verb="update")
        if not principal.is_admin and not ADMINS_FIELDS.isdisjoint(changes):
            raise Forbidden("Only admins may change role and is_active")
        precondition(user)
        if changes.get("role") == "user" or changes.get("is_active") is False:
            await _keep_an_admin(work, user)
        was_active = user.is_active
        changed = await work.users.change(user_id, changes)
        if was_active and not changed.is_active:
            await sessions.end_all_of(work, context, user_id)
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
        _, user = await _lock_own(work, principal, user_id, verb="delete")
        precondition(user)
        await _keep_an_admin(work, user)
        much = await work.users.remove(user_id)
    if much:
        context.something_hidden.set()


async def change_all(context: Context, principal: Principal, *, is_active: bool, to: bool) -> int:
    """Enable or disable, ``to``, all accounts but the caller's that are not so yet; return how many.

    Raises:
        AdminRequired: the caller is no administrator (any more).
    """
    principal.require_admin()
    if is_active == to:
        return 0

    async def act(work: UnitOfWork, user_ids: tuple[int, ...]) -> None:
        await work.users.set_active(user_ids, is_active=to)
        if not to:
            await sessions.end_all_of(work, context, *user_ids)

    return await _all_but_the_caller(context, principal, is_active, act, to_remove=False)


async def delete_all(context: Context, principal: Principal, *, is_active: bool) -> int:
    """Delete all accounts but the caller's that are active, or all that are not; return how many.

    Raises:
        AdminRequired: the caller is no administrator (any more).
    """
    principal.require_admin()

    async def act(work: UnitOfWork, user_ids: tuple[int, ...]) -> None:
        await work.users.remove(*user_ids)

    try:
        return await _all_but_the_caller(context, principal, is_active, act, to_remove=True)
    finally:  # behind the last commit, or the purge would look too early; whatever ended the work
        context.something_hidden.set()


async def _all_but_the_caller(
    context: Context, principal: Principal, is_active: bool, act: Act, *, to_remove: bool
) -> int:
    """Act on accounts in batches, each a transaction: what has been done when the request ends stays done.

    The caller is an active admin in each of them, so that the last one is never touched.
    """
    done = last = 0
    while True:
        async with context.transaction() as work:
            batch = await work.users.lock_some(
                is_active=is_active, but=principal.id, above=last, limit=BATCH, to_remove=to_remove
            )
            await work.users.lock_admins()
            (await current(work, principal)).require_admin()
            if batch:
                await act(work, batch)
        done += len(batch)
        if len(batch) < BATCH:
            return done
        last = batch[-1]


async def _lock_own(work: UnitOfWork, principal: Principal, user_id: int, *, verb: str) -> tuple[Principal, User]:
    """Return the account, locked, and who the caller is by now."""
    user = await work.users.lock(user_id, to_remove=verb == "delete")
    principal = await current(work, principal)
    if user is None:
        raise NotFound
    if not principal.may_change(user_id):
        raise Forbidden(f"Cannot {verb} another user")
    return principal, user


async def _keep_an_admin(work: UnitOfWork, user: User) -> None:
    """Refuse to lose this user as an admin when there is no other."""
    if user.role == "admin" and user.is_active and await work.users.only_active_admin(user.id):
        raise LastAdmin
