"""The collection of answers that are kept for repeated requests (contract: Idempotency-Key)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ARRAY, BigInteger, DateTime, Table, func, select
from sqlalchemy import cast as cast_sql
from sqlalchemy.dialects.postgresql import insert

from service.models import KeptAnswer
from service.repositories.hidden import HIDDEN_USERS
from service.repositories.reads import Reader, Writer

_TABLE = cast(Table, KeptAnswer.__table__)
_C = _TABLE.c
_NOW = func.statement_timestamp(type_=DateTime(timezone=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered; empty texts stand for headers that were not there."""

    status: int
    body: str
    location: str
    etag: str


class AnswerReader(Reader):
    """What can be asked of the collection."""

    async def find(self, scopes: Sequence[bytes]) -> tuple[bytes, Answer] | None:
        """Return the digest of the request and the answer that are kept under one of these scopes."""
        statement = select(_C.request, _C.status, _C.body, _C.location, _C.etag)
        alive = _C.expires_at > _NOW, _C.user_id.not_in(HIDDEN_USERS)
        for row in await self._reads.rows(statement.where(_C.scope.in_(scopes), *alive)):
            return row.request, Answer(row.status, row.body, row.location, row.etag)
        return None


class Answers(AnswerReader, Writer):
    """What can be done to the collection, inside a transaction."""

    async def try_lock(self, scopes: Sequence[bytes]) -> bool:
        """Keep others from answering under one of these scopes until the transaction ends; tell whether nobody is.

        All of them: in the middle of a change of secrets, two processes have the same scopes in another order.
        """
        keys = sorted(int.from_bytes(scope[:8], signed=True) for scope in scopes)
        key = func.unnest(cast_sql(keys, ARRAY(BigInteger))).column_valued("key")
        locked = func.bool_and(func.pg_try_advisory_xact_lock(key))
        return bool((await self._session.execute(select(locked))).scalar_one())

    async def keep(
        self, scope: bytes, request: bytes, answer: Answer, *, user_id: int, lifetime: datetime.timedelta
    ) -> None:
        """Keep an answer, in the place of one that has expired."""
        values: dict[str, Any] = {
            "request": request,
            "user_id": user_id,
            "status": answer.status,
            "body": answer.body,
            "location": answer.location,
            "etag": answer.etag,
            "expires_at": _NOW + lifetime,
        }
        statement = insert(_TABLE).values(scope=scope, **values)
        await self._session.execute(statement.on_conflict_do_update(index_elements=[_C.scope], set_=values))
