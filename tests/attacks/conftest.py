"""One server in production for all cases, and what lends it to each and checks everything behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from service.embedded import Cluster
from tests.conftest import migrate
from tests.support.accounts import PASSWORD, PASSWORD_HASH, Account
from tests.support.attacks import SECRET_KEY, Arena, Attack, Database, Log, attacking
from tests.support.processes import PROGRAMS, Running, environment, running, unmeasured, wait_until
from tests.support.sockets import ask


@contextlib.contextmanager
def arena_of(cluster: Cluster, name: str, folder: Path, *, servers: int, **settings: str) -> Iterator[Arena]:
    """Open an arena on a migrated database of its own, and check at its end that the servers leave in peace."""
    cluster.ensure_database(name)
    migrate(cluster.url(name))
    patient = {
        "HASH_WAIT_SECONDS": "10",  # a machine that is busy with other tests is no attack
        "ANSWER_SECONDS": "30",
        "LOCK_SECONDS": "10",
        "STATEMENT_SECONDS": "10",
    }
    env = unmeasured(
        environment(
            APP_ENV="production",
            SECRET_KEY=SECRET_KEY,
            DATABASE_URL=cluster.url(name),
            **{"RATE_LIMIT_ENABLED": "false"} | patient | settings,
        )
    )
    with contextlib.closing(Database(cluster.url(name))) as database, contextlib.ExitStack() as stack:
        processes = tuple(
            stack.enter_context(running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=folder, env=env))
            for _ in range(servers)
        )
        witness = witness_of(database, processes[0])
        yield Arena(processes, tuple(Log(process.said) for process in processes), database, witness, env)
        for process in processes:
            assert process.stop() == 0, process.output()
            assert "Traceback" not in process.output()


def witness_of(database: Database, server: Running) -> Account:
    """Make and log in the client who is to be served whatever else goes on."""
    insert = "INSERT INTO users (username, email, password_hash) VALUES ($1, $2, $3) RETURNING id"
    user_id = database.execute(insert, "witness", "witness@example.com", PASSWORD_HASH)
    answer = ask(server, "POST", "/api/auth/login", {"email": "witness@example.com", "password": PASSWORD})
    assert answer.status == 200, answer
    wait_until(lambda: server.access_lines(answer.headers["x-request-id"]))  # or the first case would find it
    return Account(user_id, "witness", "witness@example.com", answer.json()["access_token"])


@pytest.fixture(scope="session")
def arena(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """One process for all cases: none may leave it other than it was."""
    with arena_of(cluster, "attacks", tmp_path_factory.mktemp("attacks"), servers=1) as arena:
        yield arena


@pytest.fixture
def attack(arena: Arena) -> Iterator[Attack]:
    """One case's way to the server, whatever holds for all cases being checked behind it."""
    with attacking(arena) as attack:
        yield attack
