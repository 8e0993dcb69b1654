"""`postern run --workers`: several processes that are one service, and what is seen of them while they come and go."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import re
import signal
import ssl
from collections.abc import Iterator
from os import kill
from pathlib import Path

import pytest
from tests.support.instances import connect
from tests.support.members import Member
from tests.support.processes import (
    PROGRAMS,
    Running,
    children_of,
    environment,
    lives,
    postern,
    postgres_below,
    running,
    unmeasured,
    wait_until,
)
from tests.support.sockets import Connection, ask, is_refused
from tests.support.steady import Send, asking, get

SECRET_KEY = "e2e-0123456789-abcdefghijklmnopqrstuvwxyz"
SERVE = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0")
ADMIN = re.compile(r"email (\S+), password (\S+)")


@pytest.fixture(scope="module")
def env(database_url: str) -> dict[str, str]:
    return unmeasured(environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, DATABASE_URL=database_url))


@pytest.fixture
def server(env: dict[str, str], tmp_path: Path) -> Iterator[Running]:
    with running(*SERVE, "--workers", "2", folder=tmp_path, env=env) as server:
        yield server


def workers_of(server: Running) -> set[int]:
    """Return the processes that serve; the embedded PostgreSQL is a child, too."""
    found = set()
    for pid in children_of(server.process.pid):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if b"postgres" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]:
                found.add(pid)
    return found


def test_a_token_of_one_process_is_good_at_all_others(server: Running) -> None:
    member = Member(server)
    connections = [Connection(server) for _ in range(20)]
    assert {c.call("GET", "/api/auth/me", token=member.access_token).status for c in connections} == {200}
    assert ask(server, "DELETE", "/api/auth/logout", token=member.access_token).status == 200
    assert {c.call("GET", "/api/auth/me", token=member.access_token).status for c in connections} == {401}
    for connection in connections:
        connection.__exit__()


def writing(token: str) -> tuple[list[str], Send]:
    """Return the titles that were acknowledged, and what writes posts with new ones."""
    acknowledged: list[str] = []
    numbers = itertools.count()

    def send(client: http.client.HTTPConnection) -> None:
        title = f"post {next(numbers)}"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        client.request(
            "POST", "/api/posts/", json.dumps({"title": title, "body": "written while they change"}), headers
        )
        answer = client.getresponse()
        answer.read()
        if answer.status != 201:
            raise http.client.HTTPException(f"status {answer.status}")
        acknowledged.append(title)

    return acknowledged, send


async def titles_of(database_url: str, member: Member) -> list[str]:
    connection = await connect(database_url)
    try:
        return [
            row["title"] for row in await connection.fetch("SELECT title FROM posts WHERE author_id = $1", member.id)
        ]
    finally:
        await connection.close()


async def test_a_rolling_replacement_fails_no_write(server: Running, database_url: str) -> None:
    member, before = Member(server), workers_of(server)
    acknowledged, send = writing(member.access_token)

    with asking(server.port, send) as kept:
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(after := workers_of(server)) == 2 and not after & before, 60)

    assert kept.failures == []
    assert sorted(await titles_of(database_url, member)) == sorted(acknowledged)


def test_readiness_ends_with_the_signal_and_requests_do_not(server: Running, database_url: str) -> None:
    with Connection(server) as kept, Connection(server) as other:
        assert (kept.call("GET", "/readyz").status, other.call("GET", "/livez").status) == (200, 200)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(server))
        answers = kept.call("GET", "/readyz"), other.call("GET", "/livez")
    assert [(answer.status, answer.headers["connection"]) for answer in answers] == [(503, "close"), (200, "close")]
    assert server.process.wait(10) == 0
    assert "Traceback" not in server.output()


def test_a_killed_supervisor_leaves_nobody_behind(server: Running) -> None:
    workers = workers_of(server)
    server.process.kill()
    wait_until(lambda: not any(map(lives, workers)), 1)
    assert len(workers) == 2


def test_a_killed_process_is_replaced(server: Running) -> None:
    before = workers_of(server)
    kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(workers_of(server) - before) == 1, 2)
    said = [line for line in server.log_lines() if line["logger"] == "service.server"]
    assert [line["message"] for line in said] == [
        f"process {min(before)} was ended by SIGKILL: the next one starts in 0 s"
    ]


def counted(server: Running, route: str) -> set[float]:
    """Return how many requests of a route were answered, as each of many connections hears it."""
    pattern = re.compile(rf'^postern_requests_total{{method="GET",route="{route}",status="200"}} (\S+)$', re.MULTILINE)
    return {float(pattern.findall(ask(server, "GET", "/metrics").body.decode())[0]) for _ in range(10)}


def test_what_is_measured_is_of_all_processes_and_outlives_each(server: Running) -> None:
    before = workers_of(server)
    for _ in range(30):
        assert ask(server, "GET", "/livez").status == 200
    wait_until(lambda: counted(server, "/livez") == {30})  # an answer is counted when it is out

    kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(workers_of(server) - before) == 1)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(after := workers_of(server)) == 2 and not after & before)

    assert ask(server, "GET", "/livez").status == 200
    wait_until(lambda: counted(server, "/livez") == {31})
    for told in (r"^postern_requests_in_flight 1\.0$", r"^postern_pool_size 20\.0$"):
        wait_until(lambda: re.search(told, ask(server, "GET", "/metrics").body.decode(), re.MULTILINE))  # noqa: B023


def test_development_is_one_service_too(tmp_path: Path) -> None:
    env = unmeasured(environment(APP_ENV="development", POSTERN_DATA_DIR=str(tmp_path / "data")))
    with running(*SERVE, "--workers", "2", folder=tmp_path, env=env) as server:
        (email, password), *others = ADMIN.findall(server.output())
        assert others == []
        token = ask(server, "POST", "/api/auth/login", {"email": email, "password": password}).json()["access_token"]
        with asking(server.port, get("/readyz"), a_second=50):
            assert {ask(server, "GET", "/api/auth/me", token=token).status for _ in range(20)} == {200}
        assert server.stop() == 0
    assert postgres_below(tmp_path) == []


def test_tls_is_served_by_its_own_settings(env: dict[str, str], tmp_path: Path, certificate: Path) -> None:
    with running(
        *SERVE, "--workers", "2", "--certfile", certificate, folder=tmp_path, env=env, told="https://127.0.0.1:"
    ) as server:
        port = int(re.findall(r"https://127\.0\.0\.1:(\d+)", server.output())[0])
        client = http.client.HTTPSConnection("localhost", port, context=ssl.create_default_context(cafile=certificate))
        client.request("GET", "/readyz")
        answer = client.getresponse()
        client.close()
    assert (answer.status, bool(answer.headers["strict-transport-security"])) == (200, True)


def test_lines_of_requests_can_be_left_out(env: dict[str, str], tmp_path: Path) -> None:
    with running(*SERVE, "--no-access-log", folder=tmp_path, env=env) as server:
        assert ask(server, "GET", "/livez").status == 200
        assert server.stop() == 0
    assert [line for line in server.log_lines() if line["logger"] == "postern.access"] == []


def test_the_level_of_the_log_can_be_set(env: dict[str, str], tmp_path: Path) -> None:
    with running(*SERVE, "--log-level", "WARNING", folder=tmp_path, env=env) as server:
        assert ask(server, "GET", "/livez").status == 200
        assert server.stop() == 0
    assert {line["level"] for line in server.log_lines()} <= {"warning"}


@pytest.mark.parametrize(
    ("option", "value"),
    [("--workers", "0"), ("--max-requests", "0"), ("--certfile", "none.pem"), ("--log-level", "LOUD")],
)
def test_an_option_that_is_none_is_said(env: dict[str, str], tmp_path: Path, option: str, value: str) -> None:
    refused = postern("run", option, value, folder=tmp_path, env=env)
    assert refused.returncode == 2
    assert option in refused.stderr
