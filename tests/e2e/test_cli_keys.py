"""`postern keys`, as an operator uses it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from service.cli import main
from service.keys import read_pem
from tests.support.keys import key, pem, public_pem
from tests.support.processes import PROGRAMS, environment, postern, running
from tests.support.sockets import ask

SECRET_KEY = "e2e-0123456789-abcdefghijklmnopqrstuvwxyz"
PRODUCTION = {"APP_ENV": "production", "SECRET_KEY": SECRET_KEY, "DATABASE_URL": "postgresql://postern@127.0.0.1:1/x"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, and production's settings around."""
    monkeypatch.chdir(tmp_path)
    for name, value in PRODUCTION.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def keys(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["keys", *map(str, arguments)])


def made(*arguments: str | Path) -> str:
    ended = keys("make", *arguments)
    assert ended.exit_code == 0, ended.output
    return ended.output


def refused(*arguments: str | Path) -> str:
    ended = keys(*arguments)
    assert ended.exit_code == 1
    assert isinstance(ended.exception, SystemExit), ended.exception
    assert ended.output.startswith("postern: ")
    assert ended.output.count("\n") == 1, ended.output
    return ended.output


@pytest.mark.parametrize(
    ("arguments", "algorithm"),
    [((), "EdDSA"), (("--algorithm", "EdDSA"), "EdDSA"), (("--algorithm", "RS256"), "RS256")],
    ids=["by default", "EdDSA", "RS256"],
)
def test_a_key_is_made_and_what_to_do_with_it_is_said(folder: Path, arguments: tuple[str, ...], algorithm: str) -> None:
    said = made("new.pem", *arguments)

    key = read_pem(folder / "new.pem", private_only_to_us=True)
    assert (key.algorithm, key.can_sign) == (algorithm, True)
    assert key.kid in said
    assert f"put {folder / 'new.pem'} at the end of TOKEN_KEYS" in said
    assert "PRIVATE" not in said


def test_a_made_key_is_its_owners_alone_whatever_the_umask_is(folder: Path) -> None:
    before = os.umask(0)
    try:
        made("new.pem")
    finally:
        os.umask(before)

    assert stat.S_IMODE((folder / "new.pem").stat().st_mode) == 0o600
    assert (folder / "new.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert [entry.name for entry in folder.iterdir()] == ["new.pem"]


def test_a_key_needs_no_settings(folder: Path) -> None:
    ended = postern("keys", "make", "new.pem", folder=folder, env=environment())

    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("there", ["a file", "a folder", "a link to nowhere"])
def test_nothing_is_overwritten(folder: Path, there: str) -> None:
    path = folder / "old.pem"
    match there:
        case "a file":
            path.write_text("kept")
        case "a folder":
            path.mkdir()
        case _:
            path.symlink_to(folder / "nowhere.pem")

    assert "is there already" in refused("make", path)

    assert [entry.name for entry in folder.iterdir()] == ["old.pem"]
    assert there != "a file" or path.read_text() == "kept"


def test_a_missing_folder_is_said_in_one_line(folder: Path) -> None:
    assert "is no folder" in refused("make", folder / "nowhere" / "new.pem")


def test_a_path_that_the_settings_can_not_name_is_refused(folder: Path) -> None:
    assert "comma" in refused("make", folder / "a,b.pem")


def test_an_algorithm_that_is_not_known_is_refused(folder: Path) -> None:
    assert keys("make", "new.pem", "--algorithm", "ES256").exit_code == 2
    assert not list(folder.iterdir())


def test_the_keys_are_listed_one_a_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.pem").write_bytes(pem("EdDSA"))
    (folder / "a.pem").chmod(0o600)
    (folder / "b.pem").write_bytes(public_pem(pem("RS256")))
    monkeypatch.setenv("TOKEN_KEYS", "a.pem,SECRET_KEY,b.pem")
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", SECRET_KEY + "-before")

    ended = keys("list")

    words = [line.split(maxsplit=3) for line in ended.output.splitlines()]
    assert ended.exit_code == 0
    assert [line[1:] for line in words] == [
        ["EdDSA", "signs", "a.pem"],
        ["HS256", "verifies", "SECRET_KEY"],
        ["HS256", "verifies", "SECRET_KEY_FALLBACKS #1"],
        ["RS256", "verifies", "b.pem"],
    ]
    assert [words[0][0], words[3][0]] == [key("EdDSA").kid, key("RS256").kid]
    assert SECRET_KEY not in ended.output


def test_the_secret_is_what_is_listed_by_default() -> None:
    assert keys("list").output.split()[1:] == ["HS256", "signs", "SECRET_KEY"]


def test_keys_that_can_not_be_used_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_KEYS", "nowhere.pem")

    assert "'nowhere.pem' can't be read" in refused("list")


def test_a_key_that_was_made_signs(folder: Path, database_url: str) -> None:
    made("new.pem")
    env = environment(**PRODUCTION, TOKEN_KEYS="new.pem,SECRET_KEY") | {"DATABASE_URL": database_url}
    with running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=folder, env=env) as server:
        listed = ask(server, "GET", "/.well-known/jwks.json").json()["keys"]
        assert server.stop() == 0

    assert [entry["kid"] for entry in listed] == [read_pem(folder / "new.pem", private_only_to_us=True).kid]
