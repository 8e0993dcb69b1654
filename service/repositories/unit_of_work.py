"""Units of work: one session each. `UnitOfWork` is one transaction; `Maintaining` is none. Beside them is what needs
none: `Reading`, and `Adding` by single statements.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from service.repositories.answers import AnswerReader, Answers
from service.repositories.blocklist import Blocklist
from service.repositories.comments import CommentReader, Comments, NewComments
from service.repositories.copying import Copying, Upkeep
from service.repositories.expired import Expired
from service.repositories.failures import FailureReader, Failures
from service.repositories.hidden import Hidden
from service.repositories.posts import NewPosts, PostReader, Posts
from service.repositories.reads import AloneOnce, Reads, raise_refusal
from service.repositories.refusals import reason
from service.repositories.sessions import SessionReader, Sessions
from service.repositories.traced import commit
from service.repositories.uncut import uncut
from service.repositories.users import UserReader, Users

log = logging.getLogger("postern")


class Reading:
    """The collections as they are read outside transactions; there is one for all requests of a process."""

    def __init__(self, reads: Reads) -> None:
        self.users = UserReader(reads)
        self.posts = PostReader(reads)
        self.comments = CommentReader(reads)
        self.sessions = SessionReader(reads)
        self.failures = FailureReader(reads)
        self.answers = AnswerReader(reads)


class Adding:
    """What adds to the collections by one statement, which is a transaction by itself; there is one for a process."""

    def __init__(self, once: AloneOnce) -> None:
        self.users = UserReader(once)
        self.posts = NewPosts(once)
        self.comments = NewComments(once)


class _Unit:
    """A session that is open while its block runs; what leaves the block is an error of the service, or a bug."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        failure = error
        try:
            await self._finish(error)
        except Exception as unfinished:  # noqa: BLE001 - raised again below, once the connection is given back
            failure = unfinished
        finally:
            await self._close(failure)
        if failure is not None:
            raise_refusal(failure)
            if failure is not error:
                raise failure

    async def _close(self, failure: BaseException | None) -> None:
        """Give the connection back; that one dies meanwhile changes nothing of what was done or refused.

        After a failure there is a transaction to roll back, which must not be cut.
        """
        try:
            await (self._session.close() if failure is None else uncut(self._session.close()))
        except (DBAPIError, OSError) as loss:
            log.warning("a connection was lost as it was given back: %s", reason(loss))
            await self._session.invalidate()

    async def _finish(self, error: BaseException | None) -> None:
        """End the transaction, if there is one."""


class UnitOfWork(_Unit):
    """A transaction over the collections: committed when the block ends normally, else rolled back.

    Raises:
        ServiceError: at the end of the block, for what the database refused: a name that is taken, or Unavailable.
    """

    def __init__(self, transactional: AsyncEngine) -> None:
        session = AsyncSession(transactional, expire_on_commit=False, autoflush=False)
        super().__init__(session)
        self.users = Users(session)
        self.posts = Posts(session)
        self.comments = Comments(session)
        self.sessions = Sessions(session)
        self.blocklist = Blocklist(session)
        self.failures = Failures(session)
        self.answers = Answers(session)
        self.expired = Expired(session)
        self.hidden = Hidden(session)
        self.copying = Copying(session)

    async def _finish(self, error: BaseException | None) -> None:
        if error is None:
            await uncut(commit(self._session))


class Maintaining(_Unit):
    """Statements that put the tables in order, each on its own; none is repeated."""

    def __init__(self, engine: AsyncEngine) -> None:
        session = AsyncSession(engine)
        super().__init__(session)
        self.upkeep = Upkeep(session)
