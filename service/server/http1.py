"""HTTP/1.1 on the clear port and nothing else: what Hypercorn would answer, or switch to, before the app sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import h11
from hypercorn.config import Config
from hypercorn.events import Closed
from hypercorn.protocol.h11 import H11Protocol

Refusal = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers and body of an answer."""


class ServerConfig(Config):
    """Hypercorn's configuration, and how to answer a request that is none.

    ``refuse(status)`` returns the whole answer for what h11 would have answered with this bare status: 400, 431 or 501.
    """

    refuse: Callable[[int], Refusal]


class StrictHTTP1(H11Protocol):
    """Hypercorn's HTTP/1.1, without the ways out of it, and with refusals that look like all others."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Ignore `Upgrade: h2c`, as RFC 9110 §7.8 allows: HTTP/2 is spoken by ALPN, where there is TLS."""

    async def _create_stream(self, request: h11.Request) -> None:
        if request.http_version in (b"1.0", b"1.1"):
            await super()._create_stream(request)
        else:  # the preface of HTTP/2, for one
            await self._send_error_response(400)
            await self.send(Closed())

    async def _send_error_response(self, status_code: int) -> None:
        status, headers, body = cast(ServerConfig, self.config).refuse(status_code)
        closing = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        added = self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(status_code=status, headers=[*headers, *closing, *added]))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())
