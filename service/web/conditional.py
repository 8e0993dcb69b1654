"""Conditional requests (RFC 9110 §13): entity tags, and what `If-None-Match` and `If-Match` make of them.

A tag is a digest of the representation: what one caller may see of a resource has another tag than what another may.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from flask import Response, request
from pydantic import BaseModel

from service.errors import PreconditionFailed


def document(model: BaseModel) -> bytes:
    """Return the model as it goes out: a member that was not set is not part of it."""
    return model.model_dump_json(exclude_unset=True).encode()


def tag_of(representation: bytes) -> str:
    """Return the strong entity tag, without its quotes."""
    return base64.urlsafe_b64encode(hashlib.sha256(representation).digest()[:18]).decode()


def tag(response: Response) -> Response:
    """Give the answer its `ETag`; to who has this very representation a GET answers 304 without it."""
    etag = tag_of(response.get_data())
    if request.method in ("GET", "HEAD") and request.if_none_match.contains_weak(etag):
        response.status_code, response.data = 304, b""
        for name in ("Content-Type", "Content-Length"):  # the others are what a cache is to keep (§15.4.5)
            response.headers.pop(name, None)
    response.set_etag(etag)
    return response


def if_match(represent: Callable[[Any], BaseModel]) -> Callable[[Any], None]:
    """Return what a write has to ask of the row it has locked: that its representation is one that `If-Match` names.

    Raises, when it is asked:
        PreconditionFailed: the row has changed.
    """
    wanted = request.if_match if "If-Match" in request.headers else None

    def check(row: Any) -> None:
        if wanted is not None and not wanted.contains(tag_of(document(represent(row)))):
            raise PreconditionFailed

    return check
