"""The one place where an error of the database becomes an error of the service, told apart by SQLSTATE."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from service.errors import EmailTaken, InvalidToken, NotFound, ServiceError, Unavailable, UsernameTaken

UNIQUE_VIOLATION, FOREIGN_KEY_VIOLATION = "23505", "23503"
READ_ONLY = "25006"
DEADLOCK, FEATURE_NOT_SUPPORTED = "40P01", "0A000"
SHUT_DOWN = "57P01", "57P02"

CONSTRAINTS: dict[str, type[ServiceError]] = {
    "uq_users_email_key": EmailTaken,
    "uq_users_username_key": UsernameTaken,
    # SQL has taken the number, which is legal: the next attempt gets another.
    "pk_users": Unavailable,
    "pk_comments": Unavailable,
    # What was there when the request came has been deleted meanwhile.
    "fk_posts_author_id": InvalidToken,
    "fk_comments_author_id": InvalidToken,
    "fk_comments_post_id": NotFound,
    "fk_idempotency_keys_user_id": InvalidToken,
}

# PostgreSQL's appendix "Error Codes". The statement may be right: the server, or the way to it, was not.
AWAY = (
    "08",  # connection exception
    READ_ONLY,
    "25P03",  # idle in transaction too long
    "26",  # a statement that was prepared elsewhere: a pooler is in the way, and does not follow them
    "28",  # invalid authorization
    "3D000",  # no such database
    "40001",  # serialization failure
    DEADLOCK,
    "53",  # insufficient resources
    "55000",  # the database takes no connections
    "55P03",  # lock_timeout
    "57",  # operator intervention: shut down, starting up, statement_timeout
    "58",  # system error
    "XX",  # internal error
)


DATA_EXCEPTION = "22"
PROTOCOL_VIOLATION, NOT_PASSED_ON = "08P01", "unsupported startup parameter"
"""What PgBouncer answers to what it can't tell a server. It has the same number for much else."""


class StatementFailed(RuntimeError):
    """A statement failed that should not have: a bug. PostgreSQL's own text would show the row, hashes included.

    ``is_of_a_value`` where it is a value that the driver or PostgreSQL would not take.
    """

    is_of_a_value = False


def without_values(error: DBAPIError) -> StatementFailed:
    """Return what may be logged of an error that no client expects."""
    failed = StatementFailed(f"{reason(error)}, constraint {_told(error, 'constraint_name') or '-'}")
    failed.is_of_a_value = _told(error, "sqlstate").startswith(DATA_EXCEPTION)
    return failed.with_traceback(error.__traceback__)


def is_of_a_value(error: BaseException) -> bool:
    """Tell whether a statement failed for one of its values: with others it may succeed."""
    return isinstance(error, StatementFailed) and error.is_of_a_value


def reason(error: BaseException) -> str:
    """Return what happened, in words that hold no value of anybody's."""
    sqlstate = _told(error, "sqlstate")
    return f"{type(error).__name__}, SQLSTATE {sqlstate}" if sqlstate else type(error).__name__


def no_database(error: BaseException, setting: str, *, past_pooler: str) -> str:
    """Return in a line why the database of a setting's address is of no use, and what its operator does about it.

    Args:
        error: what came of asking it, by ourselves or by a driver.
        setting: the name of what holds the address.
        past_pooler: what to do about a pooler that does not pass our session settings on.
    """
    if isinstance(error, ServiceError | StatementFailed):
        error = error.__cause__ or error.__context__ or error
    of_driver = [cause for cause in _causes(error) if isinstance(cause, asyncpg.PostgresError | asyncpg.InterfaceError)]
    error = of_driver[-1] if of_driver else error
    if _told(error, "sqlstate") == PROTOCOL_VIOLATION and any(NOT_PASSED_ON in str(cause) for cause in _causes(error)):
        return f"no database ({reason(error)}): a pooler is in the way of {setting}: {past_pooler} (docs/operating.md)"
    return f"no database ({reason(error)}): check {setting} (host, user, password, name, TLS), and that it runs"


def ends_connections(error: BaseException) -> bool:
    """Tell whether the server ends its connections, or only reads: after a fail-over, the primary is elsewhere.

    A connection that has said so while nobody listened is, until it has ended, one whose protocol asyncpg has lost.
    """
    is_confused = any(isinstance(cause, asyncpg.InternalClientError) for cause in _causes(error))
    return is_confused or _told(error, "sqlstate") in (READ_ONLY, *SHUT_DOWN)


def is_of_the_server(error: BaseException) -> bool:
    """Tell whether PostgreSQL itself has said so: it has then ended what it had begun.

    What asyncpg refuses it may have prepared before. PostgreSQL waits for the rest of that, with locks taken, and once
    statement_timeout is over it forgets the next message: a statement, or that the connection ends.
    """
    return bool(_told(error, "severity"))


def refusal(error: BaseException) -> ServiceError | None:
    """Return what the error means to a client; None for one that is a bug, or is not the database's."""
    if isinstance(error, PoolTimeoutError | TimeoutError | OSError):
        return Unavailable()
    sqlstate = _told(error, "sqlstate")
    if sqlstate in (UNIQUE_VIOLATION, FOREIGN_KEY_VIOLATION):
        kind = CONSTRAINTS.get(_told(error, "constraint_name"))
        return kind() if kind else None
    unrun = isinstance(error, DBAPIError) and may_be_repeated(error)
    return Unavailable() if unrun or sqlstate.startswith(AWAY) else None


def may_be_repeated(error: DBAPIError) -> bool:
    """Tell whether a statement outside a transaction failed before it ran.

    A connection that had died, or it `did_nothing`.
    """
    return error.connection_invalidated or did_nothing(error)


def did_nothing(error: DBAPIError) -> bool:
    """Tell whether a statement outside a transaction is known to have done nothing, for a reason that has passed.

    It had been prepared before a migration changed its result, or a deadlock was ended by undoing it.
    """
    return _told(error, "sqlstate") in (FEATURE_NOT_SUPPORTED, DEADLOCK)


def _told(error: BaseException, name: str) -> str:
    """Return what asyncpg says of an error; empty when it says nothing."""
    values = (getattr(cause, name, None) for cause in _causes(error))
    return next((value for value in values if value), "")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give what SQLAlchemy has wrapped once or twice."""
    cause: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    while cause is not None:
        yield cause
        cause = cause.__cause__
