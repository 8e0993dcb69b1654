"""`/api/posts`: posts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, url_for

from service.api.context import get_context
from service.api.guards import signed_in
from service.api.idempotency import idempotent
from service.api.lists import page_of, part_of
from service.api.schemas.posts import NewPost, PostChanges, PostPage, PostQuery, PostView
from service.errors import Forbidden, NotFound, PreconditionFailed
from service.services import authored, posts
from service.services.authored import Written
from service.services.idempotency import Once
from service.services.principal import Principal
from service.web.conditional import if_match
from service.web.operations import Reply, body, query, returns

CHANGE_REFUSALS = (NotFound, Forbidden, PreconditionFailed)

blueprint = Blueprint("posts", __name__, url_prefix="/api/posts")


def _created(post: Any) -> Reply:
    return Reply(PostView.of(post), {"Location": url_for("posts.get_post", post_id=post.id)})


@blueprint.post("/")
@signed_in
@returns(PostView, status=201, tagged=True)
@body(NewPost)
@idempotent(_created)
async def create_post(principal: Principal, body: NewPost, once: Once) -> Any:
    """Write a post."""
    return await posts.write(get_context(), principal, title=body.title, body=body.body, once=once)


@blueprint.get("/")
@returns(PostPage)
@query(PostQuery)
async def list_posts(query: PostQuery) -> PostPage:
    """List the posts, newest first: all, one author's, or those that have some words in title or body."""
    listing = await get_context().replica.posts.part(part_of(query), search=query.search, author_id=query.author_id)
    return page_of(PostPage, query, listing, posts=[PostView.of(post) for post in listing.items])


@blueprint.get("/<uuid:post_id>")
@returns(PostView, tagged=True, refusals=(NotFound,))
async def get_post(post_id: UUID) -> PostView:
    """Get one post."""
    post = await get_context().replica.posts.get(post_id)
    if post is None:
        raise NotFound
    return PostView.of(post)


@blueprint.route("/<uuid:post_id>", methods=["PUT", "PATCH"])
@signed_in
@returns(PostView, tagged=True, refusals=CHANGE_REFUSALS)
@body(PostChanges)
async def change_post(principal: Principal, post_id: UUID, body: PostChanges) -> PostView:
    """Change one's own post; admins change any."""
    precondition = if_match(PostView.model_validate)
    changes, post = body.model_dump(exclude_unset=True), Written.post(post_id)
    changed = await authored.change(get_context(), principal, post, changes=changes, precondition=precondition)
    return PostView.of(changed)


@blueprint.delete("/<uuid:post_id>")
@signed_in
@returns(None, status=204, refusals=CHANGE_REFUSALS)
async def delete_post(principal: Principal, post_id: UUID) -> None:
    """Delete one's own post with its comments; admins delete any."""
    precondition = if_match(PostView.model_validate)
    await authored.delete(get_context(), principal, Written.post(post_id), precondition=precondition)
