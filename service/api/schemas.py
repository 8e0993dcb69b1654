"""What goes over the wire: the models of bodies, queries and answers. Lengths count characters (code points)."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from service.paging import Page
from service.tokens import TokenPair

PER_PAGE_LIMIT = 100
USERNAME_LIMIT = 80
PASSWORD_EXAMPLE = "correct horse battery"  # noqa: S105 - of nobody

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


# The pattern is what all kinds of regular expressions understand: no white space, and of ASCII's signs only three.
Username = Annotated[
    str,
    AfterValidator(_username),
    WithJsonSchema(
        {
            "type": "string",
            "description": "Letters and digits of any script, `_`, `.` and `-`; the length is that of its NFC.",
            "minLength": 3,
            "maxLength": 80,
            "pattern": r"^[^\s!-,/:-@\[-^`{-~]+$",
            "examples": ["ann"],
        }
    ),
]
Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=120),
    AfterValidator(_email),
    Field(json_schema_extra={"format": "idn-email", "examples": ["ann@example.com"]}),
]
Password = Annotated[
    str,
    StringConstraints(min_length=1),
    Field(json_schema_extra={"format": "password", "examples": [PASSWORD_EXAMPLE]}),
]
NewPassword = Annotated[
    str,
    StringConstraints(min_length=8, max_length=128),
    Field(
        description="Not the name or the email, and none of the most common ones.",
        json_schema_extra={"format": "password", "examples": [PASSWORD_EXAMPLE]},
    ),
]
RowId = Annotated[int, Field(ge=1, json_schema_extra={"format": "int64", "examples": [1]})]
Digits = Annotated[int, BeforeValidator(_digits)]


Token = Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiIs...Q4vLw"])]


class Body(BaseModel):
    """A request's body: unknown members are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """A request's query: unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid")


class Login(Body):
    """Who logs in. Rules of length apply where a password is set, not here."""

    title_when_absent: ClassVar = "Email and password required"

    email: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), Field(examples=["ann@example.com"])]
    password: Password


class TokenRequest(BaseModel):
    """The form of a token request in OAuth 2.0: of the password grant (RFC 6749 §4.3.2), or of refreshing (§6)."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"grant_type": {"const": "password"}}},
            "then": {"required": ["username", "password"]},
            "else": {"required": ["refresh_token"]},
            "examples": [{"grant_type": "password", "username": "ann", "password": PASSWORD_EXAMPLE}],
        }
    )

    grant_type: Literal["password", "refresh_token"]
    username: str = Field("", min_length=1, description="The email or the username.")
    password: str = Field("", min_length=1, json_schema_extra={"format": "password"})
    refresh_token: str = Field("", min_length=1)


class OAuthRefusal(BaseModel):
    """A refused token request (RFC 6749 §5.2)."""

    error: Literal["invalid_grant", "invalid_request", "unsupported_grant_type"]
    error_description: Annotated[str, Field(examples=["Invalid credentials"])]


class PasswordChange(Body):
    """One's own password, and what it is to be."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"current_password": PASSWORD_EXAMPLE, "new_password": "battery staple horse"}]}
    )

    current_password: Password
    new_password: NewPassword


class NewUser(Body):
    """An account to be made."""

    username: Username
    email: Email
    password: NewPassword


class UserChanges(Body):
    """What to set of an account: at least one member. Absent ones stay; only admins may set `role` and `is_active`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "examples": [{"username": "ann.smith"}]})

    # The defaults are never used.
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
    per_page: Annotated[
        Digits,
        Field(ge=1, description="More than 100 means 100."),
        AfterValidator(lambda size: min(size, PER_PAGE_LIMIT)),
    ] = 20

    def to_page(self) -> Page:
        """Return the value that repositories take."""
        return Page(self.page, self.per_page)


class PublicUser(BaseModel):
    """An account as every signed-in user sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: RowId
    username: Annotated[str, Field(examples=["ann"])]
    is_active: bool
    created_at: datetime
    updated_at: datetime


class PrivateUser(PublicUser):
    """An account as its user and admins see it."""

    email: Annotated[str, Field(examples=["ann@example.com"])]
    role: Literal["user", "admin"]


class UserPage(BaseModel):
    """One page of the accounts, newest first; ``total_capped`` comes only with a total that is not exact."""

    users: list[PrivateUser | PublicUser]
    per_page: Annotated[int, Field(examples=[20])]
    next_cursor: Annotated[str | None, Field(examples=[None])]
    total: int
    pages: int
    current_page: int
    total_capped: Literal[True] = True


class Tokens(BaseModel):
    """A pair of tokens (RFC 6749 §5.1); ``expires_in`` is the access token's, in seconds."""

    access_token: Token
    refresh_token: Token
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Field(ge=1, examples=[900])]

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
    ip: Annotated[
        str | None, BeforeValidator(lambda ip: None if ip is None else str(ip)), Field(examples=["192.0.2.7"])
    ]
    user_agent: Annotated[str | None, Field(examples=["curl/8.5.0"])]
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

    message: Annotated[str, Field(examples=["Token revoked"])]


class SecretData(BaseModel):
    """What only admins read."""

    data: Annotated[str, Field(examples=["secret admin data"])]


class Links(BaseModel):
    """What this is, and where things are."""

    name: Annotated[str, Field(examples=["postern"])]
    version: Annotated[str, Field(examples=["1.0.0"])]
    links: Annotated[dict[str, str], Field(examples=[{"users": "/api/users/"}])]


class ProblemKind(BaseModel):
    """A problem that an answer's `type` may name."""

    type: Annotated[str, Field(examples=["/problems/not-found"])]
    title: Annotated[str, Field(examples=["Not found"])]
    status: Annotated[int, Field(ge=400, le=599, examples=[404])]
    code: Annotated[str, Field(examples=["NOT_FOUND"])]
    explanation: Annotated[str, Field(examples=["There is nothing at this path."])]


class ProblemList(BaseModel):
    """The problems that an answer's `type` may name."""

    problems: list[ProblemKind]


class KeySet(BaseModel):
    """Public keys (RFC 7517 §5)."""

    keys: list[dict[str, str]]


class Health(BaseModel):
    """That all is well; when it is not, the answer is a problem."""

    status: Literal["ok"]
