"""curl asks the server by HTTP/1.0 and HTTP/1.1: connections, heads, answers.

Not among what `make test` runs, since it needs curl: `make test-clients`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.clients.app import content, digest
from tests.clients.programs import crowd, curl
from tests.support.processes import Running

CHUNKED = "transfer-encoding: chunked"


def test_requests_of_http_1_1_share_a_connection(server: Running) -> None:
    fetched = curl(*(f"{server.address}/{number}" for number in range(5)))

    assert fetched.statuses == [200] * 5
    assert fetched.of_each("num_connects") == [1, 0, 0, 0, 0]
    assert [document["path"] for document in fetched.documents] == ["/0", "/1", "/2", "/3", "/4"]
    assert len({document["client_port"] for document in fetched.documents}) == 1


def test_requests_of_http_1_0_have_a_connection_each(server: Running) -> None:
    fetched = curl("--http1.0", f"{server.address}/one", f"{server.address}/two")

    assert fetched.of_each("num_connects") == [1, 1]
    assert [document["version"] for document in fetched.documents] == ["1.0", "1.0"]
    assert fetched.head.count("connection: close") == 2


def test_requests_of_http_1_0_share_a_connection_when_they_ask_for_it(server: Running) -> None:
    fetched = curl("--http1.0", "-H", "Connection: keep-alive", f"{server.address}/one", f"{server.address}/two")

    assert fetched.of_each("num_connects") == [1, 0]
    assert fetched.head.count("connection: keep-alive") == 2


def test_a_client_that_closes_is_told_so_too(server: Running) -> None:
    fetched = curl("-H", "Connection: close", f"{server.address}/one", f"{server.address}/two")

    assert fetched.of_each("num_connects") == [1, 1]
    assert fetched.head.count("connection: close") == 2


def test_a_crowd_on_twenty_connections_is_answered(server: Running, tmp_path: Path) -> None:
    documents = crowd(f"{server.address}/", tmp_path)

    assert [document["path"] for document in documents] == [f"/{number}" for number in range(1, 501)]
    assert len({document["client_port"] for document in documents}) == 20


def test_an_upgrade_to_http_2_in_the_clear_is_ignored(server: Running) -> None:
    fetched = curl("--http2", f"{server.address}/one", f"{server.address}/two")

    assert fetched.statuses == [200, 200]
    assert fetched.of_each("http_version") == ["1.1", "1.1"]
    assert fetched.of_each("num_connects") == [1, 0]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a/../b//c/./d", "/a/../b//c/./d"),
        ("/%2e%2e/%41%2f", "/../A/"),
        ("//", "//"),
        ("/%C3%A4%00%ff", "/ä\0\ufffd"),
        ("/a;b=c,d/[e]|^`{}", "/a;b=c,d/[e]|^`{}"),
        ("*", "*"),
    ],
    ids=["dots", "escapes", "slashes", "not text", "delimiters", "asterisk"],
)
def test_an_odd_path_comes_as_it_is(server: Running, target: str, path: str) -> None:
    method = ["--request", "OPTIONS"] if target == "*" else []
    fetched = curl("--path-as-is", "--globoff", *method, "--request-target", f"{target}", server.address)

    assert fetched.statuses == [200]
    assert (fetched.documents[0]["raw_path"], fetched.documents[0]["path"]) == (target, path)


def test_a_query_comes_as_it_is(server: Running) -> None:
    fetched = curl(f"{server.address}/a?b=%20&c?d=/#e")

    assert (fetched.documents[0]["path"], fetched.documents[0]["query"]) == ("/a", "b=%20&c?d=/")


def test_a_client_of_a_proxy_is_answered(server: Running) -> None:
    fetched = curl("--proxy", server.address, "http://postern.test/a?b")

    assert (fetched.documents[0]["raw_path"], fetched.documents[0]["query"]) == ("/a", "b")
    assert fetched.documents[0]["headers"]["host"] == "postern.test"


@pytest.mark.parametrize(
    ("arguments", "path", "status"),
    [
        (["-H", f"X-Big: {'a' * 20_000}"], "/", 431),
        (["-H", f"X-Big: {'a' * 100_000}"], "/", 431),
        ([word for number in range(200) for word in ("-H", f"X-{number}: a")], "/", 431),
        ([], f"/{'a' * 20_000}", 414),
        (["-H", "Host:"], "/", 400),
    ],
    ids=["field", "large field", "fields", "target", "no host"],
)
def test_a_head_that_is_refused_is_answered_before_the_end(
    server: Running, arguments: list[str], path: str, status: int
) -> None:
    fetched = curl(*arguments, f"{server.address}{path}")

    assert fetched.statuses == [status]
    assert "connection: close" in fetched.head
    assert json.loads(fetched.body)["status"] == status


def test_the_head_of_an_answer_comes_without_its_content(server: Running) -> None:
    heads = [f"{server.address}/large?size=100000", f"{server.address}/stream?size=100000"]
    fetched = curl("--head", *heads, "--next", f"{server.address}/after")

    assert fetched.statuses == [200, 200, 200]
    assert fetched.of_each("size_download") == [0, 0, len(fetched.body.splitlines(keepends=True)[-1])]
    assert fetched.of_each("num_connects") == [1, 0, 0]
    assert "content-length: 100000" in fetched.head


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_content_keeps_the_connection(server: Running, status: int) -> None:
    fetched = curl(f"{server.address}/bare?status={status}", f"{server.address}/after")

    assert fetched.statuses == [status, 200]
    assert fetched.of_each("num_connects") == [1, 0]
    assert len(fetched.documents) == 1
    assert CHUNKED not in fetched.head


def test_an_answer_of_unknown_length_comes_in_chunks(server: Running) -> None:
    fetched = curl(f"{server.address}/stream?size=3000000", f"{server.address}/stream?size=0")

    assert digest(fetched.body) == digest(content(3_000_000))
    assert fetched.head.count(CHUNKED) == 2
    assert fetched.of_each("num_connects") == [1, 0]


def test_an_answer_of_unknown_length_ends_with_the_connection_in_http_1_0(server: Running) -> None:
    fetched = curl("--http1.0", "-H", "Connection: keep-alive", f"{server.address}/stream?size=3000000")

    assert digest(fetched.body) == digest(content(3_000_000))
    assert CHUNKED not in fetched.head
    assert "connection: close" in fetched.head


@pytest.mark.parametrize("path", ["large", "stream"])
def test_a_slow_client_gets_all_of_a_large_answer(server: Running, path: str) -> None:
    fetched = curl("--limit-rate", "60M", f"{server.address}/{path}?size=20000000")

    assert digest(fetched.body) == digest(content(20_000_000))


def test_trailers_come_behind_the_content_for_those_who_take_them(server: Running, tmp_path: Path) -> None:
    fields = tmp_path / "fields"
    fetched = curl(
        "-H", "TE: trailers", "--dump-header", fields, f"{server.address}/trailers", f"{server.address}/after"
    )

    first, _, _ = fields.read_text().partition("content-type")
    assert f"\nx-digest: {digest(content(30_000))}\n" in first
    assert fetched.body.startswith(content(30_000))
    assert fetched.of_each("num_connects") == [1, 0]


def test_trailers_do_not_come_for_others(server: Running, tmp_path: Path) -> None:
    fields = tmp_path / "fields"
    fetched = curl("--dump-header", fields, f"{server.address}/trailers")

    assert "x-digest" not in fields.read_text()
    assert fetched.body == content(30_000)


def test_hints_come_before_the_answer(server: Running) -> None:
    fetched = curl(f"{server.address}/hints")

    assert fetched.head[:2] == ["HTTP/1.1 103 Early Hints", "link: </style.css>; rel=preload"]
    assert fetched.body == b"hinted"


def test_hints_do_not_come_in_http_1_0(server: Running) -> None:
    fetched = curl("--http1.0", f"{server.address}/hints")

    assert fetched.head[0] == "HTTP/1.1 200 OK"
    assert fetched.body == b"hinted"
