"""The nginx configuration of `deploy/`, with a real nginx in front of real processes of the service."""

from __future__ import annotations

import http.client
import os
import re
import signal
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
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
class Deployed:
    """nginx, the service behind it, and where they are reached."""

    service: Running
    plain: int
    secure: int
    certificate: Path
    log: Path

    @property
    def address(self) -> str:
        return f"https://localhost:{self.secure}"


@pytest.fixture(scope="module")
def deployed(database_url: str, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployed")
    env = environment(APP_ENV="production", SECRET_KEY=SECRET_KEY, DATABASE_URL=database_url, TRUSTED_PROXIES="1")
    serve = (PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", "--workers", "2")
    with running(*serve, folder=folder, env=unmeasured(env)) as service:
        plain, secure = free_port(), free_port()
        (folder / "conf.d").mkdir()
        changes = {
            "127.0.0.1:8000": f"127.0.0.1:{service.port}",
            "listen 80;": f"listen 127.0.0.1:{plain};",
            "listen 443 ssl": f"listen 127.0.0.1:{secure} ssl",
            "/etc/nginx/tls/postern.pem": str(certificate),
            "/etc/nginx/tls/postern.key": str(certificate),
            "/var/log/nginx/postern.log": str(folder / "access.log"),
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
            yield Deployed(service, plain, secure, certificate, folder / "access.log")


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
