"""curl asks the server over TLS: HTTP/1.0 and HTTP/1.1 of the engine, and HTTP/2 of Hypercorn.

Not among what `make test` runs, since it needs curl: `make test-clients`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.clients.app import EARLY, content, digest
from tests.clients.conftest import WHOLE, Secure
from tests.clients.programs import curl, uploaded


@pytest.mark.parametrize(("option", "version"), [("--http1.0", "1.0"), ("--http1.1", "1.1"), ("--http2", "2")])
def test_the_client_chooses_a_version_over_tls(secure: Secure, option: str, version: str) -> None:
    fetched = curl("--cacert", secure.certificate, option, f"{secure.address}/one", f"{secure.address}/two")

    assert fetched.statuses == [200, 200]
    assert [(found["version"], found["scheme"]) for found in fetched.documents] == [(version, "https")] * 2
    assert fetched.of_each("num_connects") == ([1, 1] if version == "1.0" else [1, 0])


def test_a_client_without_alpn_speaks_http_1_1(secure: Secure) -> None:
    fetched = curl("--cacert", secure.certificate, "--no-alpn", f"{secure.address}/one")

    assert fetched.documents[0]["version"] == "1.1"


@pytest.mark.parametrize("option", ["--http1.1", "--http2"])
def test_a_body_and_an_answer_come_whole_over_tls(secure: Secure, upload: Path, option: str) -> None:
    known: list[str | Path] = ["--cacert", secure.certificate, option]
    sent = curl(*known, "--upload-file", upload, f"{secure.address}/echo")
    sent_in_chunks = curl(*known, "--upload-file", "-", f"{secure.address}/echo", given=upload.read_bytes())
    received = curl(*known, f"{secure.address}/stream?size=3000000")

    assert uploaded(sent.documents[0]) == uploaded(sent_in_chunks.documents[0]) == WHOLE
    assert digest(received.body) == digest(content(3_000_000))


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
def test_a_body_is_refused_over_tls(secure: Secure, upload: Path, expect: str) -> None:
    url = f"{secure.address}/early?status=413"
    fetched = curl("--cacert", secure.certificate, "--http1.1", "-H", expect, "--upload-file", upload, url)

    assert fetched.statuses == [413]
    assert fetched.body == EARLY


def test_an_answer_that_ends_with_the_connection_ends_soon_over_tls(secure: Secure) -> None:
    fetched = curl("--cacert", secure.certificate, "--http1.0", f"{secure.address}/stream?size=3000000")

    assert digest(fetched.body) == digest(content(3_000_000))
    assert fetched.of_each("time_total")[0] < 1
