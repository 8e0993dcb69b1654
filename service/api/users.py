"""`/api/users`: accounts."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, url_for

from service.api.context import get_context
from service.api.guards import signed_in
from service.api.idempotency import idempotent
from service.api.limits import limited
from service.api.lists import page_of, part_of
from service.api.schemas.posts import AuthoredQuery, PostPage, PostView
from service.api.schemas.users import (
    ActiveChange,
    ActiveQuery,
    Deleted,
    NewUser,
    PrivateUser,
    PublicUser,
    Updated,
    UserChanges,
    UserPage,
    UserQuery,
)
from service.errors import AdminRequired, EmailTaken, Forbidden, LastAdmin, NotFound, PreconditionFailed, UsernameTaken
from service.services import users
from service.services.idempotency import Once
from service.services.limits import Rate
from service.services.principal import Principal
from service.web.conditional import if_match
from service.web.operations import Reply, body, query, returns

CHANGE_REFUSALS = (NotFound, Forbidden, PreconditionFailed, LastAdmin)

blueprint = Blueprint("users", __name__, url_prefix="/api/users")


def _created(user: Any) -> Reply:
    return Reply(PrivateUser.of(user), {"Location": url_for("users.get_user", user_id=user.id)})


@blueprint.post("/")
@limited(Rate.REGISTRATION)
@returns(PrivateUser, status=201, tagged=True, refusals=(EmailTaken, UsernameTaken))
@body(NewUser)
@idempotent(_created)
async def create_user(body: NewUser, once: Once) -> Any:
    """Register an account."""
    account = {"username": body.username, "email": body.email, "password": body.password}
    return await users.register(get_context(), **account, once=once)


@blueprint.get("/")
@signed_in
@returns(UserPage)
@query(UserQuery)
async def list_users(principal: Principal, query: UserQuery) -> UserPage:
    """List the accounts, newest first: all, those that are active or not, or those with some part in their name."""
    listing = await get_context().replica.users.part(part_of(query), search=query.search, is_active=query.is_active)
    return page_of(UserPage, query, listing, users=[as_seen_by(principal, user) for user in listing.items])


@blueprint.patch("/")
@signed_in
@returns(Updated, refusals=(AdminRequired,))
@body(ActiveChange)
@query(ActiveQuery)
async def change_users(principal: Principal, query: ActiveQuery, body: ActiveChange) -> Updated:
    """Enable or disable all accounts that are active, or all that are not, but the caller's; for admins.

    It goes in batches: if the answer is 503, some have been changed, and the same request goes on with the others.
    """
    changed = await users.change_all(get_context(), principal, is_active=query.is_active, to=body.is_active)
    return Updated(updated=changed)


@blueprint.delete("/")
@signed_in
@returns(Deleted, refusals=(AdminRequired,))
@query(ActiveQuery)
async def delete_users(principal: Principal, query: ActiveQuery) -> Deleted:
    """Delete all accounts that are active, or all that are not, but the caller's; for admins.

    It goes in batches: if the answer is 503, some have been deleted, and the same request goes on with the others.
    """
    return Deleted(deleted=await users.delete_all(get_context(), principal, is_active=query.is_active))


@blueprint.get("/<int:user_id>")
@signed_in
@returns(PrivateUser | PublicUser, tagged=True, refusals=(NotFound,))
async def get_user(principal: Principal, user_id: int) -> PublicUser:
    """Get one account; `email` and `role` only for its user and admins."""
    user = await get_context().replica.users.get(user_id)
    if user is None:
        raise NotFound
    return as_seen_by(principal, user)


@blueprint.route("/<int:user_id>", methods=["PUT", "PATCH"])
@signed_in
@returns(PrivateUser, tagged=True, refusals=(*CHANGE_REFUSALS, EmailTaken, UsernameTaken))
@body(UserChanges)
async def change_user(principal: Principal, user_id: int, body: UserChanges) -> PublicUser:
    """Change one's own account; admins change any, and `role` and `is_active` too."""
    changed = await users.change(
        get_context(),
        principal,
        user_id,
        changes=body.model_dump(exclude_unset=True),
        precondition=if_match(partial(as_seen_by, principal)),
    )
    return as_seen_by(principal, changed)


@blueprint.delete("/<int:user_id>")
@signed_in
@returns(None, status=204, refusals=CHANGE_REFUSALS)
async def delete_user(principal: Principal, user_id: int) -> None:
    """Delete one's own account; admins delete any."""
    await users.delete(get_context(), principal, user_id, precondition=if_match(partial(as_seen_by, principal)))


@blueprint.get("/<int:user_id>/posts/")
@returns(PostPage, refusals=(NotFound,))
@query(AuthoredQuery)
async def list_posts_of_user(user_id: int, query: AuthoredQuery) -> PostPage:
    """List an author's posts, newest first."""
    listing = await get_context().replica.posts.part_by(user_id, part_of(query), search=query.search)
    if listing is None:
        raise NotFound
    return page_of(PostPage, query, listing, posts=[PostView.of(post) for post in listing.items])


def as_seen_by(principal: Principal, user: Any) -> PublicUser:
    """Return the account, a row of the collection, as this caller may see it."""
    model = PrivateUser if principal.may_change(user.id) else PublicUser
    return model.of(user)
