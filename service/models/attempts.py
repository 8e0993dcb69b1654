"""What is counted of attempts: how often in a minute, and how often in vain."""

from __future__ import annotations

import datetime

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.models.base import Base


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
