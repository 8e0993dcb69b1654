"""What a view takes and gives, said by decorators: `@returns`, `@body` and `@query`, from the outside in.

    @users.post("/")
    @returns(User, status=201)
    @body(NewUser)
    async def create_user(body: NewUser) -> ...

The schemas are pydantic models. They stay readable on the view as `view.operation`, for hooks and for the OpenAPI
document. A guard, which answers 401, stands outside of the three, which answer 400.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Response, current_app, request
from pydantic import BaseModel, ValidationError

from service import trace
from service.errors import FieldFault, MalformedRequest, ServiceError, UnsupportedMediaType, ValidationFailed
from service.web import conditional, json_body

View = Callable[..., Awaitable[Any]]

MEMBERS_LIMIT = 50
"""How many members a body, or a query, may have before they are looked at one by one."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Operation:
    """What the decorators said of a view.

    ``bearer`` is the kind of token that it asks for, ``"access"``, ``"refresh"`` or one that the product's description
    names; ``refusals`` are those of its use case, beside those that follow from the other members. ``form`` is a
    form-encoded body, which the view reads by itself; ``others`` are the answers that are no problem documents though
    their status is another one, by that; ``strict`` refuses unknown query parameters; ``cached`` answers say for how
    long they hold; ``examples`` are of arguments in the path, by name.
    """

    body: type[BaseModel] | None = None
    form: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    strict: bool = False
    answer: Any = None
    status: int = 200
    media_types: tuple[str, ...] = ("application/json",)
    others: Mapping[int, Any] = field(default_factory=dict)
    tagged: bool = False
    cached: bool = False
    bearer: str | None = None
    limited: bool = False
    idempotent: bool = False
    refusals: tuple[type[ServiceError], ...] = ()
    examples: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """A view's answer with headers of its own."""

    value: BaseModel
    headers: Mapping[str, str] = field(default_factory=dict)


def operation_of(view: object) -> Operation:
    """Return what is known of a view, however many decorators stand around it."""
    return cast(Operation, getattr(view, "operation", Operation()))


def describe(view: View, **what: Any) -> View:
    """Say more of a view: members of `Operation`, by name."""
    view.operation = replace(operation_of(view), **what)  # type: ignore[attr-defined]  # a mark on the function
    return view


def documented(**what: Any) -> Callable[[View], View]:
    """Say of a view what no other decorator says of it, for the OpenAPI document: members of `Operation`, by name."""
    return lambda view: describe(view, **what)


def body(model: type[BaseModel]) -> Callable[[View], View]:
    """Give the view its JSON body as ``body``.

    Raises, in the view's place:
        MalformedRequest: the body is no JSON that the contract accepts.
        ValidationFailed: it is not of the model's shape.
    """

    def decorate(view: View) -> View:
        takes_query = operation_of(view).query is not None

        @wraps(view)
        async def with_body(**arguments: Any) -> Any:
            value = json_body.parse(request.get_data())
            refuse_malformed_query()
            if not takes_query:
                _refuse_parameters()
            return await view(body=_validated(model, value), **arguments)

        return describe(with_body, body=model)

    return decorate


def query(model: type[BaseModel]) -> Callable[[View], View]:
    """Give the view its query parameters as ``query``; a repeated or an unknown one is refused.

    Raises, in the view's place:
        ValidationFailed: the query is not of the model's shape.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        async def with_query(**arguments: Any) -> Any:
            return await view(query=_validated(model, _parameters(), prefix="?"), **arguments)

        return describe(with_query, query=model)

    return decorate


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
    are those of the use case, for the OpenAPI document.

    A view without `@query` takes no query parameters; one with a body finds that out once its body is well-formed. One
    that is not ``strict`` does not look at them.
    """

    def decorate(view: View) -> View:
        said = operation_of(view)
        takes_nothing = strict and said.query is None and said.body is None

        @wraps(view)
        async def with_answer(**arguments: Any) -> Response:
            if takes_nothing:
                _refuse_parameters()
            answered = await view(**arguments)
            if isinstance(answered, Response):
                return answered
            return conditional.tag(_response(answered, status)) if tagged else _response(answered, status)

        return describe(with_answer, answer=answer, status=status, tagged=tagged, strict=strict, refusals=refusals)

    return decorate


def refuse_other_media_types() -> None:
    """Refuse a body that is not JSON where JSON is expected; to be called before the guards.

    Raises:
        UnsupportedMediaType: `Content-Type` says something else, or nothing of a body that is there.
    """
    if operation_of(current_app.view_functions.get(request.endpoint or "")).body is None:
        return
    has_type = "Content-Type" in request.headers
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    coded = request.headers.get("Content-Encoding", "identity").lower() != "identity"
    json_type = request.mimetype == "application/json" and charset in ("utf-8", "utf8") and not coded
    if not json_type and (has_type or request.get_data()):
        raise UnsupportedMediaType


def refuse_malformed_query() -> None:
    """Refuse a query whose escapes are no text.

    Raises:
        MalformedRequest: they are not UTF-8, or stand for U+0000.
    """
    if trace.current.get().malformed_query:
        raise MalformedRequest("Malformed request: the query is not text in UTF-8")


class _NoParameters(BaseModel, extra="forbid"):
    pass


def _response(answered: Any, status: int) -> Response:
    if answered is None:
        empty = Response(status=status)
        del empty.headers["Content-Type"]  # Flask's default, of nothing
        return empty
    reply = answered if isinstance(answered, Reply) else Reply(answered)
    return Response(
        conditional.document(reply.value), status, headers=dict(reply.headers), content_type="application/json"
    )


def _refuse_parameters() -> None:
    if request.query_string:
        _validated(_NoParameters, _parameters(), prefix="?")


def _parameters() -> dict[str, str]:
    refuse_malformed_query()
    parameters: dict[str, str] = {}
    for name, value in request.args.items(multi=True):
        if name in parameters:
            raise ValidationFailed(faults=(FieldFault("?" + name, "repeated", "The parameter may be given once"),))
        parameters[name] = value
    return parameters


def _validated(model: type[Model], value: Any, prefix: str = "") -> Model:
    if isinstance(value, dict) and len(value) > MEMBERS_LIMIT:
        raise ValidationFailed(faults=(FieldFault("", "too_many_members", "There are far more members than known"),))
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _refusal(model, error, prefix) from None  # its text shows the value, which may be a password


def _refusal(model: type[BaseModel], error: ValidationError, prefix: str) -> ValidationFailed:
    found = error.errors(include_input=False, include_url=False, include_context=False)
    faults: dict[str, FieldFault] = {}
    for fault in found:  # what may be absent is a choice to pydantic, and has a fault for each: the first is the one
        pointer = _pointer(fault["loc"], prefix)
        faults.setdefault(pointer, FieldFault(pointer, fault["type"], _message(fault)))
    is_absent = any(fault["type"] in ("missing", "string_too_short") for fault in found)
    return ValidationFailed(
        getattr(model, "title_when_absent", None) if is_absent else None, faults=tuple(faults.values())
    )


def _message(fault: Mapping[str, Any]) -> str:
    """Return pydantic's words, without the names of our classes."""
    is_model = fault["type"] == "model_type"
    return "A JSON object is needed" if is_model else fault["msg"].removeprefix("Value error, ")


def _pointer(location: tuple[int | str, ...], prefix: str) -> str:
    return f"{prefix}{location[0]}" if prefix else json_body.pointer(location)
