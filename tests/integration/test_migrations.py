from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import alembic.script
import asyncpg
import pytest
from service.embedded import Cluster
from service.models import SCHEMA_HEAD
from tests.support.instances import connect
from tests.support.refusing import refusing

ROOT = Path(__file__).parents[2]
TABLES = {
    "users",
    "sessions",
    "token_blocklist",
    "rate_counts",
    "login_failures",
    "posts",
    "comments",
    "idempotency_keys",
}
NUMBERS = itertools.count(1)


@pytest.fixture
def bare(cluster: Cluster) -> str:
    """The address of a database with nothing in it."""
    name = f"bare_{next(NUMBERS)}"
    cluster.ensure_database(name)
    return cluster.url(name)


def config(url: str) -> alembic.config.Config:
    return alembic.config.Config(ROOT / "alembic.ini", attributes={"database_url": url})


def rows(url: str, statement: str, *arguments: object) -> list[Any]:
    """The first column of what the statement returns."""

    async def run() -> list[Any]:
        connection = await connect(url)
        try:
            return [row[0] for row in await connection.fetch(statement, *arguments)]
        finally:
            await connection.close()

    return asyncio.run(run())


def tables(url: str) -> set[str]:
    return set(rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Alembic's command with nothing else in the environment, and no `.env` around."""
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT / "alembic",
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=30)
    return process.returncode, output, errors


def test_the_head_that_the_code_knows_is_alembics() -> None:
    script = alembic.script.ScriptDirectory.from_config(config(""))

    assert script.get_heads() == [SCHEMA_HEAD]


def test_revisions_are_numbered_so_that_text_compares_them() -> None:
    script = alembic.script.ScriptDirectory.from_config(config(""))
    revisions = [revision.revision for revision in script.walk_revisions()]

    assert all(len(revision) == 4 and revision.isdigit() for revision in revisions)
    assert revisions == sorted(revisions, reverse=True)


def test_an_upgrade_makes_what_the_models_say(bare: str) -> None:
    alembic.command.upgrade(config(bare), "head")

    assert tables(bare) == TABLES | {"alembic_version"}
    alembic.command.check(config(bare))


def test_a_downgrade_leaves_nothing(bare: str) -> None:
    alembic.command.upgrade(config(bare), "head")
    alembic.command.downgrade(config(bare), "base")

    assert tables(bare) == {"alembic_version"}
    assert rows(bare, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == []


def test_up_down_and_up_again_is_up(bare: str) -> None:
    for step in (alembic.command.upgrade, alembic.command.downgrade, alembic.command.upgrade):
        step(config(bare), "base" if step is alembic.command.downgrade else "head")

    alembic.command.check(config(bare))


def test_who_reads_accounts_is_kept_out_only_at_the_end_of_an_upgrade(bare: str) -> None:
    """Its locks are held to the end: one that keeps readers out comes last, behind what takes long."""
    code, output, errors = finish(start("upgrade", "0002:0003", "--sql", DATABASE_URL=bare))

    assert code == 0, errors
    steps = [line for line in output.splitlines() if line.startswith(("CREATE INDEX", "ALTER TABLE", "CREATE TABLE"))]
    altering = next(number for number, step in enumerate(steps) if step.startswith("ALTER TABLE users"))
    assert [step.split()[2] for step in steps[altering + 1 :]] == ["ix_users_is_removed"]


def test_an_upgrade_at_the_head_does_nothing(bare: str) -> None:
    alembic.command.upgrade(config(bare), "head")
    rows(bare, "INSERT INTO users (username, email, password_hash) VALUES ('ann', 'a@example.com', 'x')")
    alembic.command.upgrade(config(bare), "head")

    assert rows(bare, "SELECT username FROM users") == ["ann"]


def test_a_migration_that_fails_leaves_nothing_behind(bare: str) -> None:
    """Those before it stand: what they have locked is free."""
    rows(bare, "CREATE TABLE posts (id integer)")

    code, _, _ = finish(start("upgrade", "head", DATABASE_URL=bare))

    assert code == 1
    assert rows(bare, "SELECT version_num FROM alembic_version") == ["0002"]
    assert rows(bare, "SELECT proname FROM pg_proc WHERE proname = 'postern_trigrams'") == []


async def test_a_migration_that_waits_too_long_for_a_table_gives_up_and_says_so(bare: str) -> None:
    await asyncio.to_thread(alembic.command.upgrade, config(bare), "0002")
    holder = await connect(bare)
    async with holder.transaction():
        await holder.execute("LOCK TABLE users")
        code, _, errors = await asyncio.to_thread(lambda: finish(start("upgrade", "head", DATABASE_URL=bare)))
    version = await holder.fetchval("SELECT version_num FROM alembic_version")
    await holder.close()

    assert (code, version) == (1, "0002")
    assert errors.splitlines()[-1].startswith("a migration gave up (")
    assert "SQLSTATE 55P03) and is undone: run alembic upgrade head again" in errors


def test_two_upgrades_at_once_both_succeed(bare: str) -> None:
    both = [start("upgrade", "head", DATABASE_URL=bare) for _ in range(2)]

    assert [finish(process)[0] for process in both] == [0, 0]
    assert rows(bare, "SELECT version_num FROM alembic_version") == [SCHEMA_HEAD]


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+asyncpg"])
def test_a_deployment_needs_only_the_databases_address(bare: str, scheme: str) -> None:
    address = bare.replace("postgresql+asyncpg", scheme)

    status, _, errors = finish(start("upgrade", "head", DATABASE_URL=address, APP_ENV="production"))

    assert status == 0
    assert "Running upgrade  -> 0001" in errors
    assert tables(bare) >= TABLES


def test_without_an_address_production_says_so_in_one_line() -> None:
    status, output, errors = finish(start("upgrade", "head"))

    assert status != 0
    assert errors.startswith("DATABASE_URL is missing")
    assert (errors.count("\n"), output) == (1, "")


def test_the_migration_can_be_printed(bare: str) -> None:
    status, output, _ = finish(start("upgrade", "head", "--sql", DATABASE_URL=bare))

    assert status == 0
    assert "CREATE TABLE users" in output
    assert tables(bare) == set()


def test_what_is_printed_can_be_run(bare: str) -> None:
    _, output, _ = finish(start("upgrade", "head", "--sql", DATABASE_URL=bare))

    async def run() -> None:
        connection = await connect(bare)
        try:
            await connection.execute(output)
        finally:
            await connection.close()

    asyncio.run(run())
    alembic.command.check(config(bare))


# What operators' SQL may rely on


async def test_an_insert_that_names_the_contracts_columns_is_legal(database: asyncpg.Connection) -> None:
    await database.execute(
        "INSERT INTO users (id, username, email, password_hash, role, is_active, created_at, updated_at)"
        " OVERRIDING SYSTEM VALUE VALUES (7, 'ann', 'ann@example.com', 'x', 'admin', false, now(), now())"
    )

    assert await database.fetchval("SELECT role FROM users WHERE id = 7") == "admin"


async def test_an_insert_that_names_an_id_needs_no_clause_for_it(database: asyncpg.Connection) -> None:
    await database.execute(
        "INSERT INTO users (id, username, email, password_hash, role, is_active, created_at, updated_at)"
        " VALUES (7, 'ann', 'ann@example.com', 'x', 'admin', false, now(), now())"
    )

    assert await database.fetchval("SELECT role FROM users WHERE id = 7") == "admin"


async def test_everything_else_has_a_default(database: asyncpg.Connection) -> None:
    row = await database.fetchrow(
        "INSERT INTO users (username, email, password_hash) VALUES ('Ann', 'Ann@example.com', 'x') RETURNING *"
    )

    assert (row["role"], row["is_active"]) == ("user", True)
    assert row["created_at"] == row["updated_at"]
    assert (row["username_key"], row["email_key"]) == ("ann", "ann@example.com")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (("bob", "b@example.com", "root"), asyncpg.CheckViolationError),
        (("ANN", "b@example.com", "user"), asyncpg.UniqueViolationError),
        (("bob", "A@EXAMPLE.COM", "user"), asyncpg.UniqueViolationError),
        ((None, "b@example.com", "user"), asyncpg.NotNullViolationError),
        (("b" * 81, "b@example.com", "user"), asyncpg.StringDataRightTruncationError),
        (("bob", "b" * 121, "user"), asyncpg.StringDataRightTruncationError),
    ],
    ids=["role", "username", "email", "null", "81", "121"],
)
async def test_rules_hold_for_operators_too(
    database: asyncpg.Connection, values: tuple[str | None, ...], error: type[Exception]
) -> None:
    insert = "INSERT INTO users (username, email, password_hash, role) VALUES ($1, $2, 'x', $3)"
    await database.execute(insert, "ann", "a@example.com", "user")

    with pytest.raises(error):
        await database.execute(insert, *values)


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ("ANN", "ann", True),
        ("\uff21\uff2e\uff2e", "ann", True),
        ("straße", "STRASSE", True),
        ("\u017ftone", "stone", True),
        ("ﬁ", "FI", True),
        ("Å", "\u212b", True),
        ("\u0131", "i", False),
        ("ann", "änn", False),
    ],
    ids=ascii,
)
async def test_names_fold_by_case_and_compatibility(
    database: asyncpg.Connection, first: str, second: str, equal: bool
) -> None:
    assert await database.fetchval("SELECT postern_fold($1) = postern_fold($2)", first, second) is equal


async def test_folding_twice_is_folding_once(database: asyncpg.Connection) -> None:
    assert (
        await database.fetch(
            "SELECT n FROM generate_series(1, 65533) n"
            " WHERE n NOT BETWEEN 55296 AND 57343 AND postern_fold(postern_fold(chr(n))) <> postern_fold(chr(n))"
        )
        == []
    )


async def test_names_of_sessions_and_users_go_together(database: asyncpg.Connection) -> None:
    await database.execute("INSERT INTO users (username, email, password_hash) VALUES ('ann', 'a@example.com', 'x')")
    await database.execute(
        "INSERT INTO sessions (user_id, refresh_jti, expires_at, ends_at)"
        " SELECT id, gen_random_uuid(), now(), now() FROM users"
    )
    await database.execute("DELETE FROM users")

    assert await database.fetchval("SELECT count(*) FROM sessions") == 0


@pytest.mark.parametrize(
    "changes",
    [{"DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c"}, {"DATABASE_URL": ""}, {"DATABASE_URL": "mysql://a@b/c"}],
    ids=["away", "not named", "another kind"],
)
def test_a_migration_that_can_not_begin_says_why_in_one_line(changes: dict[str, str]) -> None:
    status, _, errors = finish(start("upgrade", "head", APP_ENV="production", **changes))

    assert status == 1
    assert len(errors.splitlines()) == 1
    assert "DATABASE_URL" in errors


@pytest.mark.parametrize("setting", ["DATABASE_URL", "MIGRATION_URL"])
@pytest.mark.parametrize(
    ("sqlstate", "message", "said"),
    [
        ("08P01", "unsupported startup parameter: jit", "a pooler is in the way of"),
        ("42501", "nobody of that name", "SQLSTATE 42501): check"),
    ],
    ids=["a pooler", "no right"],
)
def test_a_migration_that_is_not_let_in_says_why_in_one_line(
    setting: str, sqlstate: str, message: str, said: str
) -> None:
    with refusing(sqlstate, message) as url:
        urls = {"DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c", setting: url}
        status, _, errors = finish(start("upgrade", "head", APP_ENV="production", **urls))

    assert status == 1
    assert len(errors.splitlines()) == 1
    assert f"{said} {setting}" in errors
    assert "4711" not in errors
