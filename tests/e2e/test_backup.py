"""What docs/operating.md says of backups, tried: a copy that is taken under load is restored, and served."""

from __future__ import annotations

import subprocess
from pathlib import Path

import alembic.command
import alembic.config
from service.embedded import Cluster
from service.embedded.programs import binaries
from tests.conftest import ROOT, migrate
from tests.support.members import PASSWORD, Member
from tests.support.processes import PROGRAMS, environment, running, unmeasured
from tests.support.sockets import ask
from tests.support.steady import asking, get

SECRET_KEY = "e2e-0123456789-abcdefghijklmnopqrstuvwxyz"
SERVE = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0")


def do(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs to its end, which has to be a good one."""
    done = subprocess.run([binaries() / program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_copy_that_is_taken_under_load_is_restored_and_served(cluster: Cluster, tmp_path: Path) -> None:
    for name in ("original", "restored"):
        cluster.ensure_database(name)
    migrate(cluster.url("original"))
    env = unmeasured(environment(APP_ENV="production", SECRET_KEY=SECRET_KEY))
    dump = tmp_path / "postern.dump"
    with running(*SERVE, folder=tmp_path, env=env | {"DATABASE_URL": cluster.url("original")}) as server:
        member = Member(server)
        post = ask(server, "POST", "/api/posts/", {"title": "kept", "body": "for long"}, member.access_token).json()
        with asking(server.port, get("/api/posts/"), a_second=50) as kept:
            do("pg_dump", "--format=custom", f"--file={dump}", cluster.url("original", scheme="postgresql"))
        assert kept.failures == []

    restored = cluster.url("restored")
    do(
        "pg_restore",
        "--exit-on-error",
        "--no-owner",
        f"--dbname={cluster.url('restored', scheme='postgresql')}",
        str(dump),
    )

    alembic.command.check(alembic.config.Config(ROOT / "alembic.ini", attributes={"database_url": restored}))
    with running(*SERVE, folder=tmp_path, env=env | {"DATABASE_URL": restored}) as server:
        assert ask(server, "GET", "/readyz").status == 200
        assert ask(server, "GET", f"/api/posts/{post['id']}").json()["title"] == "kept"
        assert ask(server, "GET", "/api/auth/me", token=member.access_token).json()["email"] == member.email
        entered = ask(server, "POST", "/api/auth/login", {"email": member.email, "password": PASSWORD})
        assert entered.status == 200
        added = ask(server, "POST", "/api/posts/", {"title": "t", "body": "b"}, entered.json()["access_token"])
        assert added.status == 201
