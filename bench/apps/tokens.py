"""The service's tokens, read and signed with PyJWT's usual functions, for all peers that have no library of their own.

What is checked is what the service checks: signature, `typ`, `exp`, `nbf`, `iat`, `iss`, `aud`, and that the other
claims are there. What the database knows of a token, each peer asks it in its own way.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import uuid
from dataclasses import dataclass
from typing import Any

import jwt

SECRET_KEY = os.environ["SECRET_KEY"]
KID = hashlib.sha256(b"kid:" + SECRET_KEY.encode()).hexdigest()[:16]
ISSUER = AUDIENCE = "postern"
ACCESS_SECONDS = int(os.environ.get("ACCESS_TOKEN_SECONDS", "900"))
ACCESS = datetime.timedelta(seconds=ACCESS_SECONDS)
REFRESH = datetime.timedelta(days=30)
SESSION = datetime.timedelta(days=90)
_OPTIONS: Any = {"require": ["exp", "iat", "nbf", "iss", "aud", "sub", "jti", "sid"]}


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says: whose it is, and the two ids under which it may be on the blocklist."""

    user_id: int
    blocked_ids: tuple[uuid.UUID, uuid.UUID]


@dataclass(frozen=True, slots=True)
class NewSession:
    """A login that begins: its row but for whose it is, and its two tokens."""

    row: dict[str, Any]
    access_token: str
    refresh_token: str

    @property
    def answer(self) -> dict[str, Any]:
        """What a login answers beside the user."""
        return {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
        }


def read(token: str) -> Claims:
    """Return what an access token says.

    Raises:
        jwt.InvalidTokenError: it is not a good one.
    """
    decoded = jwt.decode_complete(
        token, SECRET_KEY, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER, options=_OPTIONS
    )
    if decoded["header"].get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("not an access token")
    payload = decoded["payload"]
    try:
        return Claims(int(payload["sub"]), (uuid.UUID(payload["sid"]), generation(uuid.UUID(payload["jti"]))))
    except ValueError as error:
        raise jwt.InvalidTokenError("a claim is malformed") from error


def generation(jti: uuid.UUID) -> uuid.UUID:
    """Return what the jtis of a session have in common until its password is changed."""
    return uuid.UUID(bytes=jti.bytes[:8] + bytes(8))


def begin(user_id: int, ip: str | None, user_agent: str | None) -> NewSession:
    """Make a session for a user, and sign its pair of tokens."""
    now = datetime.datetime.now(datetime.UTC)
    second = now.replace(microsecond=0)
    refresh_jti = uuid.uuid4()
    row: dict[str, Any] = {
        "id": uuid.uuid4(),
        "user_id": user_id,
        "refresh_jti": refresh_jti,
        "access_jti": uuid.UUID(bytes=refresh_jti.bytes[:8] + uuid.uuid4().bytes[8:]),
        "kid": KID,
        "issued_at": now,
        "access_expires_at": second + ACCESS,
        "expires_at": second + REFRESH,
        "ends_at": second + SESSION,
        "ip": ip,
        "user_agent": user_agent,
    }
    return NewSession(
        row,
        access_token=_sign(row, "at+jwt", row["access_jti"], second + ACCESS),
        refresh_token=_sign(row, "rt+jwt", row["refresh_jti"], second + REFRESH),
    )


def _sign(row: dict[str, Any], typ: str, jti: uuid.UUID, expires_at: datetime.datetime) -> str:
    issued_at = int(row["issued_at"].timestamp())
    payload = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(row["user_id"]),
        "jti": str(jti),
        "sid": str(row["id"]),
        "iat": issued_at,
        "nbf": issued_at,
        "exp": int(expires_at.timestamp()),
    }
    return jwt.encode(payload, SECRET_KEY, algorithm="HS256", headers={"typ": typ, "kid": KID})
