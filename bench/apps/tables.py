"""The service's tables as the peers that use SQLAlchemy's ORM know them: the columns that the benchmark's work needs.

The database is the service's own, migrated by its migrations, with all its indexes.
"""

from __future__ import annotations

import datetime
import os
import uuid

from sqlalchemy import BigInteger, DateTime, FetchedValue, ForeignKey, Text
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

ASYNCPG_URL = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1)
POOL_SIZE = 10
"""Connections of one process, as many as the service has by default."""


class Base(DeclarativeBase):
    """What the tables have in common."""

    type_annotation_map = {datetime.datetime: DateTime(timezone=True), int: BigInteger}  # noqa: RUF012 - SQLAlchemy's


class User(Base):
    """An account."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    email: Mapped[str]
    password_hash: Mapped[str]
    role: Mapped[str]
    is_active: Mapped[bool]
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=FetchedValue())
    updated_at: Mapped[datetime.datetime] = mapped_column(server_default=FetchedValue())
    is_removed: Mapped[bool] = mapped_column(server_default=FetchedValue())
    email_key: Mapped[str] = mapped_column(server_default=FetchedValue(), deferred=True)


class Post(Base):
    """A post; what the database gives it comes back with the INSERT."""

    __tablename__ = "posts"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=FetchedValue())
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str]
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=FetchedValue())
    updated_at: Mapped[datetime.datetime] = mapped_column(server_default=FetchedValue())
    is_removed: Mapped[bool] = mapped_column(server_default=FetchedValue())
    author: Mapped[User] = relationship(lazy="raise")


class Session(Base):
    """A login."""

    __tablename__ = "sessions"
    __mapper_args__ = {"eager_defaults": False}  # noqa: RUF012 - SQLAlchemy's; nobody looks at them after the INSERT

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    refresh_jti: Mapped[uuid.UUID]
    access_jti: Mapped[uuid.UUID]
    kid: Mapped[str]
    issued_at: Mapped[datetime.datetime]
    access_expires_at: Mapped[datetime.datetime]
    expires_at: Mapped[datetime.datetime]
    ends_at: Mapped[datetime.datetime]
    ip: Mapped[str | None] = mapped_column(INET)
    user_agent: Mapped[str | None]


class BlocklistEntry(Base):
    """The id of a session, or of a generation of tokens, that is revoked."""

    __tablename__ = "token_blocklist"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
