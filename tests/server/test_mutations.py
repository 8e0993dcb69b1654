"""100,000 mutations of the corpus, over real sockets, leave no task, no descriptor and no exception."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.support.processes import ROOT, environment, unmeasured

MUTATIONS = int(os.environ.get("MUTATIONS", "100000"))


@pytest.mark.parametrize(("count", "loop"), [(MUTATIONS, "uvloop"), (MUTATIONS // 5, "asyncio")])
def test_mutations_leave_nothing_behind(count: int, loop: str) -> None:
    command = [sys.executable, "-m", "tests.server.mutations", str(count), loop]
    env = unmeasured(environment())
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == f"{count} streams on {loop} left nothing behind\n", done.stderr
