"""A client that a stock generator makes of `/openapi.json`, against a real server."""

from __future__ import annotations

import importlib
import itertools
import json
import subprocess
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from service.embedded import Cluster
from tests.conftest import migrate
from tests.support.documentation import written
from tests.support.processes import PROGRAMS, Running, environment, running

PASSWORD = "correct horse battery"
MODULES = ("client", "models", "api.oauth.token", "api.users.create_user", "api.users.list_users", "api.users.get_user")


@pytest.fixture(scope="module")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One process on a database where nobody else is."""
    cluster.ensure_database("generated")
    migrate(cluster.url("generated"))
    env = environment(
        APP_ENV="production",
        SECRET_KEY="generated-0123456789-abcdefghijklmnop",
        DATABASE_URL=cluster.url("generated"),
    )
    folder = tmp_path_factory.mktemp("server")
    with running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=folder, env=env) as server:
        yield server


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The generated modules, by the last part of their names."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_text(written())
    (folder / "config.yaml").write_text("post_hooks: []\n")
    options = {
        "--path": folder / "openapi.json",
        "--config": folder / "config.yaml",
        "--meta": "none",
        "--output-path": folder / "postern_client",
    }
    told = subprocess.run(
        [PROGRAMS / "openapi-python-client", "generate", *map(str, itertools.chain(*options.items()))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "Warning" not in told.stdout + told.stderr, told.stdout + told.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        modules = {name.rpartition(".")[2]: importlib.import_module(f"postern_client.{name}") for name in MODULES}
        yield SimpleNamespace(**modules)


@pytest.fixture(scope="module")
def client(generated: SimpleNamespace, server: Running) -> Iterator[Any]:
    """A client that has registered, and got its token by the OAuth form."""
    models = generated.models
    with generated.client.Client(base_url=server.address) as nobody:
        new = models.NewUser(username="generated", email="generated@example.com", password=PASSWORD)
        made = generated.create_user.sync_detailed(client=nobody, body=new)
        assert (made.status_code, made.parsed.username) == (201, "generated")
        grant = models.TokenRequestGrantType.PASSWORD
        form = models.TokenRequest(grant_type=grant, username="generated", password=PASSWORD)
        tokens = generated.token.sync(client=nobody, body=form)
    with generated.client.AuthenticatedClient(base_url=server.address, token=tokens.access_token) as client:
        yield client


def test_it_pages_through_users(generated: SimpleNamespace, client: Any) -> None:
    for number in range(4):
        new = generated.models.NewUser(f"paged{number}", f"paged{number}@example.com", PASSWORD)
        assert generated.create_user.sync(client=client, body=new).username == f"paged{number}"

    first = generated.list_users.sync(client=client, per_page=3)
    second = generated.list_users.sync(client=client, page=2, per_page=3)

    names = [user.username for user in first.users + second.users]
    assert names[:5] == ["paged3", "paged2", "paged1", "paged0", "generated"]


def test_it_understands_a_refusal(generated: SimpleNamespace, client: Any) -> None:
    refused = generated.get_user.sync(user_id=2**62, client=client)

    assert (refused.status, refused.code) == (404, generated.models.ProblemCode.NOT_FOUND)


def test_it_sends_what_it_is_asked_to_send(generated: SimpleNamespace, client: Any) -> None:
    me = generated.list_users.sync(client=client).users[-1]

    answer = generated.get_user.sync_detailed(user_id=me.id, client=client, x_request_id="generated-1")
    again = generated.get_user.sync_detailed(user_id=me.id, client=client, if_none_match=answer.headers["ETag"])

    assert answer.headers["X-Request-ID"] == "generated-1"
    assert (again.status_code, again.parsed) == (304, None)
    assert json.loads(answer.content)["id"] == me.id
