"""Posts and comments."""

from __future__ import annotations

import datetime
import uuid

from sqlalchemy import Computed, ForeignKey, Identity, Index, String, Text, false, func, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from service.models.base import Base


class Post(Base):
    """A post. ``is_removed`` hides one whose comments are too many to go with it at once (ADR 9)."""

    __tablename__ = "posts"
    __table_args__ = (
        Index(None, "created_at", "id", postgresql_include=["author_id", "is_removed"]),
        Index(None, "author_id", "created_at", "id", postgresql_include=["is_removed"]),
        Index(None, "search", postgresql_using="gin"),
        Index("ix_posts_is_removed", "id", postgresql_where=text("is_removed")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("postern_uuid7()"))
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now(), onupdate=func.clock_timestamp())
    is_removed: Mapped[bool] = mapped_column(server_default=false())
    search: Mapped[str] = mapped_column(
        TSVECTOR,
        Computed(
            "to_tsvector('english', postern_words(title || ' ' || body))"
            " || array_to_tsvector(ARRAY['author ' || author_id])",
            persisted=True,
        ),
    )


class Comment(Base):
    """A comment on a post."""

    __tablename__ = "comments"
    __table_args__ = (
        Index(None, "post_id", "created_at", "id", postgresql_include=["author_id"]),
        Index(None, "author_id"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    post_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"))
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime.datetime] = mapped_column(server_default=func.now(), onupdate=func.clock_timestamp())
