"""Failed logins in a row, by account and network; the network '' stands for all of them together."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Text, any_, bindparam, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from service.models import LoginFailures
from service.repositories.reads import Reader, Rows, Writer

MEMORY = datetime.timedelta(days=1)
"""How long after the last failure a count is forgotten."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Where one account stands in one network; ``locked_seconds`` is what is left of a lock, 0 without one."""

    failures: int
    locked_seconds: float


class FailureReader(Reader):
    """What can be asked of the tallies."""

    async def of(self, account: str, networks: Collection[str]) -> dict[str, Tally]:
        """Return the tallies that there are, by network."""
        return _tallies(await self._reads.rows(_OF, _named(account, networks)))


class Failures(FailureReader, Writer):
    """What can be done to the tallies, inside a transaction."""

    async def lock(self, account: str, networks: Collection[str]) -> dict[str, Tally]:
        """Return the tallies that there are, and keep others from changing them until the transaction ends."""
        return _tallies(await self._reads.rows(_LOCKED, _named(account, networks)))

    async def open(self, account: str, networks: Collection[str]) -> dict[str, Tally]:
        """Return a tally for each network, made where there was none, and keep others from changing them.

        The upsert takes the rows in one order, and makes those anew that somebody removes meanwhile.
        """
        rows = [
            {"account": account, "network": network, "expires_at": func.now() + MEMORY} for network in sorted(networks)
        ]
        opened = insert(LoginFailures).values(rows)
        over = LoginFailures.expires_at <= func.now()
        statement = opened.on_conflict_do_update(
            index_elements=[LoginFailures.account, LoginFailures.network],
            set_={
                "failures": case((over, 0), else_=LoginFailures.failures),
                "locked_until": case((over, None), else_=LoginFailures.locked_until),
                "expires_at": opened.excluded.expires_at,
            },
        )
        return _tallies(await self._reads.rows(statement.returning(*_COLUMNS)))

    async def set(self, account: str, network: str, *, failures: int, lock: datetime.timedelta | None) -> None:
        """Store a tally that was locked for this."""
        values = {
            "failures": failures,
            "locked_until": None if lock is None else func.now() + lock,
            "expires_at": func.now() + MEMORY,
        }
        statement = update(LoginFailures).where(LoginFailures.account == account, LoginFailures.network == network)
        await self._session.execute(statement.values(values))

    async def forget(self, account: str, networks: Collection[str]) -> None:
        """Begin anew to count."""
        where = (LoginFailures.account == account, LoginFailures.network.in_(networks))
        await self._session.execute(delete(LoginFailures).where(*where))


_COLUMNS = (
    LoginFailures.network,
    LoginFailures.failures,
    func.extract("epoch", LoginFailures.locked_until - func.clock_timestamp()),
)


# What every login asks is built once: to build it anew takes as long as to run it.

_OF = select(*_COLUMNS).where(
    LoginFailures.account == bindparam("account"),
    LoginFailures.network == any_(bindparam("networks", type_=ARRAY(Text))),
    LoginFailures.expires_at > func.now(),
)
_LOCKED = _OF.order_by(LoginFailures.network).with_for_update()


def _tallies(rows: Rows) -> dict[str, Tally]:
    return {network: Tally(failures, max(0.0, float(seconds or 0))) for network, failures, seconds in rows}


def _named(account: str, networks: Collection[str]) -> dict[str, Any]:
    return {"account": account, "networks": list(networks)}
