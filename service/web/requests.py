"""What a request brings, read and refused in the contract's order: the type of the body, the body, the query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from flask import Request, request
from pydantic import BaseModel, ValidationError

from service import trace
from service.errors import FieldFault, MalformedRequest, UnsupportedMediaType, ValidationFailed
from service.web import json_body
from service.web.operation import Operation, operation_of

MEMBERS_LIMIT = 50
"""How many members a body, or a query, may have before they are looked at one by one."""

Model = TypeVar("Model", bound=BaseModel)


class _NoParameters(BaseModel, extra="forbid"):
    pass


def refuse_other_media_types(request: Request, view: object) -> None:
    """Refuse a body that is not JSON where the view expects JSON; to be called before the guards.

    Raises:
        UnsupportedMediaType: `Content-Type` says something else, or nothing of a body that is there.
    """
    if operation_of(view).body is None:
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


def read(operation: Operation, *, strict: bool) -> dict[str, BaseModel]:
    """Return ``body`` and ``query`` as far as the operation takes them.

    Where it takes no query there may be none; what is not ``strict`` does not look at it.

    Raises:
        MalformedRequest: the body is no JSON that the contract accepts, or the query is no text.
        ValidationFailed: one of them is not of its model's shape.
    """
    value = json_body.parse(request.get_data()) if operation.body else None
    found: dict[str, BaseModel] = {}
    if operation.query:
        found["query"] = _validated(operation.query, _parameters(), prefix="?")
    elif strict and request.query_string:
        _validated(_NoParameters, _parameters(), prefix="?")
    if operation.body:
        found["body"] = _validated(operation.body, value)
    return found


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
