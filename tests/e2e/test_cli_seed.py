"""`postern seed`, as a developer runs it, and what it says when it can't."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result
from service.cli import main
from tests.support.processes import PROGRAMS, as_from_a_shell, environment, postern, running
from tests.support.sockets import ask
from tests.support.waiting import until_somebody_waits

PASSWORD = "shared by them all"
SECRET_KEY = "e2e-0123456789-abcdefghijklmnopqrstuvwxyz"
FEW = ("--users", "60", "--posts", "80", "--comments", "90")


@pytest.fixture
def development(url: str, tmp_path: Path) -> dict[str, str]:
    cheap = {"HASH_PASSES": "1", "HASH_MEMORY_KIB": "8"}
    return environment(APP_ENV="development", DATABASE_URL=url, POSTERN_DATA_DIR=str(tmp_path), **cheap)


def seed_here(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], *arguments: str) -> Result:
    """Run the command in this process, which takes no second."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(main, ["seed", *arguments])


def refused(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], *arguments: str) -> str:
    """Check that it ends with one line, and return that line."""
    ended = seed_here(monkeypatch, env, *arguments)
    assert ended.exit_code == 1, ended.output
    assert isinstance(ended.exception, SystemExit), ended.exception
    assert ended.output.startswith("postern: ")
    assert ended.output.count("\n") == 1, ended.output
    return ended.output.removeprefix("postern: ").rstrip("\n")


async def users(own: asyncpg.Connection) -> int:
    return int(await own.fetchval("SELECT count(*) FROM users"))


async def test_whoever_was_made_can_log_in_and_each_password_is_told_once(
    development: dict[str, str], own: asyncpg.Connection, tmp_path: Path
) -> None:
    ended = postern("seed", *FEW, "--random-seed", "7", "--password", PASSWORD, folder=tmp_path, env=development)

    assert ended.returncode == 0, ended.stderr
    made, who, disabled = ended.stdout.splitlines()
    assert re.fullmatch(r"postern: 60 users, 80 posts and 90 comments made in \d+\.\d s, with --random-seed 7", made)
    assert who.endswith(f"user1@seed-7.example.com up to user60@seed-7.example.com, password {PASSWORD}")
    assert disabled == "postern: every 50th account is disabled"
    assert await users(own) == 60
    with running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=tmp_path, env=development) as server:
        for number, status in ((1, 200), (50, 403), (60, 200), (61, 401)):
            login = {"email": f"user{number}@seed-7.example.com", "password": PASSWORD}
            assert ask(server, "POST", "/api/auth/login", login).status == status


async def test_without_a_seed_and_a_password_each_run_has_its_own(
    development: dict[str, str], own: asyncpg.Connection, tmp_path: Path
) -> None:
    told = [postern("seed", "--users", "3", folder=tmp_path, env=development).stdout for _ in range(2)]

    seeds = {re.findall(r"--random-seed (\d+)", each)[0] for each in told}
    passwords = {re.findall(r"password (\S+)", each)[0] for each in told}
    assert len(seeds) == len(passwords) == 2
    assert await users(own) == 6


async def test_the_same_seed_again_is_refused_in_one_line(
    development: dict[str, str], own: asyncpg.Connection, tmp_path: Path
) -> None:
    command = ("seed", *FEW, "--random-seed", "7")
    assert postern(*command, folder=tmp_path, env=development).returncode == 0

    again = postern(*command, folder=tmp_path, env=development)

    assert (again.returncode, again.stdout) == (1, "")
    [refusal] = again.stderr.splitlines()
    assert refusal.startswith("postern: names of --random-seed 7 are taken")
    assert await users(own) == 60


async def test_rows_can_end_at_a_time_of_the_past(
    development: dict[str, str], own: asyncpg.Connection, tmp_path: Path
) -> None:
    options = ("--random-seed", "7", "--until", "2026-05-01T12:00:00Z")  # few are late, and with some numbers none
    ended = postern("seed", *FEW, *options, folder=tmp_path, env=development)

    assert ended.returncode == 0, ended.stderr
    late = "SELECT max(updated_at) BETWEEN timestamptz '2026-04-01 UTC' AND '2026-05-01 12:00 UTC' FROM comments"
    assert await own.fetchval(late)


def test_development_needs_no_database_and_no_migration(tmp_path: Path) -> None:
    env = environment(APP_ENV="development", POSTERN_DATA_DIR=str(tmp_path / "data"))
    ended = postern("seed", *FEW, folder=tmp_path, env=env)
    assert ended.returncode == 0, ended.stderr


# What is refused


async def test_production_wants_to_be_told(
    development: dict[str, str], own: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    production = development | {"APP_ENV": "production", "SECRET_KEY": SECRET_KEY}
    del production["HASH_PASSES"], production["HASH_MEMORY_KIB"]

    assert "--yes-in-production" in refused(monkeypatch, production, *FEW)
    assert await users(own) == 0

    ended = postern("seed", *FEW, "--yes-in-production", folder=tmp_path, env=production)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert await users(own) == 60


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--password", "short"), "password: "),
        (("--password", "x" * 129), "password: "),
        (("--password", "password123"), "password: "),
        (("--posts", "0"), "--comments needs --posts"),
        (("--until", "2999-01-01"), "until: "),
        (("--until", "1970-01-01"), "until: "),
    ],
    ids=["short password", "long password", "common password", "comments on nothing", "future", "past"],
)
def test_what_can_not_be_is_refused_in_one_line(
    development: dict[str, str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr("service.cli.seed.migrate", lambda _: None)  # which says on standard error what it does
    assert refused(monkeypatch, development, *arguments).startswith(said)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--users", "0"),
        ("--users", "-1"),
        ("--posts", "many"),
        ("--comments", "10000001"),
        ("--random-seed", "-1"),
        ("--random-seed", "4294967296"),
        ("--until", "tomorrow"),
        ("--rows", "1"),
    ],
    ids=" ".join,
)
def test_arguments_that_are_none_are_refused(
    development: dict[str, str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    ended = seed_here(monkeypatch, development, *arguments)

    assert ended.exit_code == 2
    assert arguments[0] in ended.output


def test_an_unreachable_database_is_said_in_one_line(
    development: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody_listens = development | {"DATABASE_URL": "postgresql://postern@127.0.0.1:1/postern"}
    assert "DATABASE_URL" in refused(monkeypatch, nobody_listens, *FEW)


# What ends it early, and what is seen of it


async def test_ctrl_c_ends_it_with_one_line_and_leaves_nothing(
    development: dict[str, str], own: asyncpg.Connection, tmp_path: Path
) -> None:
    env = development | {"LOCK_SECONDS": "15"}
    command = [str(PROGRAMS / "postern"), "seed", *FEW]
    async with own.transaction():
        await own.execute("LOCK comments")
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            env=env,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            preexec_fn=as_from_a_shell,
        )
        await until_somebody_waits(own)
        process.send_signal(signal.SIGINT)
        said, complaints = await process.communicate()

    assert (process.returncode, said) == (1, b"")
    assert complaints.decode().splitlines()[-1] == "postern: interrupted: nothing was made"
    assert b"Traceback" not in complaints
    assert await users(own) == 0


def test_a_terminal_shows_a_bar(development: dict[str, str], tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        command = [str(PROGRAMS / "postern"), "seed", *FEW]
        process = subprocess.Popen(command, cwd=tmp_path, env=development, stderr=theirs, stdout=subprocess.DEVNULL)
        os.close(theirs)
        shown = b"".join(read_to_the_end(ours))
        assert process.wait(10) == 0
    finally:
        os.close(ours)
    assert b"seeding" in shown
    assert b"100%" in shown


def read_to_the_end(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # nobody writes to it any more
            return
        if not part:
            return
        yield part
