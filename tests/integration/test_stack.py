"""The whole house on a database that is not ready yet."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from asgi_lifespan import LifespanManager
from service.embedded import Cluster
from service.stack import create_asgi
from tests.conftest import make_settings, migrate
from tests.support.problems import assert_problem


async def readiness(app: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
        assert (await client.get("/livez")).status_code == 200
        return await client.get("/readyz")


@pytest.fixture
def empty_database_url(cluster: Cluster) -> str:
    """A database of the test's own, with nothing in it; made outside of a loop."""
    cluster.ensure_database("not_ready")
    return cluster.url("not_ready")


async def test_a_database_behind_the_code_starts_and_is_not_ready(
    empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    edge = cast(Any, create_asgi(make_settings(database_url=empty_database_url), empty_database_url))
    async with LifespanManager(edge):
        assert_problem(await readiness(edge), 503, "UNAVAILABLE")
    assert "alembic upgrade head" in caplog.text


async def test_a_database_that_is_away_starts_and_is_not_ready(caplog: pytest.LogCaptureFixture) -> None:
    url = "postgresql://postern@127.0.0.1:1/postern"
    edge = cast(Any, create_asgi(make_settings(database_url=url), url))
    async with LifespanManager(edge):
        assert_problem(await readiness(edge), 503, "UNAVAILABLE")
    assert "not ready" in caplog.text


@pytest.fixture
def migrated_database_url(cluster: Cluster) -> str:
    cluster.ensure_database("ready")
    migrate(cluster.url("ready"))
    return cluster.url("ready")


async def test_a_database_that_is_migrated_is_ready(migrated_database_url: str) -> None:
    edge = cast(Any, create_asgi(make_settings(database_url=migrated_database_url), migrated_database_url))
    async with LifespanManager(edge):
        assert (await readiness(edge)).json() == {"status": "ok"}
