"""The nginx configuration of `deploy/`, with a real nginx in front of real processes of the service."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from service.edge import HSTS, SECURITY_HEADERS
from service.errors import PayloadTooLarge, RateLimited, ServiceError, Unavailable
from tests.clients.programs import curl, program
from tests.conftest import ROOT
from tests.support.processes import (
    PROGRAMS,
    Running,
    children_of,
    environment,
    free_port,
    running,
    unmeasured,
    wait_until,
)
from tests.support.steady import asking, get

SECRET_KEY = "nginx-0123456789-abcdefghijklmnopqrstuvwxyz"
AROUND = """
{user}
daemon off;
pid {folder}/nginx.pid;
events {{}}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/conf.d/*.conf;
}}
"""


@dataclass(frozen=True)
class Proxy:
    """nginx, and where it is reached."""

    plain: int
    secure: int
    certificate: Path
    log: Path

    @property
    def address(self) -> str:
        return f"https://localhost:{self.secure}"

    def refusal(self, *arguments: str | Path, request_id: str, given: bytes = b"") -> tuple[dict[str, Any], set[str]]:
        """Ask for what is refused, and return the document and the fields."""
        asked = ("--cacert", self.certificate, "-H", f"X-Request-Id: {request_id}", "-H", "Expect:")
        fetched = curl(*asked, *arguments, given=given)
        assert "content-type: application/problem+json" in fetched.head
        return json.loads(fetched.body), set(fetched.head)


@dataclass(frozen=True)
class Deployed(Proxy):
    """nginx, and the service behind it."""

    service: Running


@contextlib.contextmanager
def proxying(folder: Path, certificate: Path, port: int, **others: str) -> Iterator[Proxy]:
    """Run nginx before a port, as it is configured in `deploy/`, but for what differs here."""
    plain, secure = free_port(), free_port()
    (folder / "conf.d").mkdir()
    changes = {
        "127.0.0.1:8000": f"127.0.0.1:{port}",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl": f"listen 127.0.0.1:{secure} ssl",
        "/etc/nginx/tls/postern.pem": str(certificate),
        "/etc/nginx/tls/postern.key": str(certificate),
        "/var/log/nginx/postern.log": str(folder / "access.log"),
        **others,
    }
    for name in ("postern.conf", "upstream.conf"):
        text = (ROOT / "deploy" / "nginx" / name).read_text()
        for told, here in changes.items():
            text = text.replace(told, here)
        (folder / "conf.d" / name).write_text(text)
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(AROUND.format(user=user, folder=folder))
    command = (program("nginx"), "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf")
    with running(*command, folder=folder, env=environment(), port=plain):
        yield Proxy(plain, secure, certificate, folder / "access.log")


@pytest.fixture(scope="module")
def deployed(database_url: str, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployed")
    env = environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, DATABASE_URL=database_url, TRUSTED_PROXIES="1")
    serve = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", "--workers", "2")
    with (
        running(*serve, folder=folder, env=unmeasured(env)) as service,
        proxying(folder, certificate, service.port) as proxy,
    ):
        yield Deployed(**vars(proxy), service=service)


def test_plain_http_is_sent_to_tls(deployed: Deployed) -> None:
    fetched = curl("--head", f"http://localhost:{deployed.plain}/api/posts/?page=2")
    assert "308" in fetched.said
    assert re.search(r"location: https://localhost/api/posts/\?page=2", fetched.said, re.IGNORECASE)


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_the_service_is_reached_by_tls(deployed: Deployed, version: str) -> None:
    fetched = curl(version, "--cacert", deployed.certificate, f"{deployed.address}/livez")
    assert fetched.body == b'{"status":"ok"}'
    assert ("HTTP/2 200" in fetched.said) == (version == "--http2")
    assert "strict-transport-security: max-age=31536000" in fetched.said.lower()


def test_static_files_are_kept_for_long(deployed: Deployed) -> None:
    page = curl("--cacert", deployed.certificate, f"{deployed.address}/swagger").body.decode()
    (script,) = re.findall(r'src="([^"]*swagger-ui-bundle\.js)"', page)
    url = f"{deployed.address}{script}" if script.startswith("/") else f"{deployed.address}/swagger/{script}"
    assert "immutable" in curl("--cacert", deployed.certificate, url).said


def test_the_client_is_the_one_that_nginx_sees(deployed: Deployed) -> None:
    """What it says of itself is not believed."""
    request_id = "forwarded-by-nginx"
    curl(
        *("--cacert", deployed.certificate, "-H", f"X-Request-Id: {request_id}"),
        *("-H", "X-Forwarded-For: 203.0.113.9", "-H", "X-Forwarded-Proto: http", f"{deployed.address}/livez"),
    )
    wait_until(lambda: deployed.service.access_lines(request_id))
    assert [line["client"] for line in deployed.service.access_lines(request_id)] == ["127.0.0.1"]


def test_queries_are_not_logged(deployed: Deployed) -> None:
    curl("--cacert", deployed.certificate, f"{deployed.address}/livez?token=s3cret-in-a-query")
    wait_until(lambda: '"/livez"' in deployed.log.read_text())
    assert "s3cret" not in deployed.log.read_text() + deployed.service.output()


def test_a_rolling_replacement_is_not_noticed_through_nginx(deployed: Deployed) -> None:
    before = set(children_of(deployed.service.process.pid))
    context = ssl.create_default_context(cafile=deployed.certificate)

    def connect() -> http.client.HTTPConnection:
        return http.client.HTTPSConnection("localhost", deployed.secure, context=context, timeout=10)

    with asking(deployed.secure, get("/api/posts/"), connect=connect, a_second=80) as kept:
        deployed.service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(after := set(children_of(deployed.service.process.pid))) == 2 and not after & before, 60)

    assert kept.failures == []
    assert kept.answered > 100


def common(refusal: ServiceError) -> set[str]:
    """Return what an answer of the service with this refusal has in its head, as nginx passes it on or says it."""
    always = {(name.decode(), value.decode()) for name, value in (*SECURITY_HEADERS, HSTS)}
    return {f"{name.lower()}: {value}" for name, value in always | refusal.headers.items()}


@pytest.mark.parametrize(("mebibytes", "asked"), [(1.5, True), (3, False)], ids=["by the service", "by nginx"])
def test_a_body_that_is_too_large_is_refused_in_one_form(deployed: Deployed, mebibytes: float, asked: bool) -> None:
    request_id = f"too-large-{mebibytes}"
    sent = ("-H", "Content-Type: application/json", "--data-binary", "@-", f"{deployed.address}/api/users/")
    document, fields = deployed.refusal(*sent, request_id=request_id, given=b" " * int(mebibytes * 2**20))
    assert document == PayloadTooLarge().document(request_id)
    assert fields >= {*common(PayloadTooLarge()), f"x-request-id: {request_id}"}
    wait_until(lambda: request_id in deployed.log.read_text())
    (service_took,) = re.findall(rf"(\S+) {request_id}$", deployed.log.read_text(), re.MULTILINE)
    assert (service_took != "-") == asked


@pytest.mark.parametrize("listens", [False, True], ids=["is gone", "hangs"])
def test_a_service_that_does_not_answer_is_unavailable(certificate: Path, tmp_path: Path, listens: bool) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        port = silent.getsockname()[1]
        with proxying(tmp_path, certificate, port, **{"proxy_read_timeout 20s": "proxy_read_timeout 1s"}) as proxy:
            document, fields = proxy.refusal(f"{proxy.address}/swagger/a.js", request_id="who-is-there")
    assert document == Unavailable().document("who-is-there")
    assert fields >= {*common(Unavailable()), "x-request-id: who-is-there"}


def test_too_many_requests_are_told_so_in_the_service_s_form(certificate: Path, tmp_path: Path) -> None:
    """Before a service that is gone, since nginx is fast enough at that."""
    number = 600
    with proxying(tmp_path, certificate, free_port()) as proxy:
        fetched = curl("--cacert", certificate, f"{proxy.address}/livez?[1-{number}]")
    documents = [json.loads(text) for text in fetched.body.replace(b"}{", b"}\n{").splitlines()]
    assert [document["status"] for document in documents] == fetched.statuses
    assert set(fetched.statuses) == {429, 503}
    limited = documents[fetched.statuses.index(429)]
    assert limited == RateLimited().document(limited["request_id"])
    assert {f"x-request-id: {document['request_id']}" for document in documents} < set(fetched.head)
    assert {fetched.head.count(field) for field in common(RateLimited())} == {number}
