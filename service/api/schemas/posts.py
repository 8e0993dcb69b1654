"""`/api/posts`: posts and comments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.api.schemas.bodies import Body, Changes
from service.api.schemas.fields import ABSENT, CommentBody, Digits, Nothing, PostBody, RowId, Title
from service.api.schemas.lists import SEARCH_LIMIT, ListPart, ListQuery
from service.api.schemas.rows import OfRow


class NewPost(Body):
    """A post to be written."""

    title: Title
    body: PostBody


class PostChanges(Changes):
    """What to set of a post: at least one member. Absent ones stay."""

    title: Title = ""
    body: PostBody = ""


class NewComment(Body):
    """A comment to be written."""

    body: CommentBody


class CommentChanges(Changes):
    """What to set of a comment: at least one member. Absent ones stay."""

    body: CommentBody = ""


class AuthoredQuery(ListQuery):
    """Which posts, in which order; ``search`` is full text in English over title and body."""

    sort: Literal["-created_at", "created_at"] = "-created_at"
    search: Annotated[
        str, Field(max_length=SEARCH_LIMIT, description="Words in English, all of them in title or body.")
    ] = ""


class PostQuery(AuthoredQuery):
    """Which posts, in which order; of one author, or of all."""

    author_id: Annotated[
        Annotated[int, Field(ge=1, le=2**63 - 1, json_schema_extra={"format": "int64"}), Digits] | Nothing, ABSENT
    ] = None


class CommentQuery(ListQuery):
    """Which comments of a post, in which order."""

    sort: Literal["created_at", "-created_at"] = "created_at"


class PostView(OfRow):
    """A post, with its author's username."""

    id: UUID
    title: Annotated[str, Field(examples=["Flask on one loop"])]
    body: Annotated[str, Field(examples=["No thread, one pool."])]
    author: Annotated[str, Field(examples=["ann"])]
    author_id: RowId
    created_at: datetime
    updated_at: datetime


class CommentView(OfRow):
    """A comment, with its author's username."""

    id: RowId
    post_id: UUID
    body: Annotated[str, Field(examples=["Well said."])]
    author: Annotated[str, Field(examples=["ann"])]
    author_id: RowId
    created_at: datetime
    updated_at: datetime


class PostPage(ListPart):
    """A part of the posts."""

    posts: list[PostView]


class CommentPage(ListPart):
    """A part of a post's comments."""

    comments: list[CommentView]
