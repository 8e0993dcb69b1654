"""A client that a stock generator makes of `/openapi.json`, against a real server."""

from __future__ import annotations

import importlib
import itertools
import subprocess
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from service.embedded import Cluster
from tests.conftest import migrate
from tests.support.documentation import written
from tests.support.processes import PROGRAMS, Running, environment, running

PASSWORD = "correct horse battery"
MODULES = (
    "client",
    "models",
    "api.oauth.token",
    "api.users.create_user",
    "api.posts.create_post",
    "api.posts.get_post",
    "api.posts.change_post",
    "api.comments.create_comment",
    "api.comments.list_comments",
)


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


@pytest.fixture(scope="module")
def post(generated: SimpleNamespace, client: Any) -> Any:
    """A post that it has written, with seven comments."""
    post = generated.create_post.sync(client=client, body=generated.models.NewPost(title="Title", body="Body"))
    for number in range(7):
        comment = generated.models.NewComment(body=f"comment {number}")
        made = generated.create_comment.sync(client=client, post_id=post.id, body=comment)
        assert made.body == f"comment {number}"
    return post


def test_it_writes_and_reads_a_post(generated: SimpleNamespace, client: Any, post: Any) -> None:
    assert generated.get_post.sync(client=client, post_id=post.id) == post
    assert (post.title, post.author) == ("Title", "generated")


def test_it_pages_through_comments(generated: SimpleNamespace, client: Any, post: Any) -> None:
    pages = [
        generated.list_comments.sync(client=client, post_id=post.id, page=number, per_page=3) for number in (1, 2, 3, 4)
    ]

    assert [len(page.comments) for page in pages] == [3, 3, 1, 0]
    assert [(page.total, page.pages, page.current_page) for page in pages[:2]] == [(7, 3, 1), (7, 3, 2)]
    assert [comment.body for page in pages for comment in page.comments] == [f"comment {n}" for n in range(7)]


def test_it_follows_the_cursor_through_comments(generated: SimpleNamespace, client: Any, post: Any) -> None:
    bodies, cursor = [], ""
    while cursor is not None:
        part = generated.list_comments.sync(client=client, post_id=post.id, cursor=cursor, per_page=3)
        assert not part.total  # nothing is counted on this way
        bodies += [comment.body for comment in part.comments]
        cursor = part.next_cursor

    assert bodies == [f"comment {n}" for n in range(7)]


def test_a_request_repeated_with_its_key_is_done_once(generated: SimpleNamespace, client: Any) -> None:
    new = generated.models.NewPost(title="Once", body="Body")
    first, again = (
        generated.create_post.sync_detailed(client=client, body=new, idempotency_key="generated-0001") for _ in range(2)
    )

    assert first.parsed == again.parsed
    assert again.headers["Idempotency-Replayed"] == "true"


def test_it_understands_a_refusal(generated: SimpleNamespace, client: Any) -> None:
    refused = generated.get_post.sync(client=client, post_id=uuid.UUID(int=1))

    assert (refused.status, refused.code) == (404, generated.models.ProblemCode.NOT_FOUND)


def test_it_sends_what_it_has_read_before(generated: SimpleNamespace, client: Any, post: Any) -> None:
    answer = generated.get_post.sync_detailed(client=client, post_id=post.id, x_request_id="generated-1")
    again = generated.get_post.sync_detailed(client=client, post_id=post.id, if_none_match=answer.headers["ETag"])
    changes = generated.models.PostChanges(title="Stale")
    stale = generated.change_post.sync(client=client, post_id=post.id, body=changes, if_match='"other"')

    assert answer.headers["X-Request-ID"] == "generated-1"
    assert (again.status_code, again.parsed) == (304, None)
    assert (stale.status, stale.code) == (412, generated.models.ProblemCode.PRECONDITION_FAILED)
