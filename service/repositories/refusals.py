"""The one place where an error of the database becomes an error of the service, told apart by SQLSTATE."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from service.errors import EmailTaken, ServiceError, Unavailable, UsernameTaken

UNIQUE_VIOLATION = "23505"

TAKEN: dict[str, type[ServiceError]] = {"uq_users_email_key": EmailTaken, "uq_users_username_key": UsernameTaken}

# PostgreSQL's appendix "Error Codes". The statement may be right: the server, or the way to it, was not.
AWAY = (
    "08",  # connection exception
    "25006",  # read-only: a standby, or a primary that was demoted
    "25P03",  # idle in transaction too long
    "28",  # invalid authorization
    "3D000",  # no such database
    "40001",  # serialization failure
    "40P01",  # deadlock
    "53",  # insufficient resources
    "55P03",  # lock_timeout
    "57",  # operator intervention: shut down, starting up, statement_timeout
    "58",  # system error
    "XX",  # internal error
)


def refusal(error: BaseException) -> ServiceError | None:
    """Return what the error means to a client; None for one that is a bug, or is not the database's."""
    if isinstance(error, PoolTimeoutError | TimeoutError | OSError):
        return Unavailable()
    # What connecting refuses comes as asyncpg raised it, what a statement refuses comes wrapped.
    origin = error.orig if isinstance(error, DBAPIError) else error
    sqlstate: str = getattr(origin, "sqlstate", None) or ""
    if sqlstate == UNIQUE_VIOLATION:
        kind = TAKEN.get(getattr(origin.__cause__, "constraint_name", None) or "") if origin else None
        return kind() if kind else None
    dead = isinstance(error, DBAPIError) and error.connection_invalidated
    return Unavailable() if dead or sqlstate.startswith(AWAY) else None


def may_be_repeated(error: DBAPIError) -> bool:
    """Tell whether a statement outside a transaction failed before it ran.

    A connection that had died, or (0A000) one that prepared the statement before a migration changed its result.
    """
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) == "0A000"
