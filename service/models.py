"""Tables: columns, constraints and their names. No behaviour, no queries.

What operators' SQL may rely on is in the contract; every column beside those is generated or has a server default.
"""

from __future__ import annotations

import datetime
import uuid

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA_HEAD = "0002"
"""The migration this code needs. Revisions are numbered, so that one text comparison tells at or past it."""


class Base(DeclarativeBase):
    """Constraints have predictable names, since errors are told apart by them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {datetime.datetime: DateTime(timezone=True), int: BigInteger}  # noqa: RUF012 - SQLAlchemy's


class User(Base):
    """An account. The keys are what makes a name or an email the same as another's (SQL function `postern_fold`)."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("email_key"),
        UniqueConstraint("username_key"),
        CheckConstraint("role IN ('user', 'admin')", name="role"),
        Index(None, "created_at", "id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    username: Mapped[str] = mapped_column(String(80))
    email: Mapped[str] = mapped_column(String(120))
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text, server_default="user")
    is_active: Mapped[bool] = mapped_column(server_default=true())
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    username_key: Mapped[str] = mapped_column(Text, Computed("postern_fold(username)", persisted=True), deferred=True)
    email_key: Mapped[str] = mapped_column(Text, Computed("postern_fold(email)", persisted=True), deferred=True)


class Session(Base):
    """One login, however often it is refreshed (ADR 0005).

    ``refresh_jti`` is the one refresh token that can be exchanged, ``parent_jti`` the one that it was exchanged for.
    The current pair can be signed again from ``access_jti``, ``issued_at``, ``access_expires_at``, ``expires_at`` and
    ``kid``; ``issued_at`` is exact, the others are in whole seconds. ``expires_at`` slides with each refresh and never
    passes ``ends_at``. ``ended_at`` is set by logout and the like.
    """

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id"), Index(None, "expires_at"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    refresh_jti: Mapped[uuid.UUID]
    parent_jti: Mapped[uuid.UUID | None]
    access_jti: Mapped[uuid.UUID] = mapped_column(server_default=text("'00000000-0000-0000-0000-000000000000'::uuid"))
    kid: Mapped[str] = mapped_column(Text, server_default="")
    issued_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    access_expires_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime.datetime]
    ends_at: Mapped[datetime.datetime]
    ended_at: Mapped[datetime.datetime | None]
    ip: Mapped[str | None] = mapped_column(INET)
    user_agent: Mapped[str | None] = mapped_column(String(256))


class BlocklistEntry(Base):
    """What is refused until the last token of it has expired by itself: a session's `sid`, or a generation of `jti`."""

    __tablename__ = "token_blocklist"
    __table_args__ = (Index(None, "expires_at"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime.datetime]


class RateCount(Base):
    """How often something was asked for in the minute that ``expires_at`` ends.

    Not logged, since it is written at every attempt and worth nothing a minute later: a crash of PostgreSQL empties it.
    """

    __tablename__ = "rate_counts"
    __table_args__ = (Index(None, "expires_at"), {"prefixes": ["UNLOGGED"]})

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int]
    expires_at: Mapped[datetime.datetime]


class LoginFailures(Base):
    """Failed logins in a row, of one account from one network; from anywhere, where ``network`` is empty.

    ``account`` is ``user:<id>``, or a digest of what was typed where there is no such account. The row is forgotten,
    and the count with it, at ``expires_at``.
    """

    __tablename__ = "login_failures"
    __table_args__ = (Index(None, "expires_at"),)

    account: Mapped[str] = mapped_column(Text, primary_key=True)
    network: Mapped[str] = mapped_column(Text, primary_key=True)
    failures: Mapped[int] = mapped_column(server_default="0")
    locked_until: Mapped[datetime.datetime | None]
    expires_at: Mapped[datetime.datetime]
