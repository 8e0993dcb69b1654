"""Headers and answers: what a success carries, and the problems that a client of an operation may meet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from service.errors import FieldFault, ServiceError, ValidationFailed
from service.web.openapi.schemas import Schema
from service.web.problems import explanation, kinds

REQUEST_ID = "01961f7e5c1a7b3e9d550c2f6a1b7e42"
PROBLEM_TYPE = "application/problem+json"
RATE_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
BEFORE_THE_RATE = {406, 408, 413, 414, 415, 431}
"""Statuses of what is refused before a request is counted."""


def _header(description: str, schema: Schema, example: Any, *, required: bool = False) -> Schema:
    return {"description": description, "required": required, "schema": schema, "example": example}


_SECONDS = {"type": "integer", "minimum": 1}
_COUNT = {"type": "integer", "minimum": 0}

HEADERS: Mapping[str, Schema] = {
    "X-Request-ID": _header(
        "The request's name in our logs: the caller's own, or a new one.",
        {"type": "string", "pattern": "^[A-Za-z0-9_.-]{8,64}$"},
        REQUEST_ID,
        required=True,
    ),
    "ETag": _header(
        "A strong tag of the representation (RFC 9110 section 8.8.3).",
        {"type": "string", "pattern": '^"[^"]+"$'},
        '"3q2-7wEbyXGh0kIYyYd5s8tV"',
        required=True,
    ),
    "Allow": _header("The methods that the path has.", {"type": "string"}, "GET, HEAD, OPTIONS", required=True),
    "RateLimit-Limit": _header("How many requests a window allows.", _SECONDS, 10),
    "RateLimit-Remaining": _header("How many of them are left.", _COUNT, 9),
    "RateLimit-Reset": _header("In how many seconds the window ends.", _SECONDS, 42),
    "Retry-After": _header("When to ask again, in seconds.", _SECONDS, 1, required=True),
    "WWW-Authenticate": _header(
        'RFC 6750 section 3; `error="invalid_token"` when a token was sent.',
        {"type": "string", "enum": ["Bearer", 'Bearer error="invalid_token"']},
        "Bearer",
        required=True,
    ),
    "Idempotency-Replayed": _header(
        "The answer is that of an earlier request with this `Idempotency-Key`.",
        {"type": "string", "const": "true"},
        "true",
    ),
    "Cache-Control": {"description": "RFC 9111.", "schema": {"type": "string"}},
}

_HEADERS_OF_STATUS = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}


def location(example: str) -> Schema:
    """Return the header that says where what was made is."""
    return _header("Where it is.", {"type": "string", "format": "uri-reference"}, example, required=True)


def headers(names: Iterable[str]) -> Schema:
    """Return references to the headers, and to that which every answer has."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *names)}


class Problems:
    """The problem answers that the operations of a document refer to; each set of codes has one, under its name."""

    def __init__(self) -> None:
        self.responses: dict[str, Schema] = {}

    def of(self, refusals: Iterable[type[ServiceError]], *, limited: bool) -> Schema:
        """Return a reference to an answer for each status of the refusals."""
        by_status: dict[int, list[type[ServiceError]]] = {}
        wanted = set(refusals)
        for kind in kinds():
            if kind in wanted:
                by_status.setdefault(kind.status, []).append(kind)
        return {str(status): self._response(status, by_status[status], limited) for status in sorted(by_status)}

    def _response(self, status: int, kinds: list[type[ServiceError]], limited: bool) -> Schema:
        counted = limited and status not in BEFORE_THE_RATE
        name = ".".join([kind.code for kind in kinds] + ["counted"] * counted)
        if name not in self.responses:
            named = [_HEADERS_OF_STATUS[status]] if status in _HEADERS_OF_STATUS else []
            self.responses[name] = _response(kinds, [*named, *RATE_HEADERS] if counted else named)
        return {"$ref": f"#/components/responses/{name}"}


def _response(kinds: list[type[ServiceError]], header_names: list[str]) -> Schema:
    schema = {
        "$ref": "#/components/schemas/Problem",
        "properties": {"status": {"const": kinds[0].status}, "code": {"enum": [kind.code for kind in kinds]}},
    }
    examples = {kind.code: {"$ref": f"#/components/examples/{kind.code}"} for kind in kinds}
    return {
        "description": "\n".join(f"- `{kind.code}`: {explanation(kind)}" for kind in kinds),
        "headers": headers(header_names),
        "content": {PROBLEM_TYPE: {"schema": schema, "examples": examples}},
    }


def examples() -> Schema:
    """Return one answer for each code, as it goes out."""
    return {kind.code: {"summary": kind.title, "value": _occurrence(kind).document(REQUEST_ID)} for kind in kinds()}


def _occurrence(kind: type[ServiceError]) -> ServiceError:
    if kind is ValidationFailed:  # what every operation under `/api` says of a parameter that it does not know
        return kind(faults=(FieldFault("?colour", "extra_forbidden", "Extra inputs are not permitted"),))
    return kind()


def problem_schema() -> Schema:
    """Return the schema of problem details (RFC 9457 section 3) as this service fills them in."""
    text = {"type": "string"}
    fault = {
        "type": "object",
        "required": ["pointer", "code", "message"],
        "properties": {
            "pointer": text
            | {
                "description": "A JSON pointer (RFC 6901) into the body, `?name` for a query parameter, or the name "
                "of a header field."
            },
            "code": text,
            "message": text,
        },
    }
    members = {
        "type": text | {"format": "uri-reference", "description": "Explains the problem when it is fetched."},
        "title": text,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "enum": [kind.code for kind in kinds()], "description": "Stable, for machines."},
        "error": text | {"description": "The title once more."},
        "request_id": text | {"description": "That of `X-Request-ID`."},
        "errors": {"type": "array", "items": fault, "description": "Comes with `VALIDATION_ERROR` alone."},
    }
    return {
        "type": "object",
        "description": "Problem details (RFC 9457).",
        "required": [name for name in members if name != "errors"],
        "properties": members,
    }
