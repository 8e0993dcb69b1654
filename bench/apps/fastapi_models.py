"""What FastAPI's bodies and answers look like, as pydantic models."""

from __future__ import annotations

import datetime
import uuid

from pydantic import BaseModel, ConfigDict, Field


class PublicUser(BaseModel):
    """An account as everybody sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    username: str
    is_active: bool
    created_at: datetime.datetime
    updated_at: datetime.datetime


class PrivateUser(PublicUser):
    """An account as its user and admins see it."""

    email: str
    role: str


class UserPage(BaseModel):
    """A page of accounts."""

    users: list[PrivateUser | PublicUser]
    per_page: int
    next_cursor: str | None
    total: int
    pages: int
    current_page: int


class NewPost(BaseModel):
    """A post to be written."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=200)
    body: str = Field(min_length=1, max_length=65_536)


class PostView(BaseModel):
    """A post, with its author's name."""

    id: uuid.UUID
    title: str
    body: str
    author: str
    author_id: int
    created_at: datetime.datetime
    updated_at: datetime.datetime


class Login(BaseModel):
    """Who logs in."""

    model_config = ConfigDict(extra="forbid")

    email: str
    password: str


class LoggedIn(BaseModel):
    """What a login answers."""

    access_token: str
    refresh_token: str
    token_type: str
    expires_in: int
    user: PrivateUser
