"""Seals: keyed digests, of what others keep for this service (cursors) and of what it must not keep itself (requests).

Whoever does not hold the secret can neither make one nor try out what it stands for.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence

TAG_BYTES = 16


class Seals:
    """Digests under keys of their own, derived from the secrets: the first one seals, all of them are recognised."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._keys = tuple(hmac.digest(secret, b"postern seals", "sha256") for secret in secrets)

    def digests(self, purpose: str, content: bytes) -> tuple[bytes, ...]:
        """Return the content's digests, 32 bytes each: today's first, then those that former secrets made of it."""
        return tuple(hmac.digest(key, f"{purpose}\0".encode() + content, "sha256") for key in self._keys)

    def seal(self, purpose: str, content: bytes) -> str:
        """Return the content, readable, as text that is URL-safe and can't be changed or put to another purpose."""
        tag = self.digests(purpose, content)[0][:TAG_BYTES]
        return base64.urlsafe_b64encode(tag + content).rstrip(b"=").decode()

    def open(self, purpose: str, sealed: str) -> bytes | None:
        """Return the content of what was sealed for this purpose; None for everything else."""
        try:
            packed = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        tag, content = packed[:TAG_BYTES], packed[TAG_BYTES:]
        known = any(hmac.compare_digest(tag, digest[:TAG_BYTES]) for digest in self.digests(purpose, content))
        # Base64 can spell the same bytes in several ways; one of them is ours.
        canonical = base64.urlsafe_b64encode(packed).rstrip(b"=").decode() == sealed
        return content if known and canonical else None
