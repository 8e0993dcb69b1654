"""What goes over the wire: the models of bodies, queries and answers. Lengths count characters (code points)."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from service.paging import Page
from service.tokens import TokenPair

PER_PAGE_LIMIT = 100
USERNAME_LIMIT = 80

# Blank to the eye though not by their category: two names that differ in one of them look the same. Unicode's
# Default_Ignorable_Code_Point less the categories that are refused anyway, and two symbols without ink.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U0001d159"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_EMAIL = re.compile(rf'[^\s@"(),:;<>\[\]\\.]+(?:\.[^\s@"(),:;<>\[\]\\.]+)*@(?:{_LABEL}\.)+{_LABEL}')


def _username(value: str) -> str:
    """Join letters and their accents (Unicode NFC), so that the length is that of what is stored.

    What is too long even if each letter came with three accents is not joined: that takes quadratic time.
    """
    name = unicodedata.normalize("NFC", value) if len(value) <= 4 * USERNAME_LIMIT else value
    if not 3 <= len(name) <= USERNAME_LIMIT:
        raise PydanticCustomError("string_length", "3 to 80 characters are needed")
    if not all(character in "_.-" or _is_letter_or_digit(character) for character in name):
        raise PydanticCustomError("username", "Letters, digits, '_', '.' and '-' only")
    return name


def _is_letter_or_digit(character: str) -> bool:
    category = unicodedata.category(character)
    return (category[0] == "L" or category == "Nd") and character not in _BLANK


def _email(value: str) -> str:
    printable = all(unicodedata.category(character)[0] not in "CZ" for character in value)
    if not (printable and _EMAIL.fullmatch(value)) or not _BLANK.isdisjoint(value):
        raise PydanticCustomError("email", "An email address with a dotted domain is needed")
    return value


def _digits(value: Any) -> Any:
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise PydanticCustomError("int_parsing", "A whole number is needed, in digits")
    return value


Username = Annotated[str, AfterValidator(_username)]
Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=120), AfterValidator(_email)]
NewPassword = Annotated[str, StringConstraints(min_length=8, max_length=128)]
Digits = Annotated[int, BeforeValidator(_digits)]


class Body(BaseModel):
    """A request's body: unknown members are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """A request's query: unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid")


class Login(Body):
    """Who logs in. Rules of length apply where a password is set, not here."""

    title_when_absent: ClassVar = "Email and password required"

    email: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    password: Annotated[str, StringConstraints(min_length=1)]


class PasswordChange(Body):
    """One's own password, and what it is to be."""

    current_password: Annotated[str, StringConstraints(min_length=1)]
    new_password: NewPassword


class NewUser(Body):
    """An account to be made."""

    username: Username
    email: Email
    password: NewPassword


class UserChanges(Body):
    """What to set of an account: at least one member. Absent ones stay; the defaults here are never used."""

    username: Username = ""
    email: Email = ""
    role: Literal["user", "admin"] = "user"
    is_active: bool = True

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_to_change", "At least one member is needed")
        return self


class PageQuery(Query):
    """Which page of a list. More than 100 rows a page means 100."""

    page: Annotated[Digits, Field(ge=1, le=10_000)] = 1
    per_page: Annotated[Digits, Field(ge=1), AfterValidator(lambda size: min(size, PER_PAGE_LIMIT))] = 20

    def to_page(self) -> Page:
        """Return the value that repositories take."""
        return Page(self.page, self.per_page)


class PublicUser(BaseModel):
    """An account as every signed-in user sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    username: str
    is_active: bool
    created_at: datetime
    updated_at: datetime


class PrivateUser(PublicUser):
    """An account as its user and admins see it."""

    email: str
    role: Literal["user", "admin"]


class UserPage(BaseModel):
    """One page of the accounts, newest first; ``total_capped`` comes only with a total that is not exact."""

    users: list[PrivateUser | PublicUser]
    per_page: int
    next_cursor: str | None
    total: int
    pages: int
    current_page: int
    total_capped: bool = True


class Tokens(BaseModel):
    """A pair of tokens (RFC 6749 §5.1); ``expires_in`` is the access token's, in seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"]
    expires_in: int

    @classmethod
    def of(cls, pair: TokenPair, **more: Any) -> Self:
        """Return the pair as it goes over the wire, with ``more`` beside it."""
        tokens = {name: getattr(pair, name) for name in ("access_token", "refresh_token", "expires_in")}
        return cls(**tokens, token_type="Bearer", **more)  # noqa: S106 - the scheme's name (RFC 6750), no secret


class LoggedIn(Tokens):
    """What a login answers."""

    user: PrivateUser


class SessionView(BaseModel):
    """One login; ``ip`` and ``user_agent`` are those of its last refresh, ``current`` marks the one in use."""

    id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    ip: Annotated[str | None, BeforeValidator(lambda ip: None if ip is None else str(ip))]
    user_agent: str | None
    current: bool

    @classmethod
    def of(cls, session: Any, *, current: UUID) -> Self:
        """Return a row of the collection, to be shown to who uses the session ``current``."""
        shown = {name: getattr(session, name) for name in cls.model_fields if name != "current"}
        return cls(**shown, current=session.id == current)


class SessionList(BaseModel):
    """One's own sessions, newest first; the newest thousand if there are more."""

    sessions: list[SessionView]


class Message(BaseModel):
    """A sentence."""

    message: str


class SecretData(BaseModel):
    """What only admins read."""

    data: str
