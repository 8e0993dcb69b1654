"""`/api/auth`: logins, tokens, sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from service.api.schemas.bodies import Body
from service.api.schemas.fields import PASSWORD_EXAMPLE, NewPassword, Password, Token
from service.api.schemas.users import PrivateUser
from service.tokens import TokenPair


class Login(Body):
    """Who logs in. Rules of length apply where a password is set, not here."""

    title_when_absent: ClassVar = "Email and password required"

    email: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1),
        Field(json_schema_extra={"pattern": r"^[^\x00]*[^\x00\s][^\x00]*$", "examples": ["ann@example.com"]}),
    ]
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


class SecretData(BaseModel):
    """What only admins read."""

    data: Annotated[str, Field(examples=["secret admin data"])]
