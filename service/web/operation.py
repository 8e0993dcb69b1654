"""What is known of a view beside its code: what its decorators said, for those that read requests and for the OpenAPI
document.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pydantic import BaseModel

from service.errors import ServiceError

View = Callable[..., Awaitable[Any]]


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


_UNKNOWN = Operation()


def operation_of(view: object) -> Operation:
    """Return what is known of a view, however many decorators stand around it."""
    return cast(Operation, getattr(view, "operation", _UNKNOWN))


def describe(view: View, **what: Any) -> View:
    """Say more of a view: members of `Operation`, by name."""
    view.operation = replace(operation_of(view), **what)  # type: ignore[attr-defined]  # a mark on the function
    return view


def documented(**what: Any) -> Callable[[View], View]:
    """Say of a view what no other decorator says of it, for the OpenAPI document: members of `Operation`, by name."""
    return lambda view: describe(view, **what)
