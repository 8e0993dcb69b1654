"""Keys and tokens for tests: made once a run, and signed past the codec, as an attacker or another library would."""

from __future__ import annotations

import base64
import datetime
import json
import tempfile
import uuid
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from jwt.algorithms import get_default_algorithms
from service.keys import Algorithm, Key, new_pem, read_pem, secret
from service.tokens import Claims, TokenCodec

SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
CLAIMS = Claims(
    user_id=7,
    session_id=uuid.UUID("0b0e5b9e-6a51-4f43-9a6f-6d1a0f3f5a10"),
    jti=uuid.UUID("5f0c8a34-3a0d-4c0a-8c6b-1c9f3d6c7e21"),
    issued_at=NOW,
    expires_at=NOW + datetime.timedelta(seconds=900),
)
ALGORITHMS: tuple[Algorithm, ...] = ("HS256", "EdDSA", "RS256")


def pem(algorithm: Literal["EdDSA", "RS256"], name: str = "a") -> bytes:
    """A private key's file: the same for the same name."""
    return _made(algorithm, name)


@cache
def _made(algorithm: Literal["EdDSA", "RS256"], name: str) -> bytes:
    return new_pem(algorithm)


def public_pem(private: bytes) -> bytes:
    key = cast(Ed25519PrivateKey | RSAPrivateKey, load_pem_private_key(private, None))
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@cache
def key(algorithm: Algorithm, name: str = "a", *, public: bool = False) -> Key:
    """A key of each kind, the same for the same name; ``public`` is what only verifies."""
    if algorithm == "HS256":
        return secret(SECRET + name, "SECRET_KEY")
    content = pem(algorithm, name)
    with tempfile.NamedTemporaryFile() as file:
        file.write(public_pem(content) if public else content)
        file.flush()
        return read_pem(Path(file.name), private_only_to_us=True)


def codec(*keys: Key) -> TokenCodec:
    return TokenCodec(keys, issuer="us", audience="them", access_seconds=900, refresh_seconds=3600)


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def unb64(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=="))


def signed_bytes(header: bytes, payload: bytes, key: Key) -> str:
    """A token with a right signature over anything."""
    text = f"{b64(header)}.{b64(payload)}"
    signature = get_default_algorithms()[key.algorithm].sign(text.encode(), cast(Any, key.signing))
    return f"{text}.{b64(signature)}"


def signed(header: object, payload: object, key: Key) -> str:
    return signed_bytes(json.dumps(header).encode(), json.dumps(payload).encode(), key)
