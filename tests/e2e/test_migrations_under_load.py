"""Migrations that run while the service is asked and written to: nobody fails, and nobody waits long for a lock."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from service.embedded import Cluster
from tests.conftest import ROOT, migrate
from tests.support.instances import connect
from tests.support.members import Member
from tests.support.processes import PROGRAMS, environment, running, unmeasured, wait_until
from tests.support.sockets import ask
from tests.support.steady import Send, asking

SECRET_KEY = "e2e-0123456789-abcdefghijklmnopqrstuvwxyz"
A_SECOND, LONGEST_WAIT_SECONDS = 100.0, 2.0
ROWS, SOME = 50_000, 25
COLUMN = """
revision, down_revision = "9001", "{head}"
import sqlalchemy as sa
from alembic import op

def upgrade() -> None:
    op.add_column("posts", sa.Column("words", sa.Integer, server_default="0", nullable=False))
"""
ANOTHER_COLUMN = """
revision, down_revision = "9002", "9001"
import sqlalchemy as sa
from alembic import op

def upgrade() -> None:
    op.add_column("users", sa.Column("note", sa.Text))
"""
INDEX = """
revision, down_revision = "9003", "9002"
from alembic import op

def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("ix_posts_words", "posts", ["words"], postgresql_concurrently=True)
        op.create_index("ix_users_note", "users", ["note"], postgresql_concurrently=True)
"""
WAITING = """
    SELECT coalesce(extract(epoch FROM max(now() - state_change)), 0) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'postern' AND wait_event_type = 'Lock'
"""


@pytest.fixture
def url(cluster: Cluster) -> str:
    cluster.ensure_database("loaded")
    migrate(cluster.url("loaded"))
    return cluster.url("loaded")


def with_migrations(folder: Path, head: str, *sources: str) -> Path:
    """Return the configuration of a checkout that has more migrations than this one."""
    shutil.copytree(ROOT / "alembic", folder / "alembic")
    for number, source in enumerate(sources):
        (folder / "alembic" / "versions" / f"{9001 + number}_more.py").write_text(source.format(head=head))
    return Path(shutil.copy(ROOT / "alembic.ini", folder))


def reading_and_writing(member: Member) -> Send:
    """Do what clients do, one thing after another."""
    turns = itertools.cycle(["/api/auth/me", "/api/posts/", "/api/users/", None])
    headers = {"Authorization": f"Bearer {member.access_token}", "Content-Type": "application/json"}

    def send(client: http.client.HTTPConnection) -> None:
        path = next(turns)
        if path:
            client.request("GET", path, headers=headers)
        else:
            client.request("POST", "/api/posts/", json.dumps({"title": "a title", "body": "a body"}), headers)
        answer = client.getresponse()
        said = answer.read()
        if answer.status not in (200, 201):
            raise http.client.HTTPException(f"{path or 'a post'}: {answer.status} {said[:500]!r}")

    return send


async def longest_wait(database: asyncpg.Connection, upgrade: asyncio.subprocess.Process) -> float:
    """Return how long a statement of the service has waited for a lock, until the upgrade ends."""
    longest = 0.0
    while upgrade.returncode is None:
        longest = max(longest, float(await database.fetchval(WAITING)))
        await asyncio.sleep(0.02)
    return longest


async def test_a_column_and_an_index_come_while_requests_do(url: str, tmp_path: Path) -> None:
    database = await connect(url)
    env = unmeasured(environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, DATABASE_URL=url))
    with running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=tmp_path, env=env) as server:
        member = Member(server)
        await database.execute(
            "INSERT INTO posts (author_id, title, body)"
            " SELECT $1, 'a title', 'a body' FROM generate_series(1, $2::int)",
            member.id,
            ROWS,
        )
        head = str(await database.fetchval("SELECT version_num FROM alembic_version"))
        (tmp_path / "new").mkdir()
        file = with_migrations(tmp_path / "new", head, COLUMN, ANOTHER_COLUMN, INDEX)
        with asking(server.port, reading_and_writing(member), a_second=A_SECOND) as kept:
            await asyncio.to_thread(wait_until, lambda: kept.answered > SOME)
            upgrade = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "alembic", "-c", str(file), "upgrade", "head"),
                env=env,
                cwd=tmp_path / "new",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            output = asyncio.create_task(upgrade.communicate())
            waited = await longest_wait(database, upgrade)
            said, _ = await output
            before = kept.answered
            await asyncio.to_thread(wait_until, lambda: kept.answered > before + SOME)

        assert upgrade.returncode == 0, said.decode()
        assert kept.failures == []
        assert waited < LONGEST_WAIT_SECONDS
        assert await database.fetchval("SELECT version_num FROM alembic_version") == "9003"
        assert ask(server, "GET", "/readyz").status == 200
    await database.close()
