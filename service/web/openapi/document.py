"""Paths, operations, and the document around them."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Flask

from service.errors import (
    CodingNotImplemented,
    HeadersTooLarge,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InternalError,
    InvalidToken,
    MalformedRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    RateLimited,
    RequestTimeout,
    ServiceError,
    TokenExpired,
    TokenMissing,
    TokenRevoked,
    Unavailable,
    UnsupportedMediaType,
    UriTooLong,
    ValidationFailed,
    WrongTokenType,
)
from service.web.openapi.answers import HEADERS, RATE_HEADERS, Problems, examples, headers, location, problem_schema
from service.web.openapi.schemas import Schema, example_of, parameter, parameters_of, schemas_of
from service.web.operation import Operation, operation_of

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

ALWAYS = (
    MalformedRequest,
    RequestTimeout,
    PayloadTooLarge,
    UriTooLong,
    HeadersTooLarge,
    InternalError,
    CodingNotImplemented,
    Unavailable,
)
"""What any request may meet; it may have a body, too, where none is asked for."""
OF_A_TOKEN = (TokenMissing, TokenExpired, InvalidToken, WrongTokenType, TokenRevoked)
BESIDE = (NotFound, MethodNotAllowed)
"""What is answered at other paths and methods than those of the document."""

_ARGUMENT = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")
_ARGUMENTS: Mapping[str, Schema] = {
    "int": {"type": "integer", "format": "int64", "minimum": 1, "maximum": 2**63 - 1, "examples": [1]},
    "uuid": {"type": "string", "format": "uuid"},
    "": {"type": "string"},
}
_PARAMETERS: Mapping[str, Schema] = {
    "X-Request-ID": {
        "type": "string",
        "description": "A name for the request: 8 to 64 letters, digits, `_`, `.` or `-`. What is not of this form is "
        "replaced by a new one.",
    },
    "If-None-Match": {
        "type": "string",
        "description": "Tags that the caller has (RFC 9110 section 13.1.2), in their quotes: 304 if the representation "
        "has one of them.",
    },
    "If-Match": {
        "type": "string",
        "description": "Tags that the write is meant for (RFC 9110 section 13.1.1), in their quotes: 412 if the "
        "representation has none of them.",
    },
    "Idempotency-Key": {
        "type": "string",
        "minLength": 8,
        "maxLength": 128,
        "pattern": "^[!-~]*$",
        "description": "The caller's name for this request: repeated with it, the request is answered as it was, and "
        "nothing is done twice.",
    },
}


@dataclass(frozen=True, slots=True)
class About:
    """What the product says of itself.

    ``license`` is an SPDX identifier; ``schemes`` are the security schemes by name; ``security`` are the requirements
    of an operation by its ``bearer``.
    """

    title: str
    version: str
    description: str
    license: str
    schemes: Mapping[str, Schema]
    security: Mapping[str | None, list[Schema]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one rule of the URL map."""

    method: str
    rule: str
    name: str
    tag: str
    view: Callable[..., Any]

    @property
    def path(self) -> str:
        """Return the path as OpenAPI writes it."""
        return _ARGUMENT.sub(r"{\2}", self.rule)

    @property
    def arguments(self) -> list[tuple[str, Schema]]:
        """Return name and schema of each argument in the path."""
        return [(name, _ARGUMENTS[converter or ""]) for converter, name in _ARGUMENT.findall(self.rule)]

    @property
    def operation(self) -> Operation:
        """Return what the decorators said."""
        return operation_of(self.view)

    @property
    def in_api(self) -> bool:
        """Tell whether the rules of the API hold for it."""
        return self.rule.startswith("/api/")


def routes(app: Flask) -> Iterator[Route]:
    """Yield what the app serves, but for `HEAD`, `OPTIONS` and second spellings of a path.

    A view with several methods gives its name to the first of them, and to each other one with the method behind it.
    """
    for rule in app.url_map.iter_rules():
        tag, _, name = rule.endpoint.rpartition(".")
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        for method in [] if rule.alias else methods:
            own = name if method == methods[0] else f"{name}_by_{method.lower()}"
            yield Route(method, rule.rule, own, tag, app.view_functions[rule.endpoint])


def build(app: Flask, about: About) -> Schema:
    """Return the document of everything that the app serves."""
    found = list(routes(app))
    models: dict[Any, Any] = {}
    for route in found:
        operation = route.operation
        if operation.body or operation.form:
            models[route.name, "validation"] = operation.body or operation.form
        models |= {(f"{route.name} {status}", "serialization"): model for status, model in _answers(operation).items()}
    schemas, definitions = schemas_of(models)
    writer = _Writer(found, schemas, definitions, about, Problems())
    paths: dict[str, Schema] = {}
    for route in found:
        paths.setdefault(route.path, {})[route.method.lower()] = writer.operation(route)
    writer.problems.of(BESIDE, limited=False)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": about.title,
            "version": about.version,
            "description": about.description,
            "license": {"name": about.license, "identifier": about.license},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag, "description": _first(app, tag)} for tag in dict.fromkeys(route.tag for route in found)],
        "paths": paths,
        "components": {
            "schemas": {**definitions, "Problem": problem_schema()},
            "responses": dict(sorted(writer.problems.responses.items())),
            "parameters": {
                name: parameter(name, "header", schema, required=False) for name, schema in _PARAMETERS.items()
            },
            "headers": HEADERS,
            "examples": examples(),
            "securitySchemes": about.schemes,
        },
    }


def _answers(operation: Operation) -> dict[int, Any]:
    """Return the models of the answers that are no problems, by status."""
    answer = {} if operation.answer is None else {operation.status: operation.answer}
    return answer | dict(operation.others)


def _first(app: Flask, tag: str) -> str:
    """Return what a blueprint's module says of itself first."""
    return _sentences(sys.modules[app.blueprints[tag].import_name].__doc__)[0]


def _sentences(docstring: str | None) -> tuple[str, str]:
    """Return the first sentence, without its full stop, and the rest, in paragraphs."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in inspect.cleandoc(docstring or "").split("\n\n")]
    first, *rest = re.split(r"\. (?=[A-Z`])", paragraphs[0], maxsplit=1)
    return first.removesuffix("."), "\n\n".join(rest + paragraphs[1:])


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes operations; what they share collects in ``problems``."""

    routes: list[Route]
    schemas: Mapping[Any, Schema]
    definitions: Mapping[str, Schema]
    about: About
    problems: Problems

    def operation(self, route: Route) -> Schema:
        """Return all that is said of one operation."""
        summary, description = _sentences(route.view.__doc__)
        said = {"operationId": route.name, "tags": [route.tag], "summary": summary}
        if description:
            said["description"] = description
        body = self._body(route)
        return {
            **said,
            "security": self.about.security[route.operation.bearer],
            "parameters": list(_parameters(route)),
            **({"requestBody": body} if body else {}),
            "responses": self._responses(route),
        }

    def _body(self, route: Route) -> Schema | None:
        if route.operation.body is None and route.operation.form is None:
            return None
        kind = JSON if route.operation.body else FORM
        return {"required": True, "content": {kind: self._shown(self.schemas[route.name, "validation"])}}

    def _responses(self, route: Route) -> Schema:
        operation = route.operation
        plain = {operation.status: operation.answer} | _answers(operation)
        said = {str(status): self._answer(route, status) for status in plain}
        refusals = [kind for kind in _refusals(route) if kind.status not in plain]
        problems = self.problems.of(refusals, limited=operation.limited)
        if operation.tagged and route.method == "GET":
            names = ["ETag", "Cache-Control"] if operation.cached else ["ETag"]
            said["304"] = {"description": "The caller has this representation already.", "headers": headers(names)}
        return dict(sorted((problems | said).items()))

    def _answer(self, route: Route, status: int) -> Schema:
        """Return a success, or a refusal that has a form of its own."""
        operation = route.operation
        is_success = status == operation.status
        named = {
            "ETag": operation.tagged and is_success,
            "Idempotency-Replayed": operation.idempotent and is_success,
            "Cache-Control": operation.cached and is_success,
        }
        names = [name for name, is_sent in named.items() if is_sent]
        sent = headers([*names, *RATE_HEADERS] if operation.limited else names)
        answer: Schema = {"description": HTTPStatus(status).phrase, "headers": sent}
        schema = self.schemas.get((f"{route.name} {status}", "serialization"))
        if schema is not None:
            kinds = operation.media_types if is_success else (JSON,)
            answer["content"] = {kind: self._shown(schema) if kind == JSON else {"schema": schema} for kind in kinds}
        if status == 201:
            below = list(self._below(route))
            made = next(one for one in below if one.method == "GET")
            sent["Location"] = location(made.path.format(**_examples(made)))
            answer["links"] = {one.name: _link(one, len(route.arguments)) for one in below}
        return answer

    def _below(self, route: Route) -> Iterator[Route]:
        """Yield what may be done with what was made: the operations whose path asks for its id as well."""
        for below in self.routes:
            if below.path.startswith(route.path + "{") and len(below.arguments) == len(route.arguments) + 1:
                yield below

    def _shown(self, schema: Schema) -> Schema:
        return {"schema": schema, "example": example_of(schema, self.definitions)}


def _link(route: Route, known: int) -> Schema:
    """Return how to get from an answer to an operation: it asks for what the request ``known``, and for the new id."""
    sources = {name: f"$request.path.{name}" for name, _ in route.arguments[:known]}
    return {"operationId": route.name, "parameters": sources | {route.arguments[known][0]: "$response.body#/id"}}


def _examples(route: Route) -> dict[str, Any]:
    """Return a value for each argument in the path."""
    return {name: route.operation.examples.get(name) or example_of(schema, {}) for name, schema in route.arguments}


def _parameters(route: Route) -> Iterator[Schema]:
    operation = route.operation
    examples = _examples(route)
    for name, schema in route.arguments:
        yield parameter(name, "path", {**schema, "examples": [examples[name]]}, required=True)
    if operation.query is not None:
        yield from parameters_of(operation.query)
    taken = {
        "If-None-Match": operation.tagged and route.method == "GET",
        "If-Match": PreconditionFailed in operation.refusals,
        "Idempotency-Key": operation.idempotent,
        "X-Request-ID": True,
    }
    yield from ({"$ref": f"#/components/parameters/{name}"} for name, is_taken in taken.items() if is_taken)


def _refusals(route: Route) -> set[type[ServiceError]]:
    """Return what follows from the parts of an operation, and what its use case refuses."""
    operation = route.operation
    parts: dict[tuple[type[ServiceError], ...], object] = {
        ALWAYS: True,
        (UnsupportedMediaType,): operation.body,
        (ValidationFailed,): operation.strict,
        (NotAcceptable,): route.in_api,
        (NotFound,): route.arguments,
        OF_A_TOKEN: operation.bearer in ("access", "refresh"),
        (RateLimited,): operation.limited,
        (IdempotencyInProgress,): operation.idempotent,
        # Of somebody without a name, key and request together are the key: with another request it is another one.
        (IdempotencyKeyReused,): operation.idempotent and operation.bearer,
        operation.refusals: True,
    }
    return {kind for kinds, applies in parts.items() if applies for kind in kinds}
