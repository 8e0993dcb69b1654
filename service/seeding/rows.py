"""The rows of a plan: tuples of what a table's columns take, in their order. What statement takes them is not known.

Rows are made when they are asked for, so that a database can store the first while the next are made.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from service.seeding.history import History, Plan
from service.seeding.people import People, email
from service.seeding.prose import Prose
from service.uuid7 import uuid7

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DISABLED_EACH = 50
"""Accounts whose number is a multiple of it are disabled."""

UserRow = tuple[int, str, str, str, bool, datetime, datetime]
"""id, username, email, password_hash, is_active, created_at, updated_at"""
PostRow = tuple[UUID, int, str, str, datetime, datetime]
"""id, author_id, title, body, created_at, updated_at"""
CommentRow = tuple[UUID, int, str, datetime, datetime]
"""post_id, author_id, body, created_at, updated_at"""


class Rows:
    """All rows of a plan. Ask for each kind once, in this order: comments know what posts there are.

    The same plan gives the same rows; ``user_ids``, which the database gives out, are theirs in order of time.
    """

    def __init__(self, plan: Plan, user_ids: Sequence[int]) -> None:
        self._plan = plan
        self._user_ids = user_ids
        self._history = History(plan)
        self._prose = Prose(plan.seed)
        self._post_bits = array("Q")

    def users(self, password_hash: str) -> Iterator[UserRow]:
        """Yield the accounts, numbered from 1."""
        people, seed = People(self._plan.seed), self._plan.seed
        for number, (user_id, moment) in enumerate(zip(self._user_ids, self._history.joined, strict=True), 1):
            created_at = time_of(moment)
            is_active = number % DISABLED_EACH != 0
            name = people.username(number)
            yield user_id, name, email(number, seed), password_hash, is_active, created_at, created_at

    def posts(self) -> Iterator[PostRow]:
        """Yield the posts; their ids are UUIDs of version 7 that rise with the time."""
        bits = Random(f"{self._plan.seed}/ids").getrandbits
        write, edited, compose = self._history.writer(), self._history.edited, self._prose.post
        for moment in self._history.posted:
            title, body = compose()
            self._post_bits.append(bits(62))
            post_id = uuid7(moment, self._post_bits[-1])
            author = self._user_ids[write(moment)]
            yield post_id, author, title, body, time_of(moment), time_of(edited(moment))

    def comments(self) -> Iterator[CommentRow]:
        """Yield the comments, in order of time over all posts."""
        write, edited, remark = self._history.writer(), self._history.edited, self._prose.remark
        for moment, post in self._history.comments():
            post_id = uuid7(self._history.posted[post], self._post_bits[post])
            author = self._user_ids[write(moment)]
            yield post_id, author, remark(), time_of(moment), time_of(edited(moment))


def time_of(moment: int) -> datetime:
    """Return the time of a moment: microseconds since 1970."""
    return EPOCH + timedelta(microseconds=moment)


def moment_of(time: datetime) -> int:
    """Return the moment of an aware time."""
    return (time - EPOCH) // timedelta(microseconds=1)
