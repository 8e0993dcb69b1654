"""Applications beside the one of the run: with other settings, or on another database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import asyncpg
import httpx
from asgi_lifespan import LifespanManager
from service.api import docs
from service.api.context import KEY
from service.config import Settings
from service.context import Context
from service.edge import Edge
from service.stack import create_asgi
from tests.support.documentation import documentation_of
from tests.support.served import OverSockets


@dataclass(frozen=True)
class Instance:
    """One process's worth of the service: what a client sees of it, and what it holds."""

    client: httpx.AsyncClient
    direct: httpx.AsyncClient
    """Calls the application without a socket: a request is cancelled with its caller."""
    context: Context


Serve = Callable[..., AbstractAsyncContextManager[Instance]]
NewDatabase = Callable[[], Awaitable[str]]


@asynccontextmanager
async def serving(settings: Settings, database_url: str) -> AsyncIterator[Instance]:
    """An application with its lifespan open."""
    edge = create_asgi(settings, database_url)
    transport = httpx.ASGITransport(cast(Any, edge), raise_app_exceptions=False)
    direct = httpx.AsyncClient(transport=transport, base_url="http://testserver")
    async with LifespanManager(cast(Any, edge)), client_of(edge) as client, direct:
        yield Instance(client, direct, context_of(edge))


def client_of(edge: Edge, *, address: str = "127.0.0.1") -> httpx.AsyncClient:
    """A client of the application on the server's engine, from this address; its answers have to be documented."""
    transport = OverSockets(edge, (address, 50123))
    hooks = {"response": [documentation_of(document_of(edge)).check]}
    return httpx.AsyncClient(transport=transport, base_url="http://testserver", event_hooks=hooks)


def document_of(edge: Edge) -> bytes:
    """The OpenAPI document of the application."""
    return cast(bytes, cast(Any, edge).app._app.extensions[docs.KEY])


def context_of(edge: Edge) -> Context:
    """What the application's views work with."""
    return cast(Context, cast(Any, edge).app._app.extensions[KEY])


async def connect(database_url: str) -> asyncpg.Connection:
    """A connection that the application knows nothing of."""
    return await asyncpg.connect(database_url.replace("+asyncpg", ""))
