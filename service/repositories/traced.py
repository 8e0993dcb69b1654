"""Statements, as tracing is told of them: each by itself, from when it is sent until it is answered."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ExceptionContext, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from service import tracing
from service.repositories.refusals import reason

OF_STATEMENT = "postern_statement"


def trace_statements(engine: AsyncEngine) -> None:
    """Have tracing told of what an engine runs, if there is tracing."""
    if tracing.active is not None:
        event.listen(engine.sync_engine, "before_cursor_execute", _begin)
        event.listen(engine.sync_engine, "after_cursor_execute", _end)
        event.listen(engine.sync_engine, "handle_error", _fail)


def _begin(_connection: object, _cursor: object, statement: str, _values: object, context: Any, _many: bool) -> None:
    if tracing.active is not None:
        setattr(context, OF_STATEMENT, tracing.active.statement(statement))


def _end(_connection: object, _cursor: object, _statement: str, _values: object, context: Any, _many: bool) -> None:
    statement = getattr(context, OF_STATEMENT, None)
    if statement is not None:
        statement.end()


def _fail(context: ExceptionContext) -> None:
    statement = getattr(context.execution_context, OF_STATEMENT, None)
    if statement is not None:
        statement.end(reason(context.original_exception))


async def commit(session: AsyncSession) -> None:
    """Commit; the statement that does it is not one that the engine tells of."""
    if tracing.active is None or not session.in_transaction():
        await session.commit()
        return
    statement = tracing.active.statement("COMMIT")
    try:
        await session.commit()
    except Exception as error:
        statement.end(reason(error))
        raise
    statement.end()
