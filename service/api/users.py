"""`/api/users`: accounts."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, url_for

from service.api.context import get_context
from service.api.guards import signed_in
from service.api.limits import limited
from service.api.schemas import NewUser, PageQuery, PrivateUser, PublicUser, UserChanges, UserPage
from service.errors import EmailTaken, Forbidden, LastAdmin, NotFound, PreconditionFailed, UsernameTaken
from service.services import users
from service.services.limits import Rate
from service.services.principal import Principal
from service.web.conditional import if_match
from service.web.operations import Reply, body, query, returns

CHANGE_REFUSALS = (NotFound, Forbidden, PreconditionFailed, LastAdmin)

blueprint = Blueprint("users", __name__, url_prefix="/api/users")


@blueprint.post("/")
@limited(Rate.REGISTRATION)
@returns(PrivateUser, status=201, tagged=True, refusals=(EmailTaken, UsernameTaken))
@body(NewUser)
async def create_user(body: NewUser) -> Reply:
    """Register an account."""
    user = await users.register(get_context(), username=body.username, email=body.email, password=body.password)
    return Reply(PrivateUser.model_validate(user), {"Location": url_for("users.get_user", user_id=user.id)})


@blueprint.get("/")
@signed_in
@returns(UserPage)
@query(PageQuery)
async def list_users(principal: Principal, query: PageQuery) -> UserPage:
    """List the accounts, newest first."""
    async with get_context().reading() as reading:
        listing = await reading.users.page(query.to_page())
    page = UserPage(
        users=[as_seen_by(principal, user) for user in listing.items],
        per_page=listing.page.size,
        next_cursor=None,
        total=listing.total,
        pages=listing.pages,
        current_page=listing.page.number,
    )
    return page.model_copy(update={"total_capped": True}) if listing.total_capped else page


@blueprint.get("/<int:user_id>")
@signed_in
@returns(PrivateUser | PublicUser, tagged=True, refusals=(NotFound,))
async def get_user(principal: Principal, user_id: int) -> PublicUser:
    """Get one account; `email` and `role` only for its user and admins."""
    async with get_context().reading() as reading:
        user = await reading.users.get(user_id)
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


def as_seen_by(principal: Principal, user: Any) -> PublicUser:
    """Return the account, a row of the collection, as this caller may see it."""
    model = PrivateUser if principal.may_change(user.id) else PublicUser
    return model.model_validate(user)
