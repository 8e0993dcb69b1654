"""The `postern` command, and Hypercorn's own, as an operator and a developer run them."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import asyncpg
import pytest
from click.testing import CliRunner, Result
from service import __version__
from service.cli import main
from service.embedded import Cluster
from tests.support.keys import pem, public_pem
from tests.support.processes import (
    PROGRAMS,
    ROOT,
    Running,
    environment,
    free_port,
    postern,
    postgres_below,
    running,
    wait_until,
)
from tests.support.sockets import Connection, ask

SECRET_KEY = "e2e-0123456789-abcdefghijklmnopqrstuvwxyz"
PASSWORD = "correct horse battery"
GOOD = {"--username": "second", "--email": "second@example.com", "--password": PASSWORD}
SERVE = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0")
NOBODY_LISTENS = "postgresql://postern@127.0.0.1:1/postern"


@pytest.fixture
def production(database_url: str) -> dict[str, str]:
    return environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, DATABASE_URL=database_url)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path that other accounts can pass through, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="cli-"))
    path.chmod(0o711)
    yield path
    wait_until(lambda: not postgres_below(path))
    shutil.rmtree(path)


@pytest.fixture
def development(folder: Path) -> dict[str, str]:
    return environment(APP_ENV="development", POSTERN_DATA_DIR=str(folder / "data"))


@pytest.fixture
async def no_users(database: asyncpg.Connection) -> asyncpg.Connection:
    return database


def arguments(changes: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Return a command that makes an admin."""
    return ["create-admin", *(word for option in (GOOD | dict(changes)).items() for word in option)]


@dataclass(frozen=True)
class CommandHere:
    """Runs `postern create-admin` in this process, in production: it ends by itself, and it takes no second."""

    monkeypatch: pytest.MonkeyPatch
    database_url: str

    def make_admin(self, changes: Mapping[str, str] = MappingProxyType({}), **settings: str) -> Result:
        values = {"APP_ENV": "production", "SECRET_KEY": SECRET_KEY, "DATABASE_URL": self.database_url} | settings
        return self.invoke(arguments(changes), values)

    def refuses(self, **settings: str) -> str:
        """Check that it ends with one line, and return that line."""
        return refusal(self.make_admin({}, **settings))

    def refuses_to_run(self, env: Mapping[str, str]) -> str:
        """Check that `postern run` ends with one line before it begins anything, and return that line."""
        return refusal(self.invoke(["run", "--bind", "127.0.0.1:0"], env))

    def invoke(self, words: list[str], env: Mapping[str, str]) -> Result:
        for name, value in env.items():
            self.monkeypatch.setenv(name, value)
        return CliRunner().invoke(main, words)


def refusal(ended: Result) -> str:
    """Check that a command has said nothing but, at its end, one line on standard error, and return that line."""
    assert ended.exit_code == 1
    assert isinstance(ended.exception, SystemExit), ended.exception
    assert ended.output == f"{ended.exception.code}\n"  # which Python would say on standard error
    return one_line(ended.output)


@pytest.fixture
def command_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> CommandHere:
    monkeypatch.chdir(tmp_path)  # there is no `.env` here
    return CommandHere(monkeypatch, database_url)


def one_line(text: str) -> str:
    """Check that this is one line of ours and return what it says."""
    assert "Traceback" not in text
    assert text.count("\n") == 1, text
    assert text.startswith("postern: ")
    return text.removeprefix("postern: ").rstrip("\n")


def run_to_its_end(*arguments: str, folder: Path, env: dict[str, str]) -> str:
    """Run a command that is to fail with one line, and return that line."""
    ended = postern(*arguments, folder=folder, env=env)
    assert (ended.returncode, ended.stdout) == (1, ""), ended
    return one_line(ended.stderr)


# Before it serves

FAULTS = {
    "missing secret": ({"SECRET_KEY": ""}, "SECRET_KEY is missing"),
    "short secret": ({"SECRET_KEY": "abcdefghijklmnopqrstuvwxyz12345"}, "SECRET_KEY is too short"),
    "example's secret": ({"SECRET_KEY": "your-secret-key-change-in-production"}, "SECRET_KEY is an example's"),
    "plain secret": ({"SECRET_KEY": "ab" * 32}, "SECRET_KEY is an example's or too plain"),
    "missing database": ({"DATABASE_URL": ""}, "DATABASE_URL is missing"),
    "another database": ({"DATABASE_URL": "mysql://a@b/c"}, "DATABASE_URL must start with postgresql://"),
    "debug": ({"DEBUG": "true"}, "DEBUG is on"),
    "open to all with credentials": ({"CORS_ORIGINS": "*", "CORS_CREDENTIALS": "1"}, "CORS_ORIGINS=*"),
    "no number": ({"POOL_SIZE": "many"}, "POOL_SIZE: "),
    "no such environment": ({"APP_ENV": "staging"}, "APP_ENV: "),
    "malformed database URL": ({"DATABASE_URL": "postgresql://a:b@c:port/d"}, "DATABASE_URL"),
    "no such TLS": ({"DATABASE_URL": "postgresql://a@b/c?ssl=on"}, "DATABASE_URL: ssl is one of"),
    "no such host": ({"DATABASE_URL": "postgresql://a@b..c/d"}, "DATABASE_URL: a host is"),
    "no such standby": ({"DATABASE_RO_URL": "postgresql://a@b/c?port=d"}, "DATABASE_RO_URL: a port is"),
    "database URL without end": ({"DATABASE_URL": "postgresql://[::1/d"}, "DATABASE_URL"),
}


@pytest.mark.parametrize(("changes", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_production_refuses_to_start_with_one_line(
    command_here: CommandHere, changes: dict[str, str], said: str
) -> None:
    line = command_here.refuses(**changes)
    assert line.startswith(said)
    for secret in changes.values():
        assert len(secret) < 20 or secret not in line


def test_each_fault_has_a_line(tmp_path: Path) -> None:
    ended = postern("run", folder=tmp_path, env=environment(DEBUG="1"))
    lines = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert [line.split()[1] for line in lines] == ["DATABASE_URL", "SECRET_KEY", "DEBUG"]


def test_production_is_what_runs_when_nothing_is_said(tmp_path: Path) -> None:
    ended = postern("run", folder=tmp_path, env=environment())
    assert ended.returncode == 1
    assert "SECRET_KEY is missing" in ended.stderr


def test_settings_are_read_from_a_file(production: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DEBUG=true\n")
    assert run_to_its_end("run", folder=tmp_path, env=production).startswith("DEBUG is on")


def test_a_taken_address_is_said_in_one_line(production: dict[str, str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        line = run_to_its_end("run", "--bind", bind, folder=tmp_path, env=production)
    assert line.startswith(f"{bind} is taken")


@pytest.mark.parametrize(
    "bind",
    [
        "203.0.113.1:8000",
        "no.such.host.invalid:80",
        "127.0.0.1:99999",
        "127.0.0.1:-1",
        "unix:/nowhere/socket",
        "fd://x",
        "fd://9999",
    ],
    ids=["not ours", "no such host", "port too high", "port negative", "no such folder", "no number", "no descriptor"],
)
def test_an_address_that_is_of_no_use_is_said_in_one_line(
    production: dict[str, str], tmp_path: Path, bind: str
) -> None:
    assert bind in run_to_its_end("run", "--bind", bind, folder=tmp_path, env=production)


@pytest.mark.parametrize("app_env", ["production", "development"])
def test_an_unreachable_database_is_said_in_one_line(tmp_path: Path, app_env: str) -> None:
    env = environment(APP_ENV=app_env, SECRET_KEY=SECRET_KEY, DATABASE_URL=NOBODY_LISTENS)
    assert "DATABASE_URL" in run_to_its_end("run", "--bind", "127.0.0.1:0", folder=tmp_path, env=env)


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [(r"//postern:[^@]*@", "//postern:wrong@"), (r"/postern\?", "/nowhere?"), (r"//postern:", "//nobody:")],
    ids=["wrong password", "no such database", "no such role"],
)
def test_a_database_that_refuses_us_is_said_in_one_line(
    command_here: CommandHere, database_url: str, pattern: str, replacement: str
) -> None:
    url, replaced = re.subn(pattern, replacement, database_url)
    assert replaced == 1
    assert "DATABASE_URL" in command_here.refuses(DATABASE_URL=url)


def test_a_database_that_was_never_migrated_is_said_in_one_line(command_here: CommandHere, cluster: Cluster) -> None:
    cluster.ensure_database("empty")
    assert "alembic upgrade head" in command_here.refuses(DATABASE_URL=cluster.url("empty"))


def test_an_unusable_data_folder_is_said_in_one_line(development: dict[str, str], folder: Path) -> None:
    (folder / "file").touch()
    env = development | {"POSTERN_DATA_DIR": str(folder / "file")}
    run_to_its_end("run", "--bind", "127.0.0.1:0", folder=folder, env=env)


KEY_FAULTS = {
    "missing key file": ("nowhere.pem", "TOKEN_KEYS: 'nowhere.pem' can't be read"),
    "key file that holds none": ("empty.pem", "TOKEN_KEYS: 'empty.pem' holds no key in PEM"),
    "public key first": ("public.pem,SECRET_KEY", "TOKEN_KEYS: 'public.pem' is a public key"),
}


@pytest.mark.parametrize(("token_keys", "said"), KEY_FAULTS.values(), ids=KEY_FAULTS.keys())
@pytest.mark.parametrize("app_env", ["production", "development", "testing"])
def test_a_key_that_can_not_be_used_is_said_before_anything_is_started(
    command_here: CommandHere, tmp_path: Path, database_url: str, app_env: str, token_keys: str, said: str
) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "public.pem").write_bytes(public_pem(pem("EdDSA")))
    env = {"APP_ENV": app_env, "TOKEN_KEYS": token_keys, "POSTERN_DATA_DIR": str(tmp_path / "data")}
    if app_env == "production":
        env |= {"SECRET_KEY": SECRET_KEY, "DATABASE_URL": database_url}
    assert command_here.refuses_to_run(env).startswith(said)
    assert not (tmp_path / "data" / "postgres").exists()


@pytest.mark.parametrize(("app_env", "good"), [("production", False), ("development", True)])
def test_production_wants_private_keys_to_be_private(
    command_here: CommandHere, no_users: asyncpg.Connection, folder: Path, app_env: str, good: bool
) -> None:
    (folder / "key.pem").write_bytes(pem("EdDSA"))
    (folder / "key.pem").chmod(0o644)
    settings = {"APP_ENV": app_env, "TOKEN_KEYS": str(folder / "key.pem"), "POSTERN_DATA_DIR": str(folder)}
    if good:
        assert command_here.make_admin({}, **settings).exit_code == 0
    else:
        assert "chmod 600" in command_here.refuses(**settings)


def test_the_version_is_told(tmp_path: Path) -> None:
    ended = postern("--version", folder=tmp_path, env=environment())
    assert (ended.returncode, ended.stdout) == (0, f"postern, version {__version__}\n")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_a_database_is_named_as_operators_name_it(
    command_here: CommandHere, no_users: asyncpg.Connection, database_url: str, scheme: str
) -> None:
    ended = command_here.make_admin(DATABASE_URL=database_url.replace("postgresql+asyncpg://", f"{scheme}://"))
    assert ended.exit_code == 0, ended.output


def test_it_serves_on_a_unix_socket(production: dict[str, str], folder: Path) -> None:
    path = folder / "socket"
    with running(
        PROGRAMS / "postern", "run", "--bind", f"unix:{path}", folder=folder, env=production, told="Ctrl-C"
    ) as server:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        assert str(path) in server.output()
        assert server.stop() == 0


def test_it_says_an_address_of_ipv6_as_a_browser_takes_it(production: dict[str, str], tmp_path: Path) -> None:
    with running(
        PROGRAMS / "postern", "run", "--bind", "[::1]:0", folder=tmp_path, env=production, told="Ctrl-C"
    ) as server:
        assert re.search(r"http://\[::1\]:\d+", server.output())


# Admins


def made_admin(*arguments: str, env: dict[str, str], folder: Path, given: str = "") -> str:
    ended = postern("create-admin", *arguments, folder=folder, env=env, given=given)
    assert ended.returncode == 0, ended
    assert "Traceback" not in ended.stderr
    return ended.stdout


def can_act_as_admin(server: Running, email: str, password: str) -> bool:
    entered = ask(server, "POST", "/api/auth/login", {"email": email, "password": password})
    assert entered.status == 200, entered
    allowed = ask(server, "GET", "/api/auth/admin-only", token=entered.json()["access_token"])
    return bool(allowed.json() == {"data": "secret admin data"})


def test_an_admin_that_was_made_can_log_in(
    no_users: asyncpg.Connection, production: dict[str, str], tmp_path: Path
) -> None:
    said = made_admin(
        "--username", "root", "--email", "Root@Example.com", "--password", PASSWORD, env=production, folder=tmp_path
    )
    assert PASSWORD not in said
    made_admin(env=production, folder=tmp_path, given=f"piped\npiped@example.com\n{PASSWORD}\n{PASSWORD}\n")
    with running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=tmp_path, env=production) as server:
        assert can_act_as_admin(server, "root@example.com", PASSWORD)
        assert can_act_as_admin(server, "piped@example.com", PASSWORD)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--email": "nonsense"}, "email"),
        ({"--username": "a"}, "username"),
        ({"--password": "short"}, "password"),
        ({"--password": "password123"}, "password"),
        ({"--password": "Second@Example.com"}, "password"),
        ({"--email": "FIRST@example.com"}, "Email already registered"),
        ({"--username": "First"}, "Username already taken"),
    ],
    ids=[
        "bad email",
        "bad username",
        "bad password",
        "common password",
        "email as password",
        "email taken",
        "username taken",
    ],
)
def test_an_admin_that_can_not_be_is_refused_in_one_line(
    command_here: CommandHere, no_users: asyncpg.Connection, changes: dict[str, str], said: str
) -> None:
    assert command_here.make_admin({"--username": "first", "--email": "first@example.com"}).exit_code == 0
    refused = command_here.make_admin(changes)
    assert refused.exit_code == 1
    assert one_line(refused.output).startswith(said)
    assert changes.get("--password", PASSWORD) not in refused.output


async def test_the_admin_is_an_admin_in_the_database_and_its_password_is_not(
    no_users: asyncpg.Connection, production: dict[str, str], tmp_path: Path
) -> None:
    made_admin(*arguments()[1:], env=production, folder=tmp_path)
    row = await no_users.fetchrow("SELECT username, role, is_active, password_hash FROM users")
    assert (row["username"], row["role"], row["is_active"]) == ("second", "admin", True)
    assert row["password_hash"].startswith("$argon2id$")


async def test_purging_removes_what_has_expired(
    no_users: asyncpg.Connection, production: dict[str, str], tmp_path: Path
) -> None:
    await no_users.execute("TRUNCATE token_blocklist")
    for when in ("-1 second", "1 hour"):
        await no_users.execute(f"INSERT INTO token_blocklist VALUES (gen_random_uuid(), now() + interval '{when}')")

    ended = postern("purge", folder=tmp_path, env=production)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("postern: 1 rows removed\n")
    assert await no_users.fetchval("SELECT count(*) FROM token_blocklist") == 1


async def test_turning_the_rate_limits_off_in_production_is_warned_of(
    production: dict[str, str], tmp_path: Path
) -> None:
    with running(*SERVE, folder=tmp_path, env=production | {"RATE_LIMIT_ENABLED": "false"}) as server:
        warned = [line["message"] for line in server.log_lines() if line["level"] == "warning"]
    assert [message for message in warned if "RATE_LIMIT_ENABLED" in message]


# Development


ADMIN = re.compile(r"email (\S+), password (\S+)")


def test_development_needs_nothing_and_keeps_what_it_made(folder: Path, development: dict[str, str]) -> None:
    with running(*SERVE, folder=folder, env=development) as server:
        shown = ADMIN.findall(server.output())
        assert len(shown) == 1
        email, password = shown[0]
        assert ask(server, "GET", "/readyz").status == 200
        assert can_act_as_admin(server, email, password)
        tokens = ask(server, "POST", "/api/auth/login", {"email": email, "password": password}).json()
        assert postgres_below(folder)
        assert server.stop(signal.SIGINT) == 0
    assert postgres_below(folder) == []
    assert "Traceback" not in server.output()
    assert password not in "".join(file.read_text() for file in (folder / "data").iterdir() if file.is_file())
    with running(*SERVE, folder=folder, env=development) as server:
        assert ADMIN.findall(server.output()) == []
        assert ask(server, "GET", "/api/auth/me", token=tokens["access_token"]).json()["email"] == email
        assert ask(server, "POST", "/api/auth/refresh", token=tokens["refresh_token"]).status == 200
        assert server.stop(signal.SIGTERM) == 0
    assert postgres_below(folder) == []


def test_the_kept_secret_is_its_owners_alone(folder: Path, development: dict[str, str]) -> None:
    with running(*SERVE, folder=folder, env=development):
        kept = folder / "data" / "secret_key"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert len(kept.read_text()) >= 32


def test_a_killed_service_leaves_no_postgres_behind(folder: Path, development: dict[str, str]) -> None:
    with running(*SERVE, folder=folder, env=development) as server:
        assert postgres_below(folder)
        server.process.kill()
        server.process.wait()
        wait_until(lambda: not postgres_below(folder), 5)


def test_development_migrates_the_database_that_is_named(cluster: Cluster, tmp_path: Path) -> None:
    cluster.ensure_database("fresh")
    env = environment(APP_ENV="development", DATABASE_URL=cluster.url("fresh"), POSTERN_DATA_DIR=str(tmp_path))
    with running(*SERVE, folder=tmp_path, env=env) as server:
        assert ask(server, "GET", "/readyz").status == 200
        assert ADMIN.findall(server.output()) == []  # a database that is named is somebody's


@pytest.mark.parametrize("kept", ["", "short"])
def test_a_kept_key_that_is_none_is_said_in_one_line(folder: Path, development: dict[str, str], kept: str) -> None:
    data = Path(development["POSTERN_DATA_DIR"])
    data.mkdir(parents=True, exist_ok=True)
    (data / "secret_key").write_text(kept)
    assert "secret_key" in run_to_its_end("run", "--bind", "127.0.0.1:0", folder=folder, env=development)


def test_a_schema_that_is_behind_is_waited_for(cluster: Cluster, tmp_path: Path, production: dict[str, str]) -> None:
    cluster.ensure_database("behind")
    with running(*SERVE, folder=tmp_path, env=production | {"DATABASE_URL": cluster.url("behind")}) as server:
        assert ask(server, "GET", "/livez").status == 200
        assert ask(server, "GET", "/readyz").status == 503


def test_an_admin_can_be_made_while_development_runs(folder: Path, development: dict[str, str]) -> None:
    with running(*SERVE, folder=folder, env=development) as server:
        made_admin(*arguments()[1:], env=development, folder=folder)
        assert can_act_as_admin(server, GOOD["--email"], PASSWORD)


# Hypercorn's own command


def test_hypercorn_serves_the_app_on_a_named_database(production: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    with running(*hypercorn(port), folder=tmp_path, env=production, port=port) as server:
        assert ask(server, "GET", "/readyz").status == 200
        with Connection(server) as connection:
            answer = connection.call("GET", "/api/auth/me")
        assert (answer.status, answer.json()["code"]) == (401, "TOKEN_MISSING")


def test_hypercorn_serves_the_app_on_the_embedded_database(folder: Path, development: dict[str, str]) -> None:
    with running(*SERVE, folder=folder, env=development) as server:
        email, password = ADMIN.findall(server.output())[0]
        assert server.stop() == 0
    port = free_port()
    with running(*hypercorn(port), folder=folder, env=development, port=port) as server:
        assert ask(server, "GET", "/readyz").status == 200
        assert can_act_as_admin(server, email, password)
        assert server.stop() == 0
    wait_until(lambda: not postgres_below(folder), 5)


def hypercorn(port: int) -> tuple[Path | str, ...]:
    return PROGRAMS / "hypercorn", "--bind", f"127.0.0.1:{port}", str(ROOT / "asgi") + ":app"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "SECRET_KEY is missing"),
        ({"APP_ENV": "development", "TOKEN_KEYS": "nowhere.pem"}, "TOKEN_KEYS: 'nowhere.pem' can't be read"),
    ],
    ids=["no settings", "no such key"],
)
def test_hypercorn_is_told_why_the_app_can_not_start(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    ended = subprocess.run(
        [str(part) for part in (*hypercorn(free_port()), "--workers", "0")],
        cwd=tmp_path,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
