"""curl sends bodies to the server: with a length and in chunks, asked for, unasked and refused.

Not among what `make test` runs, since it needs curl: `make test-clients`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.clients.app import EARLY, content, digest
from tests.clients.conftest import UPLOAD_BYTES, WHOLE
from tests.clients.programs import Fetched, curl, uploaded
from tests.support.processes import Running

CONTINUE = "HTTP/1.1 100 Continue"


def waited_in_vain(fetched: Fetched) -> bool:
    """Tell whether curl has sent a body after a second without the interim answer that it had asked for."""
    return "Done waiting for 100-continue" in fetched.said


def test_a_body_comes_when_the_server_says_so(server: Running, upload: Path) -> None:
    fetched = curl("--upload-file", upload, f"{server.address}/echo", f"{server.address}/after")

    assert uploaded(fetched.documents[0]) == WHOLE
    assert fetched.documents[0]["headers"]["content-length"] == str(UPLOAD_BYTES)
    assert fetched.head.count(CONTINUE) == 1
    assert not waited_in_vain(fetched)
    assert fetched.of_each("num_connects") == [1, 0]


def test_a_body_comes_unasked(server: Running, upload: Path) -> None:
    fetched = curl("-H", "Expect:", "--upload-file", upload, f"{server.address}/echo")

    assert uploaded(fetched.documents[0]) == WHOLE
    assert CONTINUE not in fetched.head


def test_a_body_comes_by_http_1_0(server: Running, upload: Path) -> None:
    fetched = curl("--http1.0", "--upload-file", upload, f"{server.address}/echo")

    assert uploaded(fetched.documents[0]) == WHOLE


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
def test_a_body_comes_in_chunks(server: Running, upload: Path, expect: str) -> None:
    fetched = curl("-H", expect, "--upload-file", "-", f"{server.address}/echo", given=upload.read_bytes())

    assert uploaded(fetched.documents[0]) == WHOLE
    assert fetched.documents[0]["headers"]["transfer-encoding"] == "chunked"
    assert "content-length" not in fetched.documents[0]["headers"]
    assert (CONTINUE in fetched.head) == (expect != "Expect:")
    assert not waited_in_vain(fetched)


def test_a_form_comes_in_chunks_on_a_connection_that_is_kept(server: Running, upload: Path) -> None:
    chunked = ["-H", "Transfer-Encoding: chunked", "--data-binary", f"@{upload}"]
    fetched = curl(*chunked, f"{server.address}/one", f"{server.address}/two")

    assert [uploaded(document) for document in fetched.documents] == [WHOLE, WHOLE]
    assert fetched.of_each("num_connects") == [1, 0]


def test_a_body_is_answered_while_it_comes(server: Running, upload: Path) -> None:
    fetched = curl("--upload-file", upload, f"{server.address}/duplex")

    assert digest(fetched.body) == digest(content(UPLOAD_BYTES))


def test_a_body_that_is_refused_is_not_sent(server: Running, upload: Path) -> None:
    fetched = curl("--upload-file", upload, f"{server.address}/early?status=413")

    assert fetched.statuses == [413]
    assert fetched.of_each("size_upload") == [0]
    assert CONTINUE not in fetched.head
    assert not waited_in_vain(fetched)
    assert fetched.body == EARLY


@pytest.mark.parametrize("how", ["sized", "chunked"])
@pytest.mark.parametrize("status", [200, 413])
def test_an_answer_comes_through_while_a_body_is_sent(server: Running, upload: Path, how: str, status: int) -> None:
    source = upload if how == "sized" else "-"
    url = f"{server.address}/early?status={status}"
    fetched = curl("-H", "Expect:", "--upload-file", source, url, given=upload.read_bytes())

    assert fetched.statuses == [status]
    assert fetched.body == EARLY


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
@pytest.mark.parametrize("path", ["early?status=200", "early-stream"])
def test_an_answer_before_the_body_tells_whether_the_connection_ends(
    server: Running, upload: Path, path: str, expect: str
) -> None:
    """RFC 9110 §10.1.1: a server that answers without reading all content SHOULD indicate whether it closes."""
    fetched = curl("-H", expect, "--upload-file", upload, f"{server.address}/{path}", f"{server.address}/after")

    assert fetched.statuses == [200, 200]
    is_kept = fetched.of_each("num_connects") == [1, 0]
    assert is_kept or "connection: close" in fetched.head
