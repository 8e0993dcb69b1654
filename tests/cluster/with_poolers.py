"""Through PgBouncer in transaction mode: more clients than it has connections, and what has to be set up elsewhere."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
from service.embedded import Cluster
from tests.cluster.conftest import SECRET_KEY, Way
from tests.cluster.servers import NEW, OLD, pooled
from tests.conftest import ROOT
from tests.e2e.test_migrations_under_load import reading_and_writing
from tests.faults.database import OURS
from tests.support.members import Member
from tests.support.processes import PROGRAMS, Running, environment, running, wait_until
from tests.support.sockets import ask
from tests.support.steady import asking

CLIENTS, REQUESTS = 32, 400
LOCK_SECONDS, LATE_SECONDS = 2, 2


def upgraded(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    env = environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, **settings)
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_clients_share_what_connections_there_are(server: Running) -> None:
    member = Member(server)
    with asking(server.port, reading_and_writing(member), clients=CLIENTS, a_second=1000) as kept:
        wait_until(lambda: kept.answered > REQUESTS)
    assert kept.failures == []


def test_a_migration_takes_a_way_of_its_own(way: Way) -> None:
    assert upgraded(way.settings).returncode == 0

    refused = upgraded({name: value for name, value in way.settings.items() if name != "MIGRATION_URL"})
    if way.pooler:
        assert refused.returncode == 1
        assert refused.stderr.startswith("MIGRATION_URL is missing: ")
        assert len(refused.stderr.splitlines()) == 1


def test_what_sessions_lack_is_said_as_the_sql_that_mends_it(server: Running, way: Way, primary: Cluster) -> None:
    said = [line["message"] for line in server.log_lines() if "sessions through DB_POOLER" in line["message"]]
    statements = [message.partition(": ")[2] for message in said]
    if not way.pooler:
        assert statements == []
        return
    assert "ALTER ROLE CURRENT_USER SET statement_timeout = '4000'" in statements

    async def told_and_waited_for() -> float:
        """Tell the role, and have a change wait for a row, on connections that PgBouncer makes after that."""
        connection = await asyncpg.connect(primary.url(scheme="postgresql"))
        for statement in statements:
            await connection.execute(statement)
        await connection.execute(f"SELECT pg_terminate_backend(pid) {OURS} AND pid <> pg_backend_pid()")
        member = await asyncio.to_thread(Member, server)
        change = {"username": f"renamed{time.monotonic_ns()}"}
        async with connection.transaction():
            await connection.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", member.id)
            began = time.monotonic()
            path = f"/api/users/{member.id}"
            answer = await asyncio.to_thread(ask, server, "PATCH", path, change, member.access_token)
        await connection.execute("ALTER ROLE CURRENT_USER RESET ALL")
        await connection.close()
        assert answer.status == 503
        return time.monotonic() - began

    assert LOCK_SECONDS <= asyncio.run(told_and_waited_for()) < LOCK_SECONDS + LATE_SECONDS


def test_the_wrong_kind_of_pooler_is_no_bug_of_ours(primary: Cluster, place: Path, tmp_path: Path) -> None:
    """It does not follow prepared statements, and was said to."""
    with pooled(OLD, place / "wrong", [primary]) as (url,):
        env = environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, DATABASE_URL=url, DB_POOLER=NEW.setting)
        command = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0")
        with running(*command, folder=tmp_path, env=env) as server, ThreadPoolExecutor(CLIENTS) as threads:
            answers = threads.map(lambda page: ask(server, "GET", f"/api/posts/?page={page + 1}"), range(REQUESTS))
            assert {answer.status for answer in answers} == {200, 503}
            assert "SQLSTATE 26000" in server.output()
            assert "Traceback" not in server.output()
