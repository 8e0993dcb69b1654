"""The keys that sign and verify tokens: where they come from, and what they are called.

What a token says and how it is signed is not here (`service/tokens.py`); which keys there are, the settings say.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from service.config import ConfigurationError, Settings

RSA_BITS = 2048
"""RFC 7518 §3.3: a key of RS256 has at least these."""
MADE_RSA_BITS = 3072
FILE_LIMIT_BYTES = 2**16

Algorithm = Literal["HS256", "EdDSA", "RS256"]
PublicKey = Ed25519PublicKey | RSAPublicKey
PrivateKey = Ed25519PrivateKey | RSAPrivateKey


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """One key: ``verifying`` reads tokens, ``signing`` makes them where there is one; ``source`` names it to operators.

    ``jwk`` is the public part alone (RFC 7517, RFC 8037); None for a secret, which has none.
    """

    kid: str
    algorithm: Algorithm
    source: str
    verifying: bytes | PublicKey = field(repr=False)
    signing: bytes | PrivateKey | None = field(repr=False)
    jwk: Mapping[str, str] | None = None

    @property
    def can_sign(self) -> bool:
        """Whether this is more than a public key."""
        return self.signing is not None


def configured_keys(settings: Settings) -> list[Key]:
    """Return the keys that the settings name, the one that signs first. Their files are read now.

    Raises:
        ConfigurationError: a key can't be used, is named twice, or the first can't sign; a line for each fault.
    """
    keys: list[Key] = []
    faults: list[str] = []
    for entry in settings.token_keys:
        try:
            keys += _secrets(settings) if entry == "SECRET_KEY" else [_from_file(entry, settings)]
        except ConfigurationError as error:
            faults += error.faults
    faults = faults or list(_faults_of_all(keys))
    if faults:
        raise ConfigurationError(faults)
    return keys


def secret(value: str, source: str) -> Key:
    """Return the HS256 key whose bytes are these; its kid does not tell them."""
    content = value.encode(errors="surrogateescape")  # the bytes that the environment had
    kid = hashlib.sha256(b"kid:" + content).hexdigest()[:16]
    return Key(kid, "HS256", source, verifying=content, signing=content)


def read_pem(path: Path, *, private_only_to_us: bool) -> Key:
    """Return the key of a PEM file: private, PKCS#8 or PKCS#1, not encrypted; or public, which only verifies.

    ``private_only_to_us`` refuses a private key that other accounts of the machine may read.

    Raises:
        ConfigurationError: it can't be used; one line says why.
    """
    content, status = _read(path)
    private, public = _parsed(path, content)
    if private is not None and private_only_to_us and _is_open_to_others(status):
        raise _fault(path, "is a private key that others may read: chmod 600, or 640 when root owns it")
    if isinstance(public, RSAPublicKey) and public.key_size < RSA_BITS:
        raise _fault(path, f"is too short, {public.key_size} bits: RS256 needs {RSA_BITS}")
    algorithm: Algorithm = "RS256" if isinstance(public, RSAPublicKey) else "EdDSA"
    jwk = _jwk(public)
    return Key(_thumbprint(jwk), algorithm, str(path), verifying=public, signing=private, jwk=MappingProxyType(jwk))


def new_pem(algorithm: Literal["EdDSA", "RS256"]) -> bytes:
    """Make a private key; return it as unencrypted PKCS#8 in PEM."""
    made = Ed25519PrivateKey.generate() if algorithm == "EdDSA" else generate_private_key(65537, MADE_RSA_BITS)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _secrets(settings: Settings) -> list[Key]:
    """Return the secret and, behind it, its fallbacks."""
    if settings.secret_key is None:
        raise ValueError("settings that were not loaded by Settings.load() have no secret key")
    fallbacks = [
        secret(fallback.get_secret_value(), f"SECRET_KEY_FALLBACKS #{number}")
        for number, fallback in enumerate(settings.secret_key_fallbacks, 1)
    ]
    return [secret(settings.secret_key.get_secret_value(), "SECRET_KEY"), *fallbacks]


def _from_file(entry: str, settings: Settings) -> Key:
    return read_pem(Path(entry), private_only_to_us=settings.production)


def _faults_of_all(keys: list[Key]) -> Iterator[str]:
    if not keys[0].can_sign:
        yield f"TOKEN_KEYS: {keys[0].source!r} is a public key, and the first has to sign: put a private one first"
    seen: dict[str, Key] = {}
    for key in keys:
        if key.kid in seen:
            yield f"TOKEN_KEYS: {seen[key.kid].source!r} and {key.source!r} are one key: name it once"
        seen.setdefault(key.kid, key)


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    """Return what a file holds, and its mode and owner as they were when it was opened."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
            raise _fault(path, "is no file")
        with path.open("rb") as file:
            return file.read(FILE_LIMIT_BYTES), os.fstat(file.fileno())
    except OSError as error:
        raise _fault(path, f"can't be read: {error.strerror}") from error
    except ValueError as error:  # U+0000 in the path
        raise _fault(path, "is no path") from error


def _parsed(path: Path, content: bytes) -> tuple[PrivateKey | None, PublicKey]:
    if content.count(b"-----BEGIN ") > 1:
        raise _fault(path, "holds more than one key: TOKEN_KEYS takes a file for each")
    try:
        if b" PRIVATE KEY-----" in content:
            private = load_pem_private_key(content, password=None)
            if isinstance(private, PrivateKey):
                return private, private.public_key()
        else:
            public = load_pem_public_key(content)
            if isinstance(public, PublicKey):
                return None, public
    except TypeError as error:
        raise _fault(path, "is encrypted: nobody is there to type its password when the service starts") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _fault(path, "holds no key in PEM: postern keys make PATH makes one") from error
    raise _fault(path, "is a key of another kind: Ed25519 and RSA are known")


def _is_open_to_others(status: os.stat_result) -> bool:
    """Whether accounts beside the owner may touch the file; the group may read what root owns.

    Mounted secrets belong to root, and their group is how a service that isn't root reads them.
    """
    allowed = 0o640 if status.st_uid == 0 else 0o600
    return os.name == "posix" and bool(status.st_mode & 0o077 & ~allowed)


def _jwk(public: PublicKey) -> dict[str, str]:
    """Return the members that make the key what it is, in the order of their names, as its thumbprint needs them."""
    if isinstance(public, RSAPublicKey):
        numbers = public.public_numbers()
        return {"e": _base64url_uint(numbers.e), "kty": "RSA", "n": _base64url_uint(numbers.n)}
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public.public_bytes(Encoding.Raw, PublicFormat.Raw))}


def _thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the JWK thumbprint (RFC 7638 §3): the same for the private and the public file of one key."""
    canonical = json.dumps(dict(jwk), separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _base64url_uint(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _fault(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError([f"TOKEN_KEYS: {str(path)!r} {what}"])
