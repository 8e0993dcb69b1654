"""CORS: which origins' pages may read the answers of the API (Fetch standard, section CORS protocol)."""

from __future__ import annotations

Headers = list[tuple[bytes, bytes]]
"""As in ASGI: names in lower case."""

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""What the service knows at all."""


class CORS:
    """An allow-list of origins; ``*`` allows all, and then never with credentials."""

    ALLOWED: Headers = [  # noqa: RUF012 - never changed
        (b"access-control-allow-methods", ", ".join(METHODS).encode()),
        (
            b"access-control-allow-headers",
            b"Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, X-Request-ID",
        ),
        (b"access-control-max-age", b"600"),
    ]
    EXPOSED = (
        b"access-control-expose-headers",
        b"ETag, Idempotency-Replayed, Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, "
        b"Retry-After, WWW-Authenticate, X-Request-ID",
    )

    def __init__(self, origins: tuple[str, ...], *, credentials: bool) -> None:
        self._any = "*" in origins
        self._origins = frozenset(origin.encode() for origin in origins)
        self._credentials = credentials and not self._any

    def headers(self, origin: bytes | None) -> Headers:
        """Return what an answer to a page of this origin carries: nothing when the origin is not on the list."""
        if origin is None or not (self._any or origin in self._origins):
            return []
        headers = [(b"access-control-allow-origin", b"*" if self._any else origin), self.EXPOSED]
        return [*headers, (b"access-control-allow-credentials", b"true")] if self._credentials else headers

    def preflight(self, method: str, headers: dict[bytes, bytes]) -> Headers | None:
        """Return what a preflight request is answered with; None for any other request."""
        if method != "OPTIONS" or b"origin" not in headers or b"access-control-request-method" not in headers:
            return None
        return self.ALLOWED if self.headers(headers[b"origin"]) else []
