"""What posts and comments have in common: an author, whose name is shown with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Executable, FromClause, Row, Select, Table, select

from service.models import User
from service.repositories.reads import Writer

USERS = cast(Table, User.__table__)


class AuthoredWriter(Writer):
    """A collection inside a transaction, whose rows are found by statements for one of them."""

    async def _one(self, statement: Executable, **values: Any) -> Row[Any] | None:
        """Return the row that the statement selects, if there is one."""
        found: Row[Any] | None = (await self._session.execute(statement, values)).one_or_none()
        return found


def with_author(rows: FromClause, author_id: ColumnElement[int]) -> FromClause:
    """Join the accounts of the rows' authors."""
    return rows.join(USERS, USERS.c.id == author_id)


def stored(writing: Any, shown: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Return a statement that writes rows and selects of them what is ``shown`` of their table and their authors."""
    table = writing.table
    rows = writing.returning(*table.c).cte("stored")
    columns = (rows.c[column.name] if column.table is table else column for column in shown)
    return select(*columns).select_from(with_author(rows, rows.c.author_id))
