"""What `postern run` imports until it is ready. How long that takes is measured by `make bench-start`."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
from tests.support.imports import Import, imports_in, slowest_modules, slowest_packages
from tests.support.processes import PROGRAMS, environment, running, unmeasured
from tests.support.sockets import ask

SECRET_KEY = "start-0123456789-abcdefghijklmnopqrstuvwxyz"
NEEDED = {
    *("annotated_types", "argon2", "asgiref", "asyncpg", "blinker", "click", "cryptography", "dotenv", "flask"),
    *("greenlet", "h11", "h2", "hpack", "hypercorn", "hyperframe", "itsdangerous", "jinja2", "jwt", "markupsafe"),
    *("priority", "prometheus_client", "pydantic", "pydantic_core", "pydantic_settings", "service", "sqlalchemy"),
    *("typing_extensions", "typing_inspection", "uvloop", "werkzeug", "wsproto"),
}
"""What serving takes of what is installed. Another one costs every start something: it is a decision."""
HEAVY = {
    *("alembic", "mako", "pygments"),  # production migrates by a command of its own
    *("sqlalchemy.dialects.mssql", "sqlalchemy.dialects.mysql", "sqlalchemy.dialects.oracle"),
    *("sqlalchemy.dialects.sqlite", "sqlalchemy.ext.declarative.extensions", "sqlite3"),
    *("pydantic.v1", "pydantic.mypy", "email_validator", "click.shell_completion", "flask.testing", "werkzeug.debug"),
    *("setuptools", "pkg_resources", "unittest", "pydoc", "xml"),
}
"""What is installed or at hand, takes long, and has nothing to do with serving."""


@pytest.fixture(scope="module")
def imported(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> list[Import]:
    """All that a process has imported once it is ready, in production and on a migrated database."""
    env = unmeasured(environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, DATABASE_URL=database_url))
    command = (sys.executable, "-X", "importtime", PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0")
    with running(*command, folder=tmp_path_factory.mktemp("start"), env=env) as server:
        assert ask(server, "GET", "/readyz").status == 200
        assert server.stop() == 0
    return imports_in(server.output())


def told(imported: list[Import], names: set[str]) -> str:
    """What a start spends its time on, for whoever has to mend it."""
    return f"{sorted(names)}\n{slowest_packages(imported)}\n{slowest_modules(imported)}"


def test_a_start_imports_no_other_package_than_it_needs(imported: list[Import]) -> None:
    others = {one.package for one in imported if one.from_elsewhere} - NEEDED
    others = {name for name in others if find_spec(name)}  # what was only tried for is listed, too

    assert not others, told(imported, others)


def test_a_start_imports_nothing_heavy_that_serving_has_no_use_for(imported: list[Import]) -> None:
    found = HEAVY & {one.module for one in imported}

    assert not found, told(imported, found)
