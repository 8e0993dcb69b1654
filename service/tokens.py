"""Access and refresh tokens: what they say, how they are signed and what is refused. The only importer of `jwt`.

JWT as in RFC 7519, profiled by RFC 9068: the header's `typ` tells the two kinds apart. Whether a token is revoked, and
who its user is, only the database knows; nothing here asks it.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

import jwt
from jwt.api_jws import PyJWS

from service.config import ConfigurationError
from service.errors import InvalidToken, TokenExpired, WrongTokenType
from service.keys import Key

TOKEN_LIMIT_BYTES = 4096
KNOWN_TOKENS = 1024
"""How many tokens whose signature was good are known again: a client sends the same one for a quarter of an hour."""
CLOCK_TOLERANCE_SECONDS = 30
"""How far `iat` and `nbf` may lie ahead; `exp` has no tolerance (contract: Accounts and tokens)."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_USER_ID = re.compile(r"[1-9][0-9]{0,18}")
_HEADER_MEMBERS = {"alg", "typ", "kid"}

Verifies = Callable[[bytes, bytes], bool]
"""Tells of what was signed, and of a signature, whether they belong together."""


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


def new_jti() -> uuid.UUID:
    """Return a random jti, the first of a generation.

    All jtis of one session between two changes of its password share a generation, so that one entry of the blocklist
    refuses every token from before a change and none from after it, exactly. Comparing times could not: they are whole
    seconds, and a token may be issued in the very second of the change.
    """
    return uuid.uuid4()


def next_jti(jti: uuid.UUID) -> uuid.UUID:
    """Return another jti of the same generation: its first 8 bytes, then random ones, as a UUID of version 4."""
    return uuid.UUID(bytes=jti.bytes[:8] + uuid.uuid4().bytes[8:])  # the version is in the first half


@lru_cache(maxsize=KNOWN_TOKENS)
def generation(jti: uuid.UUID) -> uuid.UUID:
    """Return what the jtis of one generation have in common: their first 8 bytes, then zeros, which no jti has there.

    60 bits of it are random: enough to tell apart the sessions that live within one access token's time.
    """
    return uuid.UUID(bytes=jti.bytes[:8] + bytes(8))


class TokenCodec:
    """Signs tokens with the first of its keys and reads those of all of them.

    ``*_seconds`` bound how long a token of each kind may live, in seconds.

    Raises:
        ConfigurationError: a secret that stock libraries would not verify with, since it is a key of another kind.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        *,
        issuer: str,
        audience: str,
        access_seconds: int,
        refresh_seconds: int,
        limit_bytes: int = TOKEN_LIMIT_BYTES,
    ) -> None:
        if not keys or not keys[0].can_sign:
            raise ValueError("the first key has to be one that can sign")
        self._first_kid = keys[0].kid
        self._keys = {key.kid: key for key in keys}
        self._signing = {key.kid: (key.algorithm, key.signing) for key in keys if key.signing is not None}
        self._issuer = issuer
        self._audience = audience
        self._lifetime_seconds = {TokenType.ACCESS: access_seconds, TokenType.REFRESH: refresh_seconds}
        self._limit_bytes = limit_bytes
        self._jws = PyJWS(algorithms=sorted({key.algorithm for key in keys}))
        self._verifiers = {key.kid: self._verifier(key) for key in keys}
        # All tokens of one key and type begin alike; and what was signed once, stays signed. Refusals are not kept.
        self._header = lru_cache(maxsize=64)(self._read_header)
        self._content = lru_cache(maxsize=KNOWN_TOKENS)(self._read_content)
        self._claims = lru_cache(maxsize=KNOWN_TOKENS)(self._read_claims)

    @property
    def signing_kid(self) -> str:
        """The kid of new tokens."""
        return self._first_kid

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public keys as a JWK set (RFC 7517 §5); secrets have no public part, and are not in it."""
        keys = [
            {**key.jwk, "kid": key.kid, "use": "sig", "alg": key.algorithm}
            for key in self._keys.values()
            if key.jwk is not None
        ]
        return {"keys": keys}

    def sign(self, claims: Claims, token_type: TokenType, *, kid: str | None = None) -> str:
        """Return the token; equal claims and keys give equal bytes.

        ``kid`` names the key that a stored pair was signed with before, so that it is the same pair again after the
        first key has changed; where that key is gone, or can only verify, the first one signs.
        """
        kid = kid if kid in self._signing else self.signing_kid
        algorithm, key = self._signing[kid]
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
        header = {"typ": token_type.value, "kid": kid}
        content = json.dumps(payload, separators=(",", ":")).encode()
        return self._jws.encode(content, key, algorithm=algorithm, headers=header)

    def read(self, token: str, token_type: TokenType, now: datetime.datetime) -> Claims:
        """Return what a token says, once it is proven ours, of this type, and in force at ``now``.

        The order of refusals is the contract's: signature, `typ`, `exp`, the other claims.

        Raises:
            InvalidToken: the form, the signature or a claim is wrong.
            WrongTokenType: a valid token of the other type.
            TokenExpired: `exp` is reached.
        """
        typ, payload = self._content(token)
        if typ != token_type.value:
            raise WrongTokenType if typ in [kind.value for kind in TokenType] else InvalidToken
        self._refuse_untimely(payload, self._lifetime_seconds[token_type], int(now.timestamp()))
        return self._claims(token)

    def _read_content(self, token: str) -> tuple[object, dict[str, object]]:
        """Return a token's `typ` and what it says, once its signature is proven ours."""
        if len(token) > self._limit_bytes or not _COMPACT.fullmatch(token):
            raise InvalidToken
        signed, _, signature = token.rpartition(".")
        header, _, content = signed.partition(".")
        verifies, typ = self._header(header)
        try:
            is_ours = verifies(signed.encode(), _bytes(signature))
            payload = _json(_bytes(content)) if is_ours else None
        except (ValueError, RecursionError) as error:
            raise InvalidToken from error
        if not isinstance(payload, dict):
            raise InvalidToken
        return typ, payload

    def _read_header(self, segment: str) -> tuple[Verifies, object]:
        """Return what verifies a signature by the key that a header names, and its `typ`; unknown members are refused.

        What verifies has the key's one algorithm, never the header's: a public key must not become an HMAC's secret.
        """
        try:
            header = _json(_bytes(segment))
            algorithm, verifies = self._verifiers[header["kid"]]
        except (ValueError, RecursionError, TypeError, LookupError) as error:
            raise InvalidToken from error
        if header.keys() != _HEADER_MEMBERS or header["alg"] != algorithm:
            raise InvalidToken
        return verifies, header["typ"]

    def _verifier(self, key: Key) -> tuple[str, Verifies]:
        algorithm = self._jws.get_algorithm_by_name(key.algorithm)
        try:
            prepared = algorithm.prepare_key(key.verifying)
        except jwt.InvalidKeyError as error:
            fault = f"{key.source} is a key of another kind: list its file in TOKEN_KEYS, and make a random secret"
            raise ConfigurationError([fault]) from error
        return key.algorithm, lambda signed, signature: algorithm.verify(signed, prepared, signature)

    def _refuse_untimely(self, payload: dict[str, object], lifetime_seconds: int, now: int) -> None:
        expires = _seconds(payload.get("exp"))
        if expires <= now:
            raise TokenExpired
        issued, not_before = _seconds(payload.get("iat")), _seconds(payload.get("nbf"))
        latest = now + CLOCK_TOLERANCE_SECONDS
        if issued > latest or not_before > latest or not 0 < expires - issued <= lifetime_seconds:
            raise InvalidToken

    def _read_claims(self, token: str) -> Claims:
        """Return the claims of a token that is ours and not untimely."""
        _, payload = self._content(token)
        if payload.get("iss") != self._issuer or payload.get("aud") != self._audience:
            raise InvalidToken
        return Claims(
            user_id=_user_id(payload.get("sub")),
            session_id=_uuid(payload.get("sid")),
            jti=_uuid(payload.get("jti")),
            issued_at=datetime.datetime.fromtimestamp(_seconds(payload.get("iat")), datetime.UTC),
            expires_at=datetime.datetime.fromtimestamp(_seconds(payload.get("exp")), datetime.UTC),
        )


def _bytes(segment: str) -> bytes:
    """Return what a segment stands for (RFC 7515 §2); of several spellings of it, only the one that encoders give."""
    content = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if base64.urlsafe_b64encode(content).rstrip(b"=") != segment.encode():
        raise ValueError("not base64url as it is written")
    return content


def _json(content: bytes) -> Any:
    """Return what is UTF-8 and completely valid JSON (RFC 7519 §7.2); `json.loads` of bytes insists on neither."""
    return _DECODER.decode(content.decode())


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


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
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise InvalidToken
    return uuid.UUID(value)
