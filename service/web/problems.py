"""Every error leaves as problem details (RFC 9457), rendered here and nowhere else below the edge."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from flask import Flask, Response
from werkzeug import exceptions

from service import trace
from service.errors import (
    InternalError,
    MalformedRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    PayloadTooLarge,
    ServiceError,
    UnsupportedMediaType,
)

# What werkzeug and Flask refuse by themselves, in our words.
WERKZEUGS: dict[int, type[ServiceError]] = {
    kind.status: kind
    for kind in (NotFound, MethodNotAllowed, NotAcceptable, PayloadTooLarge, UnsupportedMediaType, InternalError)
} | {400: MalformedRequest}


def install(app: Flask) -> None:
    """Have the app answer every error as a problem."""
    app.register_error_handler(ServiceError, _answer)
    app.register_error_handler(exceptions.HTTPException, _answer_werkzeugs)


def _answer(error: ServiceError) -> Response:
    document = error.to_json(trace.current.get().request_id)
    return Response(document, error.status, headers=dict(error.headers), content_type="application/problem+json")


def _answer_werkzeugs(error: exceptions.HTTPException) -> Response:
    response = _answer(WERKZEUGS.get(error.code or 500, InternalError)())
    if isinstance(error, exceptions.MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def kinds() -> Iterator[type[ServiceError]]:
    """Yield each error that has a code, as the tree is drawn above."""
    pending = [ServiceError]
    while pending:
        kind = pending.pop(0)
        pending[:0] = kind.__subclasses__()
        if "code" in vars(kind):
            yield kind


def explanation(kind: type[ServiceError]) -> str:
    """Return what the problem means, in one line."""
    return " ".join((inspect.getdoc(kind) or "").split())
