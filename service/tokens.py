"""Access and refresh tokens: what they say, how they are signed and what is refused. The only importer of `jwt`.

JWT as in RFC 7519, profiled by RFC 9068: the header's `typ` tells the two kinds apart. Whether a token is revoked, and
who its user is, only the database knows; nothing here asks it.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import uuid
from dataclasses import dataclass
from enum import Enum

import jwt
from jwt.api_jws import PyJWS

from service.errors import InvalidToken, TokenExpired, WrongTokenType

ALGORITHM = "HS256"
TOKEN_LIMIT_BYTES = 4096
CLOCK_TOLERANCE_SECONDS = 30
"""How far `iat` and `nbf` may lie ahead; `exp` has no tolerance (contract: Accounts and tokens)."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_USER_ID = re.compile(r"[1-9][0-9]{0,18}")
_HEADER_MEMBERS = {"alg", "typ", "kid"}


class TokenType(Enum):
    """The header's `typ`."""

    ACCESS = "at+jwt"
    REFRESH = "rt+jwt"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: ``user_id`` is `sub`; the times are UTC, in whole seconds."""

    user_id: int
    session_id: uuid.UUID
    jti: uuid.UUID
    issued_at: datetime.datetime
    expires_at: datetime.datetime


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a login or a refresh gives; ``expires_in`` is the access token's, in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


class TokenCodec:
    """Signs and reads tokens with one key; ``*_seconds`` bound how long a token of each kind may live, in seconds."""

    def __init__(
        self,
        secret_key: str,
        *,
        issuer: str,
        audience: str,
        access_seconds: int,
        refresh_seconds: int,
        limit_bytes: int = TOKEN_LIMIT_BYTES,
    ) -> None:
        self._key = secret_key.encode(errors="surrogateescape")  # the bytes that the environment had
        self._kid = hashlib.sha256(b"kid:" + self._key).hexdigest()[:16]
        self._issuer = issuer
        self._audience = audience
        self._lifetime_seconds = {TokenType.ACCESS: access_seconds, TokenType.REFRESH: refresh_seconds}
        self._limit_bytes = limit_bytes
        self._jws = PyJWS(algorithms=[ALGORITHM])

    @property
    def signing_kid(self) -> str:
        """The key that signs."""
        return self._kid

    def sign(self, claims: Claims, token_type: TokenType, *, kid: str | None = None) -> str:
        """Return the token; equal claims give equal bytes."""
        issued_at = int(claims.issued_at.timestamp())
        payload = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(claims.user_id),
            "jti": str(claims.jti),
            "sid": str(claims.session_id),
            "iat": issued_at,
            "nbf": issued_at,
            "exp": int(claims.expires_at.timestamp()),
        }
        header = {"typ": token_type.value, "kid": self._kid}
        return self._jws.encode(
            json.dumps(payload, separators=(",", ":")).encode(), self._key, algorithm=ALGORITHM, headers=header
        )

    def read(self, token: str, token_type: TokenType, now: datetime.datetime) -> Claims:
        """Return what a token says, once it is proven ours, of this type, and in force at ``now``.

        The order of refusals is the contract's: signature, `typ`, `exp`, the other claims.

        Raises:
            InvalidToken: the form, the signature or a claim is wrong.
            WrongTokenType: a valid token of the other type.
            TokenExpired: `exp` is reached.
        """
        if len(token) > self._limit_bytes or not _COMPACT.fullmatch(token):
            raise InvalidToken
        try:
            decoded = self._jws.decode_complete(token, self._key, algorithms=[ALGORITHM])
            payload = json.loads(decoded["payload"])
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise InvalidToken from error
        header = decoded["header"]
        if header.keys() != _HEADER_MEMBERS or header["kid"] != self._kid or not isinstance(payload, dict):
            raise InvalidToken
        if header["typ"] != token_type.value:
            raise WrongTokenType if header["typ"] in [kind.value for kind in TokenType] else InvalidToken
        return self._claims(payload, self._lifetime_seconds[token_type], int(now.timestamp()))

    def _claims(self, payload: dict[str, object], lifetime_seconds: int, now: int) -> Claims:
        expires = _seconds(payload.get("exp"))
        if expires <= now:
            raise TokenExpired
        issued, not_before = _seconds(payload.get("iat")), _seconds(payload.get("nbf"))
        latest = now + CLOCK_TOLERANCE_SECONDS
        if issued > latest or not_before > latest or not 0 < expires - issued <= lifetime_seconds:
            raise InvalidToken
        if payload.get("iss") != self._issuer or payload.get("aud") != self._audience:
            raise InvalidToken
        return Claims(
            user_id=_user_id(payload.get("sub")),
            session_id=_uuid(payload.get("sid")),
            jti=_uuid(payload.get("jti")),
            issued_at=datetime.datetime.fromtimestamp(issued, datetime.UTC),
            expires_at=datetime.datetime.fromtimestamp(expires, datetime.UTC),
        )


def _seconds(value: object) -> int:
    """A NumericDate (RFC 7519 §2) as we issue it: whole, positive, and small enough to be a date."""
    if type(value) is not int or not 0 < value < 2**36:
        raise InvalidToken
    return value


def _user_id(value: object) -> int:
    if not isinstance(value, str) or not _USER_ID.fullmatch(value) or int(value) >= 2**63:
        raise InvalidToken
    return int(value)


def _uuid(value: object) -> uuid.UUID:
    """A UUID in the one spelling that we issue: the blocklist must not be dodged by another."""
    try:
        parsed = uuid.UUID(value) if isinstance(value, str) else None
    except ValueError as error:
        raise InvalidToken from error
    if parsed is None or str(parsed) != value:
        raise InvalidToken
    return parsed


def new_jti() -> uuid.UUID:
    """Return a `jti` of a generation of its own (`generation`)."""
    return uuid.uuid4()


def next_jti(jti: uuid.UUID) -> uuid.UUID:
    """Return another `jti` of the same generation."""
    return uuid.UUID(bytes=jti.bytes[:8] + uuid.uuid4().bytes[8:])


def generation(jti: uuid.UUID) -> uuid.UUID:
    """Return what all ids of one session have in common between two changes of the password.

    One entry of the blocklist refuses them all, exactly: times would not do, since tokens know whole seconds.
    """
    return uuid.UUID(bytes=jti.bytes[:8] + bytes(8))
