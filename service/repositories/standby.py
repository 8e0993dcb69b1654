"""Reads from a streaming standby that show no less than the primary would: it is asked how far it has come (ADR 15).

The primary says what it had written when somebody asked, and the standby is waited for until it has come as far, which
is a moment; nobody sees a state from before their own writes, or anybody's. Where it is too far behind, or does not
answer, the primary is asked itself. Then nobody waits for the standby until it has answered, unasked for, again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from sqlalchemy import Executable, Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from service import metrics
from service.repositories.reads import Alone, Asks, Rows, Values
from service.repositories.refusals import StatementFailed, reason

PATIENCE_SECONDS = 0.25
"""How long the standby is waited for: to answer, and to have come as far."""
LOOK_SECONDS = 0.005
"""How long until it is asked again how far it has come."""
AWAY_SECONDS = 1.0
"""How long until one that was of no use is tried again."""

# Whatever was acknowledged is flushed, and only that is sent to a standby: a later position would be waited for longer.
# A position means something on one timeline of one cluster: after a fail-over there may be servers that went on with
# the old one. A standby knows of a new timeline from its first restart point on.
# https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-CONTROL-CHECKPOINT
FLUSHED = text("""
    SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint AS position,
        ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS timeline, system_identifier
    FROM pg_control_system()
""")
REPLAYED = text("""
    SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint AS position,
        greatest(timeline_id, min_recovery_end_timeline) AS timeline, system_identifier
    FROM pg_control_system(), pg_control_checkpoint(), pg_control_recovery() WHERE pg_is_in_recovery()
""")

log = logging.getLogger("postern")


class NoStandby(Exception):
    """The server is not in recovery: it has been promoted, or never was a standby."""


class OtherHistory(Exception):
    """The server is of another cluster, or of a timeline that the primary is not on."""


class Behind(Exception):
    """The server shows too old a state."""


class Standby:
    """Statements each on its own, on the standby or, where that won't do, on the primary.

    Raises, from `rows`:
        ServiceError: for what the primary refused.
    """

    def __init__(self, standby: Alone, primary: Asks) -> None:
        self._standby = standby
        self._primary = primary
        self._is_away = False
        self._again_at = 0.0
        self._reading: set[asyncio.Task[Rows | None]] = set()

    async def rows(self, statement: Executable, values: Values | None = None) -> Rows:
        """Return the rows that a statement reads."""
        rows = await self._from_standby(statement, values) if self._may_be_tried() else None
        metrics.replica_reads.labels("primary" if rows is None else "standby").inc()
        return await self._primary.rows(statement, values) if rows is None else rows

    async def close(self) -> None:
        """Cut off what is not waited for any more."""
        reading = tuple(self._reading)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    def _may_be_tried(self) -> bool:
        return not self._is_away or (time.monotonic() >= self._again_at and not self._reading)

    async def _from_standby(self, statement: Executable, values: Values | None) -> Rows | None:
        """Return the rows; None if the standby is of no use just now, or it has to be seen whether it is."""
        (flushed,) = await self._primary.rows(FLUSHED)
        caught_up = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._read(statement, values, flushed, caught_up))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)
        patience = 0.0 if self._is_away else PATIENCE_SECONDS
        await asyncio.wait({task, caught_up}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if task.done() or caught_up.done():
            return await task
        self._lose(TimeoutError())  # it goes on, for it is cut by the time-outs that all statements have
        return None

    async def _read(
        self, statement: Executable, values: Values | None, flushed: Row[Any], caught_up: asyncio.Future[None]
    ) -> Rows | None:
        async def catch_up(connection: AsyncConnection) -> None:
            await _catch_up(connection, flushed)
            if not caught_up.done():
                caught_up.set_result(None)

        try:
            rows = await self._standby.rows(statement, values, catch_up)
        except Exception as error:  # noqa: BLE001 - whatever it is, the primary can be asked
            if not (caught_up.done() and isinstance(error, StatementFailed)):  # which it will be there, too
                self._lose(error.__cause__ or error)
            return None
        if self._is_away:
            log.warning("the standby is of use again")
        self._is_away = False
        return rows

    def _lose(self, error: BaseException) -> None:
        if not self._is_away:
            log.warning("the standby is of no use, the primary is asked: %s", reason(error))
        self._is_away = True
        self._again_at = time.monotonic() + AWAY_SECONDS


async def _catch_up(connection: AsyncConnection, flushed: Row[Any]) -> None:
    """Return when this server shows what the primary had flushed.

    Raises:
        NoStandby, OtherHistory, Behind: it won't, or not soon.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        replayed = (await connection.execute(REPLAYED)).first()
        if replayed is None:
            raise NoStandby
        if (replayed.timeline, replayed.system_identifier) != (flushed.timeline, flushed.system_identifier):
            raise OtherHistory
        if replayed.position >= flushed.position:
            return
        await asyncio.sleep(LOOK_SECONDS)
    raise Behind
