"""Answers that are kept, to be given again."""

from __future__ import annotations

import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.models.base import Base


class KeptAnswer(Base):
    """What was answered to a request with an `Idempotency-Key`, until ``expires_at``.

    ``scope`` is a keyed digest of whose key it is and for which route, ``request`` one of what was asked. The answer is
    about something of this user's, or about the new account itself, and goes with it.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "expires_at"), Index(None, "user_id"))

    scope: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    request: Mapped[bytes] = mapped_column(LargeBinary)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    status: Mapped[int]
    body: Mapped[str] = mapped_column(Text)
    location: Mapped[str] = mapped_column(Text)
    etag: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime.datetime]
