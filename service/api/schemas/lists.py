"""What all lists have in common: which part is asked for, and what is said of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from service.api.schemas.bodies import Query
from service.api.schemas.fields import ABSENT, Digits, Nothing
from service.paging import PART_LIMIT

CURSOR_LIMIT = 2000
SEARCH_LIMIT = 400


class ListQuery(Query):
    """Which part of a list: a page by its number, or with ``cursor``, empty at first, what follows a former part.

    More than 100 rows a page means 100.
    """

    page: Annotated[
        int,
        Field(
            ge=1,
            le=10_000,
            description="The first when it is left out; never together with `cursor`. Pages of a "
            "search are empty behind its first 10,000 rows; a cursor goes on.",
        ),
        Digits,
        ABSENT,  # or clients would send it with a cursor
    ] = 1
    per_page: Annotated[
        int,
        Field(ge=1, description="More than 100 means 100."),
        AfterValidator(lambda size: min(size, PART_LIMIT)),
        Digits,
    ] = 20
    cursor: Annotated[
        Annotated[str, Field(max_length=CURSOR_LIMIT)] | Nothing,
        Field(description="Empty for the first part, then each part's `next_cursor`; never together with `page`."),
        ABSENT,
    ] = None
    sort: str


class ListPart(BaseModel):
    """A part of a list. What counts comes with pages only, and ``total_capped`` only with a total that is not exact.

    ``next_cursor`` goes on behind this part, whichever way it was asked for; null at the end.
    """

    per_page: Annotated[int, Field(examples=[20])]
    next_cursor: Annotated[str | None, Field(examples=[None])]
    # The defaults are never used.
    total: Annotated[int, Field(examples=[1])] = 0
    pages: Annotated[int, Field(examples=[1])] = 0
    current_page: int = 1
    total_capped: Literal[True] = True
