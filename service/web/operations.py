"""What a view takes and gives, said by decorators: `@returns`, `@body` and `@query`, from the outside in.

    @users.post("/")
    @returns(User, status=201)
    @body(NewUser)
    async def create_user(body: NewUser) -> ...

The schemas are pydantic models. `@returns` is the one that acts: it reads what the others say that there is, and sends
the answer. A guard, which answers 401, stands outside of it, since it answers 400.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from flask import Response
from pydantic import BaseModel

from service.errors import ServiceError
from service.web import conditional, requests
from service.web.operation import View, describe, documented, operation_of


@dataclass(frozen=True, slots=True)
class Reply:
    """A view's answer with headers of its own."""

    value: BaseModel
    headers: Mapping[str, str] = field(default_factory=dict)


def body(model: type[BaseModel]) -> Callable[[View], View]:
    """Give the view its JSON body as ``body``."""
    return documented(body=model)


def query(model: type[BaseModel]) -> Callable[[View], View]:
    """Give the view its query parameters as ``query``."""
    return documented(query=model)


def returns(
    answer: Any,
    *,
    status: int = 200,
    tagged: bool = False,
    strict: bool = True,
    refusals: tuple[type[ServiceError], ...] = (),
) -> Callable[[View], View]:
    """Send what the view returns: a model or a `Reply` as JSON, None as an empty answer, a response as it is.

    With ``tagged`` the answer has an `ETag`, and is not repeated to who has it already (`conditional`). ``refusals``
    are those of the use case, for the OpenAPI document. A view that is not ``strict`` does not look at its query.

    Raises, in the view's place:
        MalformedRequest, ValidationFailed: as `requests.read` says.
    """

    def decorate(view: View) -> View:
        said = operation_of(view)

        @wraps(view)
        async def with_answer(**arguments: Any) -> Response:
            answered = await view(**requests.read(said, strict=strict), **arguments)
            if isinstance(answered, Response):
                return answered
            return conditional.tag(_response(answered, status)) if tagged else _response(answered, status)

        return describe(with_answer, answer=answer, status=status, tagged=tagged, strict=strict, refusals=refusals)

    return decorate


def _response(answered: Any, status: int) -> Response:
    if answered is None:
        empty = Response(status=status)
        del empty.headers["Content-Type"]  # Flask's default, of nothing
        return empty
    if isinstance(answered, Reply):
        model, headers = answered.value, dict(answered.headers)
    else:
        model, headers = answered, None
    return Response(conditional.document(model), status, headers=headers, content_type="application/json")
