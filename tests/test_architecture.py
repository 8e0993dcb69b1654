"""The house as `docs` draws it: who imports whom, how large a module is, and who is let in."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask
from service.app import create_app
from service.web.operation import operation_of
from tests.conftest import ROOT, make_settings

MODULES = sorted((ROOT / "service").rglob("*.py"))
PUBLIC_ROUTES = {
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/token"),
    ("POST", "/api/users"),
    ("GET", "/api/users/<int:user_id>/posts"),
    ("GET", "/api/posts"),
    ("GET", "/api/posts/<uuid:post_id>"),
    ("GET", "/api/posts/<uuid:post_id>/comments"),
    ("GET", "/api/posts/<uuid:post_id>/comments/<int:comment_id>"),
}


def name_of(module: Path) -> str:
    return str(module.relative_to(ROOT))


@pytest.fixture(scope="module")
def flask_app() -> Flask:
    return create_app(make_settings())


def test_imports_go_down_only(tmp_path: Path) -> None:
    command = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"

    checked = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 broken" in checked.stdout


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_every_module_says_what_lives_in_it(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_module_is_over_350_lines(module: Path) -> None:
    # The bridge is one module so that it can be lifted out as it is.
    limit = 400 if module.name == "asgi.py" else 350
    assert len(module.read_text().splitlines()) <= limit


OF_EXTRAS = {"service.spans"}
"""What can't be imported where an extra is not installed."""


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_nothing_of_ours_is_imported_inside_a_function(module: Path) -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    inside = [
        name
        for function in ast.walk(ast.parse(module.read_text()))
        if isinstance(function, functions)
        for node in ast.walk(function)
        for name in imported(node)
    ]

    assert {name for name in inside if name.split(".")[0] == "service"} <= OF_EXTRAS


def imported(node: ast.AST) -> list[str]:
    """The names of the modules that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_the_migrations_do_not_shadow_the_library() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()


def test_the_package_imports_nothing() -> None:
    tree = ast.parse((ROOT / "service" / "__init__.py").read_text())

    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def test_every_route_of_the_api_is_guarded_or_known_to_be_public(flask_app: Flask) -> None:
    unguarded = {
        (method, rule.rule.rstrip("/"))
        for rule in flask_app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api") and not operation_of(flask_app.view_functions[rule.endpoint]).bearer
    }

    assert unguarded == PUBLIC_ROUTES


def test_flask_holds_no_secret(flask_app: Flask) -> None:
    assert flask_app.secret_key is None
