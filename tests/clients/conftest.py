"""The servers of a run, one for each event loop, and what the clients send."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.clients.app import content, digest
from tests.clients.programs import serving
from tests.support.processes import Running

LOOPS = ("uvloop", "asyncio")
UPLOAD_BYTES = 5_000_000
WHOLE = (UPLOAD_BYTES, digest(content(UPLOAD_BYTES)))
"""Length and digest of what is uploaded."""


@pytest.fixture(scope="session", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    with ExitStack() as stack:
        yield {loop: stack.enter_context(serving(loop, tmp_path_factory.mktemp("server"))) for loop in LOOPS}


@pytest.fixture(scope="session")
def server(servers: dict[str, Running], loop: str) -> Running:
    return servers[loop]


@dataclass(frozen=True)
class Secure:
    """A server that speaks TLS, and the certificate by which it is known."""

    address: str
    certificate: Path


@pytest.fixture(scope="session")
def secure(loop: str, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("secure")
    settings = folder / "settings.toml"
    settings.write_text(f'certfile = "{certificate}"\nkeyfile = "{certificate}"\n')
    with serving(loop, folder, "--config", settings, scheme="https") as server:
        yield Secure(f"https://127.0.0.1:{server.port}", certificate)


@pytest.fixture(scope="session")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 5 MB."""
    file = tmp_path_factory.mktemp("upload") / "content"
    file.write_bytes(content(UPLOAD_BYTES))
    return file
