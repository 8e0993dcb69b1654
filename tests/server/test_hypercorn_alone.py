"""A release of Hypercorn that the engine was not tested with serves by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.engine import assert_stops_cleanly, serving
from tests.support.processes import ROOT, Running, environment
from tests.support.sockets import ask


@pytest.fixture
def server(loop: str, tmp_path: Path) -> Iterator[Running]:
    """A server that finds a later release."""
    later = tmp_path / "later"
    metadata = later / "hypercorn-99.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: hypercorn\nVersion: 99.0\n")
    # Nothing of the engine's is asked for: what it needs may not be there.
    (later / "sitecustomize.py").write_text("import sys\nsys.modules['service.server.seam'] = None\n")
    env = environment(PYTHONPATH=f"{later}:{ROOT}")
    with serving(tmp_path, loop, env=env) as server:
        yield server


def test_it_says_so_serves_and_stops(server: Running) -> None:
    assert ask(server, "GET", "/hello").body == b"hello"
    assert_stops_cleanly(server)
    (line,) = [line for line in server.output().splitlines() if "99.0" in line]
    assert line.startswith("Hypercorn 99.0 serves alone")
