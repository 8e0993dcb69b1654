"""Each event loop in turn."""

from __future__ import annotations

import pytest
from tests.server.engine import LOOPS


@pytest.fixture(scope="module", params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    """The name of the server's event loop."""
    return str(request.param)
