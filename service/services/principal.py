"""Who calls: the user behind an access token, as the database has it now."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass, replace

from service.context import Context
from service.errors import AdminRequired, InvalidToken, TokenRevoked
from service.repositories.unit_of_work import Adding, UnitOfWork
from service.repositories.users import Account, UserReader
from service.tokens import Claims, TokenType, generation


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request; ``user`` is the row as it was when the request came, ``jti`` its token's."""

    user: Account
    session_id: uuid.UUID
    jti: uuid.UUID

    @property
    def generation(self) -> uuid.UUID:
        """The generation of the token."""
        return generation(self.jti)

    @property
    def id(self) -> int:
        """The user's id."""
        return self.user.id

    @property
    def is_admin(self) -> bool:
        """Whether the caller is an administrator now, whatever was so when the token was made."""
        return self.user.role == "admin"

    def may_change(self, user_id: int) -> bool:
        """Whether what belongs to this user is the caller's to change."""
        return self.is_admin or self.id == user_id

    def require_admin(self) -> None:
        """Refuse everybody else.

        Raises:
            AdminRequired: the caller is no administrator.
        """
        if not self.is_admin:
            raise AdminRequired


async def current(work: UnitOfWork | Adding, principal: Principal) -> Principal:
    """Return who the caller is by now: while a row was waited for, they may have been demoted.

    Raises:
        InvalidToken: they have been deleted or disabled.
    """
    user = await work.users.get(principal.id)
    if user is None or not user.is_active:
        raise InvalidToken
    return replace(principal, user=user)


async def identify(context: Context, token: str) -> Principal:
    """Return who holds this access token.

    Raises:
        InvalidToken, WrongTokenType, TokenExpired, TokenRevoked: the token is not good.
    """
    claims = context.tokens.read(token, TokenType.ACCESS, datetime.datetime.now(datetime.UTC))
    return Principal(await holder(context.reading.users, claims), claims.session_id, claims.jti)


async def present(context: Context, token: str) -> Claims:
    """Return what this refresh token says; whether it may still be exchanged is not asked here.

    Raises:
        InvalidToken, WrongTokenType, TokenExpired, TokenRevoked: the token is not good.
    """
    claims = context.tokens.read(token, TokenType.REFRESH, datetime.datetime.now(datetime.UTC))
    await holder(context.reading.users, claims)
    return claims


async def holder(users: UserReader, claims: Claims) -> Account:
    """Return the user of a token that is in force.

    Raises:
        InvalidToken: the user is gone or disabled.
        TokenRevoked: its session, or its generation in it, is on the blocklist.
    """
    found = await users.holder_of(claims.user_id, claims.session_id, generation(claims.jti))
    if found is None or not found.is_active:
        raise InvalidToken
    if found.revoked:
        raise TokenRevoked
    return found
