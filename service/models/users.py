"""Accounts."""

from __future__ import annotations

import datetime

from sqlalchemy import (
    CheckConstraint,
    Computed,
    Identity,
    Index,
    String,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.models.base import Base

USERNAME_ORDER = 'left(username_key COLLATE "C", 80)'
"""What accounts are sorted by: cut to the length of a name, since compatibility forms can make its key much longer."""


class User(Base):
    """An account. The keys are what makes a name or an email the same as another's (SQL function `postern_fold`).

    ``updated_at`` is the time of the change itself, which may have waited for another: not that of its transaction.
    ``is_removed`` hides one on which too much hangs to go with it at once (ADR 9).
    """

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("email_key"),
        UniqueConstraint("username_key"),
        CheckConstraint("role IN ('user', 'admin')", name="role"),
        Index(None, "created_at", "id"),
        Index("ix_users_is_active_created_at_id", "is_active", "created_at", "id"),
        Index("ix_users_username_order", text(USERNAME_ORDER), "id"),
        Index("ix_users_is_active_username_order", "is_active", text(USERNAME_ORDER), "id"),
        Index("ix_users_trigrams", text("postern_trigrams(username_key)"), postgresql_using="gin"),
        Index("ix_users_is_removed", "id", postgresql_where=text("is_removed")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    username: Mapped[str] = mapped_column(String(80))
    email: Mapped[str] = mapped_column(String(120))
    password_hash: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text, server_default="user")
    is_active: Mapped[bool] = mapped_column(server_default=true())
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now(), onupdate=func.clock_timestamp())
    is_removed: Mapped[bool] = mapped_column(server_default=false())
    username_key: Mapped[str] = mapped_column(Text, Computed("postern_fold(username)", persisted=True), deferred=True)
    email_key: Mapped[str] = mapped_column(Text, Computed("postern_fold(email)", persisted=True), deferred=True)
