"""Requests that are repeated with their `Idempotency-Key`: one has its effect, the others get its answer.

The answer is kept in the transaction of the effect: there is no moment at which one is there without the other.
"""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from service.context import Context
from service.errors import IdempotencyInProgress, IdempotencyKeyReused
from service.repositories.answers import Answer, AnswerReader
from service.repositories.unit_of_work import Adding, UnitOfWork


class AlreadyAnswered(Exception):
    """The request has had its effect before; ``answer`` is what was said then."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__("answered before")


@dataclass(frozen=True, slots=True)
class Once:
    """A request that is to have its effect once. A use case calls `begin` before it writes, and `keep` behind that.

    ``scopes`` are keyed digests of whose key it is and for which route, ``requests`` of what is asked: the first of
    each is today's, the others are those that former secrets made. Without scopes there was no key, and nothing is
    kept. ``answer`` renders what the use case returns.
    """

    scopes: tuple[bytes, ...]
    requests: tuple[bytes, ...]
    lifetime: datetime.timedelta
    answer: Callable[[Any], Answer]

    @asynccontextmanager
    async def unit(self, context: Context) -> AsyncIterator[UnitOfWork | Adding]:
        """Begin what a use case of one statement writes in, in place of `begin`: a transaction if the answer is kept.

        Raises:
            AlreadyAnswered, IdempotencyInProgress, IdempotencyKeyReused: as `begin` says.
        """
        if not self.scopes:
            yield context.adding
            return
        async with context.transaction() as work:
            await self.begin(work)
            yield work

    async def begin(self, work: UnitOfWork) -> None:
        """Be alone with the key until the transaction ends.

        Raises:
            AlreadyAnswered: with the answer that was given.
            IdempotencyInProgress: somebody else is at it.
            IdempotencyKeyReused: the key stands for another request.
        """
        if self.scopes:
            if not await work.answers.try_lock(self.scopes):
                raise IdempotencyInProgress
            await self.look(work.answers)

    async def keep(self, work: UnitOfWork | Adding, result: Any, *, user_id: int) -> None:
        """Keep the answer to what the use case returns, as long as this account is there."""
        if isinstance(work, UnitOfWork) and self.scopes:
            answer, (scope, *_), (request, *_) = self.answer(result), self.scopes, self.requests
            await work.answers.keep(scope, request, answer, user_id=user_id, lifetime=self.lifetime)

    async def look(self, answers: AnswerReader) -> None:
        """See whether there is an answer already, before anything dear is done for another one.

        Raises:
            AlreadyAnswered: with the answer that was given.
            IdempotencyKeyReused: the key stands for another request.
        """
        found = await answers.find(self.scopes)
        if found is None:
            return
        request, answer = found
        if request not in self.requests:
            raise IdempotencyKeyReused
        raise AlreadyAnswered(answer)


def _unasked(result: Any) -> Answer:
    raise AssertionError("nobody asks for an answer that is not kept")


ALWAYS = Once((), (), datetime.timedelta(), _unasked)
"""Of a request without a key: each has its effect."""

__all__ = ["ALWAYS", "AlreadyAnswered", "Answer", "Once"]
