"""Sessions, and what of them is refused before its time."""

from __future__ import annotations

import datetime
import uuid

from sqlalchemy import ForeignKey, Index, String, Text, func, text
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from service.models.base import Base


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
