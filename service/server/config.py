"""Hypercorn's configuration, and what the engine needs beside it."""

from __future__ import annotations

import json
import logging
import sys
import uuid
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from hypercorn.config import Config
from hypercorn.logging import Logger as HypercornLogger

from service.server.grammar import Headers

Refusal = tuple[int, Headers, bytes]
"""Status, headers and body of an answer."""

log = logging.getLogger("hypercorn.access")


def problem(status: int, under_way: bool, client: str | None) -> Refusal:
    """Return a problem document (RFC 9457) with a request id, and leave a line in the access log, if there is one."""
    request_id, title = uuid.uuid4().hex, HTTPStatus(status).phrase
    if not under_way:
        log.info("%s: %d before the app, request id %s", client, status, request_id)
    document = {"type": "about:blank", "title": title, "status": status, "request_id": request_id}
    headers = [(b"content-type", b"application/problem+json"), (b"x-request-id", request_id.encode())]
    return status, headers, json.dumps(document).encode()


class Logger(HypercornLogger):
    """Hypercorn's logger, whose access lines nobody breaks: the path is as it was sent, `%0a` and all."""

    def atoms(self, request: Any, response: Any, request_time: float) -> Mapping[str, str]:
        """Return what the format of an access line may name."""
        path = ascii(request["raw_path"].decode("latin-1"))[1:-1]
        scope: Any = {**request, "path": path}
        scope["headers"] = [(name, ascii(value.decode("latin-1"))[1:-1].encode()) for name, value in request["headers"]]
        return super().atoms(scope, response, request_time)


class ServerConfig(Config):
    """Hypercorn's own settings hold, with other defaults for some; `h11_` ones are the engine's.

    A head is at most ``h11_max_incomplete_size`` bytes, and has a grammar of its own.
    """

    backlog = 2048
    include_server_header = False
    logger_class: type[HypercornLogger] = Logger
    keep_alive_max_requests = sys.maxsize
    worker_class = "uvloop"

    target_limit_bytes = 8192
    """Of a request's target: 414 beyond."""
    field_limit = 100
    """Of a head: 431 beyond."""
    head_seconds = 5.0
    """From a head's first byte to its last: 408 beyond."""
    body_seconds: float = 60.0
    """For a body to be whole, from when the app begins to wait for it: 408 beyond."""
    stall_seconds: float = 60.0
    """For a client to take what an answer has in the write buffer; it is cut off beyond."""
    last_request_seconds: float = 0.0
    """At a stop, for who keeps an idle connection to make one more request, whose answer says that it closes."""
    hung_timeout: float = 30.0
    """How many seconds nothing may be heard from a process, of several, whose event loop turns; it is killed then."""
    when_worn_out: Callable[[], None] | None = None
    """What to do when ``max_requests`` have come, in place of a stop."""

    refuse: Callable[[int, bool, str | None], Refusal] = staticmethod(problem)
    """``refuse(status, under_way, client)`` returns the whole answer to what comes to no app, or not to its end.

    The status is 400, 404 (another host than ``server_names``), 408, 414, 431 or 501, and 500 where the app gave no
    answer. What is under way has reached the app, which sees its client leave; ``client`` is an address, or None.
    """

    seconds_apart: Mapping[bytes, float] | None = None
    """How far apart requests begin that are dear, by method and path, when many come at once.

    `POST /login`: without escapes, and without a slash at the end.
    """
