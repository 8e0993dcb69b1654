"""`/api/users`: accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.api.schemas.bodies import Body, Changes, Query
from service.api.schemas.fields import ABSENT, USERNAME_LIMIT, Boolean, Email, NewPassword, Nothing, RowId, Username
from service.api.schemas.lists import ListPart, ListQuery
from service.api.schemas.rows import OfRow


class NewUser(Body):
    """An account to be made."""

    username: Username
    email: Email
    password: NewPassword


class UserChanges(Changes):
    """What to set of an account: at least one member. Absent ones stay; only admins may set `role` and `is_active`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "examples": [{"username": "ann.smith"}]})

    # The defaults are never used.
    username: Username = ""
    email: Email = ""
    role: Literal["user", "admin"] = "user"
    is_active: bool = True


class UserQuery(ListQuery):
    """Which accounts, in which order; ``search`` is a part of the username, or its beginning, under 3 characters."""

    sort: Literal["-created_at", "created_at", "username", "-username"] = "-created_at"
    search: Annotated[
        str,
        Field(max_length=4 * USERNAME_LIMIT, description="A part of the username; its beginning, under 3 characters."),
    ] = ""
    is_active: Annotated[Boolean | Nothing, ABSENT] = None


class ActiveQuery(Query):
    """Which accounts bulk work is about; there is none about all."""

    is_active: Boolean


class ActiveChange(Body):
    """What accounts are to be."""

    is_active: bool


class PublicUser(OfRow):
    """An account as every signed-in user sees it."""

    id: RowId
    username: Annotated[str, Field(examples=["ann"])]
    is_active: bool
    created_at: datetime
    updated_at: datetime


class PrivateUser(PublicUser):
    """An account as its user and admins see it."""

    email: Annotated[str, Field(examples=["ann@example.com"])]
    role: Literal["user", "admin"]


class UserPage(ListPart):
    """A part of the accounts."""

    users: list[PrivateUser | PublicUser]


class Updated(BaseModel):
    """How many accounts were changed."""

    updated: int


class Deleted(BaseModel):
    """How many accounts were deleted."""

    deleted: int
