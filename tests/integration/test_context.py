from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from service.config import ConfigurationError, Settings
from service.context import NotReady, open_context
from service.embedded import Cluster
from sqlalchemy import text
from tests.conftest import make_settings
from tests.support.instances import NewDatabase, connect
from tests.support.refusing import refusing

NOBODY_LISTENS = "postgresql://postern:pw-4711@127.0.0.1:1/postern"


async def test_opening_a_context_connects_to_nothing() -> None:
    async with open_context(make_settings(), NOBODY_LISTENS):
        pass


async def test_a_database_that_does_not_answer_is_told_without_its_address() -> None:
    async with open_context(make_settings(), NOBODY_LISTENS) as context:
        with pytest.raises(NotReady) as refused:
            await context.check_schema()

    assert "DATABASE_URL" in str(refused.value)
    assert "4711" not in str(refused.value)


async def test_a_wrong_password_is_not_ready(database_url: str) -> None:
    user, _, rest = database_url.partition("@")
    wrong = user.rpartition(":")[0] + ":wrong-4711@" + rest
    async with open_context(make_settings(), wrong) as context:
        with pytest.raises(NotReady):
            await context.check_schema()


async def refused(url: str, **values: object) -> str:
    """Return the line about a database that can't be had, which shows no password."""
    async with open_context(make_settings(**values), url) as context:
        with pytest.raises(NotReady) as not_ready:
            await context.schema_version()
    line = str(not_ready.value)
    assert "\n" not in line
    assert "4711" not in line
    return line


async def test_a_pooler_that_passes_no_setting_on_is_told_from_a_wrong_address() -> None:
    with refusing("08P01", "unsupported startup parameter: jit") as url:
        line = await refused(url)
        assert "set DB_POOLER (docs/operating.md)" in line
        assert "check" not in line


async def test_what_a_pooler_says_by_the_same_number_is_about_the_address() -> None:
    with refusing("08P01", "no such database: x") as url:
        assert "SQLSTATE 08P01): check DATABASE_URL" in await refused(url)


@pytest.mark.parametrize("parameter", ["ssl=verify-full", "ssl=on"], ids=["no roots", "no such mode"])
async def test_what_the_driver_refuses_before_it_connects_is_not_ready(
    parameter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    line = await refused(f"{NOBODY_LISTENS}?{parameter}")

    assert "ClientConfigurationError" in line
    assert "DATABASE_URL" in line


async def test_a_schema_that_can_not_be_read_is_told_by_its_sqlstate(new_database: NewDatabase) -> None:
    url = await new_database()
    database = await connect(url)
    await database.execute("ALTER TABLE alembic_version RENAME COLUMN version_num TO other")
    await database.close()

    assert "SQLSTATE 42703" in await refused(url)


@pytest.mark.parametrize("setting", ["DATABASE_URL", "DATABASE_RO_URL"])
async def test_what_is_no_address_to_the_driver_is_named(setting: str, database_url: str) -> None:
    bad = "postgresql://u:pw-4711@/x?host=a:b&host=c"
    urls = {"DATABASE_URL": database_url, setting: bad}
    settings = make_settings().model_copy(update={"database_ro_url": SecretStr(urls.get("DATABASE_RO_URL", bad))})
    with pytest.raises(ConfigurationError) as refusal:
        async with open_context(settings, urls["DATABASE_URL"]):
            pass

    assert refusal.value.faults == [f"{setting} is no address of a database (ArgumentError)"]


async def test_a_database_that_does_not_exist_is_not_ready(cluster: Cluster) -> None:
    async with open_context(make_settings(), cluster.url("nowhere")) as context:
        with pytest.raises(NotReady):
            await context.check_schema()


async def test_a_schema_that_is_behind_says_what_to_do(new_database: NewDatabase) -> None:
    url = await new_database()
    database = await connect(url)
    await database.execute("UPDATE alembic_version SET version_num = '0000'")
    await database.close()

    async with open_context(make_settings(), url) as context:
        with pytest.raises(NotReady, match="alembic upgrade head"):
            await context.check_schema()


async def test_a_schema_at_the_head_is_ready(database_url: str) -> None:
    async with open_context(make_settings(), database_url) as context:
        await context.check_schema()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("application_name", "postern"),
        ("TimeZone", "UTC"),
        ("statement_timeout", "1500ms"),
        ("lock_timeout", "700ms"),
        ("idle_in_transaction_session_timeout", "9s"),
        ("jit", "off"),
    ],
)
async def test_every_connection_is_told_its_limits(database_url: str, setting: str, value: str) -> None:
    settings = make_settings(statement_seconds=1.5, lock_seconds=0.7, idle_in_transaction_seconds=9)
    async with open_context(settings, database_url) as context, context.engine.connect() as connection:
        assert (await connection.execute(text(f"SHOW {setting}"))).scalar_one() == value


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+asyncpg", "postgres"])
@pytest.mark.parametrize("query", ["", "&sslmode=disable", "&sslmode=prefer"])
async def test_addresses_of_operators_work(cluster: Cluster, database_url: str, scheme: str, query: str) -> None:
    url = cluster.url(scheme=scheme) + query
    async with open_context(make_settings(), url) as context:
        await context.check_schema()


async def test_settings_that_were_not_loaded_have_no_key(database_url: str) -> None:
    settings = Settings.model_construct(**(make_settings().model_dump() | {"secret_key": None}))

    with pytest.raises(ValueError, match="secret key"):
        async with open_context(settings, database_url):
            pass


async def test_a_context_that_is_closed_leaves_no_connection(new_database: NewDatabase) -> None:
    url = await new_database()
    async with open_context(make_settings(), url) as context:
        await context.reading.users.get(1)

    database = await connect(url)
    try:
        assert (
            await database.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'postern'"
            )
            == 0
        )
    finally:
        await database.close()


async def test_a_server_that_does_not_answer_holds_no_stop_up(url: str, own: asyncpg.Connection) -> None:
    async with AsyncExitStack() as stack:
        context = await stack.enter_async_context(open_context(make_settings(), url))
        asked = [context.alone.rows(text("SELECT pg_backend_pid() FROM pg_sleep(0.1)")) for _ in range(3)]
        backends = [row.pg_backend_pid for rows in await asyncio.gather(*asked) for row in rows]
        assert len(set(backends)) == 3
        for backend in backends:
            os.kill(backend, signal.SIGSTOP)
        try:
            async with asyncio.timeout(3):
                await stack.aclose()
        finally:
            for backend in backends:
                os.kill(backend, signal.SIGCONT)


@pytest.mark.parametrize(
    ("role", "is_active", "has"), [("admin", True, True), ("admin", False, False), ("user", True, False)]
)
async def test_only_an_active_admin_counts_as_one(
    new_database: NewDatabase, role: str, is_active: bool, has: bool
) -> None:
    url = await new_database()
    database = await connect(url)
    await database.execute(
        "INSERT INTO users (username, email, password_hash, role, is_active) VALUES ('a', 'b', 'c', $1, $2)",
        role,
        is_active,
    )
    await database.close()

    async with open_context(make_settings(), url) as context:
        assert await context.reading.users.has_admin() is has


async def test_a_key_may_be_any_bytes(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"SECRET_KEY", bytes(range(0x80, 0xB0)))

    settings = Settings.load(_env_file=None, app_env="testing")

    async with open_context(settings, database_url) as context:
        await context.check_schema()
