"""nginx asks the server, for curl: by HTTP/1.0, as it does by itself, and by HTTP/1.1 with connections that it keeps.

Not among what `make test` runs, since it needs curl and nginx: `make test-clients`. An app that answers a large body
while it comes is not here: nginx 1.22 sends no more of a body once an answer has begun, to any server.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.clients.app import EARLY, content, digest
from tests.clients.conftest import WHOLE
from tests.clients.programs import FAILING_OVER, HTTP_1_0, KEPT, UNBUFFERED, Way, crowd, curl, nginx, serving, uploaded
from tests.support.processes import Running, wait_until


@pytest.fixture(scope="session", params=[HTTP_1_0, KEPT, UNBUFFERED], ids=["http 1.0", "kept", "unbuffered"])
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@pytest.fixture(scope="session")
def started(server: Running, way: Way, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with nginx(server, folder=tmp_path_factory.mktemp("nginx"), way=way) as started:
        yield started


@pytest.fixture
def proxy(started: Running) -> Iterator[Running]:
    """nginx before the server, of which it does not complain."""
    before = started.output()
    yield started
    assert started.output() == before


def test_a_request_arrives_with_its_path_and_headers(proxy: Running, way: Way) -> None:
    fetched = curl("--path-as-is", "-H", "X-One: two", f"{proxy.address}/a/../b//%41?c=%20")

    (document,) = fetched.documents
    assert (document["method"], document["raw_path"], document["query"]) == ("GET", "/a/../b//%41", "c=%20")
    assert document["headers"]["x-one"] == "two"
    assert document["version"] == ("1.0" if way is HTTP_1_0 else "1.1")


@pytest.mark.parametrize("how", ["sized", "chunked"])
def test_a_body_arrives_whole(proxy: Running, way: Way, upload: Path, how: str) -> None:
    source = upload if how == "sized" else "-"
    fetched = curl("--upload-file", source, f"{proxy.address}/echo", given=upload.read_bytes())

    (document,) = fetched.documents
    assert uploaded(document) == WHOLE
    passes_chunks = how == "chunked" and way is UNBUFFERED
    assert ("transfer-encoding" in document["headers"]) == passes_chunks
    assert ("content-length" in document["headers"]) != passes_chunks


def test_a_body_comes_back_whole(proxy: Running, upload: Path) -> None:
    assert digest(curl("--upload-file", upload, f"{proxy.address}/raw").body) == digest(upload.read_bytes())


def test_an_answer_of_unknown_length_comes_whole(proxy: Running) -> None:
    assert digest(curl(f"{proxy.address}/stream?size=3000000").body) == digest(content(3_000_000))


def test_a_slow_client_gets_all_of_a_large_answer(proxy: Running) -> None:
    fetched = curl("--limit-rate", "60M", f"{proxy.address}/large?size=20000000")

    assert digest(fetched.body) == digest(content(20_000_000))


@pytest.mark.parametrize("how", ["sized", "chunked"])
@pytest.mark.parametrize("status", [200, 413])
def test_an_answer_comes_through_while_a_body_is_sent(proxy: Running, upload: Path, status: int, how: str) -> None:
    source = upload if how == "sized" else "-"
    url = f"{proxy.address}/early?status={status}"
    fetched = curl("-H", "Expect:", "--upload-file", source, url, given=upload.read_bytes())

    assert fetched.statuses == [status]
    assert fetched.body == EARLY


@pytest.mark.parametrize("size", [10, 300_000], ids=["small", "large"])
def test_answers_before_the_body_make_no_other_request_fail(proxy: Running, tmp_path: Path, size: int) -> None:
    """A connection that the server is about to close must not look as if it were kept: nginx would use it again."""
    body, answers = tmp_path / "body", tmp_path / "answers"
    body.write_bytes(content(size))
    answers.mkdir()

    url, posting = f"{proxy.address}/early?status=200&n=", ["-H", "Expect:", "--data-binary", f"@{body}"]

    assert crowd(url, answers, *posting, requests=200) == [json.loads(EARLY)] * 200


def test_the_head_of_an_answer_comes_without_its_content(proxy: Running) -> None:
    heads = [f"{proxy.address}/large?size=100000", f"{proxy.address}/stream?size=100000"]
    fetched = curl("--head", *heads, "--next", f"{proxy.address}/after")

    assert fetched.statuses == [200, 200, 200]
    assert fetched.of_each("num_connects") == [1, 0, 0]
    assert "content-length: 100000" in fetched.head


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_content_is_followed_by_another_one(proxy: Running, status: int) -> None:
    fetched = curl(f"{proxy.address}/bare?status={status}", f"{proxy.address}/after")

    assert fetched.statuses == [status, 200]
    assert fetched.documents[0]["path"] == "/after"


def test_a_crowd_on_twenty_connections_is_answered(proxy: Running, way: Way, tmp_path: Path) -> None:
    documents = crowd(f"{proxy.address}/", tmp_path)

    assert [document["path"] for document in documents] == [f"/{number}" for number in range(1, 501)]
    connections = {document["client_port"] for document in documents}
    assert len(connections) > 400 if way is HTTP_1_0 else len(connections) <= 20


def test_connections_to_the_server_are_kept(proxy: Running, way: Way) -> None:
    fetched = curl(f"{proxy.address}/[1-20]")

    connections = {document["client_port"] for document in fetched.documents}
    assert len(connections) == (20 if way is HTTP_1_0 else 1)


def test_no_request_fails_when_one_of_two_servers_is_stopped(loop: str, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "nginx", "answers")]
    for folder in folders:
        folder.mkdir()
    one, two, proxy, answers = folders
    with (
        serving(loop, one) as stopped,
        serving(loop, two) as other,
        nginx(stopped, other, folder=proxy, way=FAILING_OVER) as before_both,
        ThreadPoolExecutor(1) as pool,
    ):
        url = f"{before_both.address}/slow?milliseconds=5&n="
        asking = pool.submit(crowd, url, answers, requests=1000)
        wait_until(lambda: len(list(answers.iterdir())) > 200)
        assert stopped.stop() == 0
        assert not asking.done()
        answered_by = Counter(document["server_port"] for document in asking.result())

    assert answered_by.keys() == {stopped.port, other.port}
    assert answered_by[stopped.port] > 100
    assert answered_by.total() == 1000
