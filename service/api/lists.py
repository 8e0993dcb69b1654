"""From a query to the part of a list that it asks for, and from the part to the answer, with its cursor.

A cursor is the position of the row before, sealed for this very list, sort and filters: nobody else can make one.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar, cast

from flask import request
from pydantic import BaseModel

from service.api.context import get_context
from service.api.schemas.lists import ListPart, ListQuery
from service.errors import FieldFault, ValidationFailed
from service.paging import Listing, Part

PartView = TypeVar("PartView", bound=ListPart)

PLACE = {"page", "per_page", "cursor"}
"""What a query says of a place in the list, rather than of the list."""


def part_of(query: ListQuery) -> Part:
    """Return which part the query asks for.

    Raises:
        ValidationFailed: the cursor is not one that this service made for this list, sort and filters, or there is a
            page as well.
    """
    if query.cursor is None:
        return Part(query.sort, query.per_page, query.page)
    if "page" in query.model_fields_set:
        raise _refused("A list is gone through by page or by cursor")
    if not query.cursor:
        return Part(query.sort, query.per_page, None)
    position = get_context().seals.open(_purpose(query), query.cursor)
    if position is None:
        raise _refused("The cursor is not one of this list, sort and filters")
    key, row_id = json.loads(position)
    return Part(query.sort, query.per_page, None, (key, row_id))


def page_of(model: type[PartView], query: ListQuery, listing: Listing[Any], **items: list[Any]) -> PartView:
    """Return the part as it goes out; ``items`` has them under the name that the model has for them."""
    cursor = None
    if listing.following is not None:
        position = json.dumps(listing.following, ensure_ascii=False, separators=(",", ":"))
        cursor = get_context().seals.seal(_purpose(query), position.encode())
    members: dict[str, Any] = {**items, "per_page": listing.part.size, "next_cursor": cursor}
    if listing.total is not None:
        members |= {"total": listing.total, "pages": listing.pages, "current_page": listing.part.number}
    if listing.total_capped:
        members["total_capped"] = True
    # All of it is ours: to validate it again takes longer than to read it.
    return cast(PartView, model.model_construct(**members))


def _refused(why: str) -> ValidationFailed:
    return ValidationFailed(faults=(FieldFault("?cursor", "cursor", why),))


def _purpose(query: BaseModel) -> str:
    """Name the list: its path and arguments, and what the query says of its rows and their order."""
    rule = request.url_rule.endpoint if request.url_rule else ""
    return json.dumps([rule, request.view_args, query.model_dump(exclude=PLACE)], default=str, sort_keys=True)
