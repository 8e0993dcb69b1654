"""`/api/posts/<post_id>/comments`: comments on a post."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, url_for

from service.api.context import get_context
from service.api.guards import signed_in
from service.api.idempotency import idempotent
from service.api.lists import page_of, part_of
from service.api.posts import CHANGE_REFUSALS
from service.api.schemas.posts import CommentChanges, CommentPage, CommentQuery, CommentView, NewComment
from service.errors import NotFound
from service.services import authored, comments
from service.services.authored import Written
from service.services.idempotency import Once
from service.services.principal import Principal
from service.web.conditional import if_match
from service.web.operations import Reply, body, query, returns

blueprint = Blueprint("comments", __name__, url_prefix="/api/posts/<uuid:post_id>/comments")


def _created(comment: Any) -> Reply:
    location = url_for("comments.get_comment", post_id=comment.post_id, comment_id=comment.id)
    return Reply(CommentView.of(comment), {"Location": location})


@blueprint.post("/")
@signed_in
@returns(CommentView, status=201, tagged=True, refusals=(NotFound,))
@body(NewComment)
@idempotent(_created)
async def create_comment(principal: Principal, post_id: UUID, body: NewComment, once: Once) -> Any:
    """Comment on a post."""
    return await comments.write(get_context(), principal, post_id, body=body.body, once=once)


@blueprint.get("/")
@returns(CommentPage, refusals=(NotFound,))
@query(CommentQuery)
async def list_comments(post_id: UUID, query: CommentQuery) -> CommentPage:
    """List the comments on a post, oldest first."""
    listing = await get_context().replica.comments.part(post_id, part_of(query))
    if listing is None:
        raise NotFound
    shown = [CommentView.of(comment) for comment in listing.items]
    return page_of(CommentPage, query, listing, comments=shown)


@blueprint.get("/<int:comment_id>")
@returns(CommentView, tagged=True, refusals=(NotFound,))
async def get_comment(post_id: UUID, comment_id: int) -> CommentView:
    """Get one comment."""
    comment = await get_context().replica.comments.get(post_id, comment_id)
    if comment is None:
        raise NotFound
    return CommentView.of(comment)


@blueprint.route("/<int:comment_id>", methods=["PUT", "PATCH"])
@signed_in
@returns(CommentView, tagged=True, refusals=CHANGE_REFUSALS)
@body(CommentChanges)
async def change_comment(principal: Principal, post_id: UUID, comment_id: int, body: CommentChanges) -> CommentView:
    """Change one's own comment; admins change any."""
    precondition = if_match(CommentView.model_validate)
    changes, comment = body.model_dump(exclude_unset=True), Written.comment(post_id, comment_id)
    changed = await authored.change(get_context(), principal, comment, changes=changes, precondition=precondition)
    return CommentView.of(changed)


@blueprint.delete("/<int:comment_id>")
@signed_in
@returns(None, status=204, refusals=CHANGE_REFUSALS)
async def delete_comment(principal: Principal, post_id: UUID, comment_id: int) -> None:
    """Delete one's own comment; admins delete any."""
    precondition = if_match(CommentView.model_validate)
    await authored.delete(get_context(), principal, Written.comment(post_id, comment_id), precondition=precondition)
