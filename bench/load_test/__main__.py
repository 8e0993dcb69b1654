"""Put the load of bench/locustfile.py on the service, for some seconds.

Usage: python -m bench.load_test FOLDER [OPTION ...]

FOLDER keeps locust between runs. The service runs here, with a database that is thrown away, and some rows of
`postern seed` in it; with `--host` nothing is started, and the service there is asked. All options are locust's, or of
the budget; those below stand before them, so that each can be said anew.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from bench.served import Served, served
from tests.support.processes import PROGRAMS, ROOT

HERE = Path(__file__).parent
OPTIONS = ("--headless", "--users", "20", "--spawn-rate", "2", "--run-time", "30s", "--only-summary")
ROWS = ("--users", "200", "--posts", "1000", "--comments", "3000")


def main(folder: Path, options: list[str]) -> int:
    locust = folder / "venv" / "bin" / "locust"
    if not (folder / "ready").exists():
        install(folder)
    named = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    named.add_argument("-H", "--host")
    host, others = named.parse_known_args(options)
    if host.host:
        return run(locust, host.host, others)
    with served() as there:
        seed(there)
        return run(locust, f"http://127.0.0.1:{there.port}", others)


def install(folder: Path) -> None:
    """Make locust's environment, with uv, which takes two seconds where pip takes half a minute."""
    folder.mkdir(parents=True, exist_ok=True)
    uv = str(PROGRAMS / "uv")
    python = ["--python", sys.executable, "--no-python-downloads", "--clear"]
    subprocess.run([uv, "venv", "--quiet", *python, str(folder / "venv")], check=True)
    where = ["--python", str(folder / "venv" / "bin" / "python")]
    what = ["--require-hashes", "-r", str(HERE / "requirements.txt")]
    subprocess.run([uv, "pip", "install", "--quiet", *where, *what], check=True)
    (folder / "ready").touch()


def seed(there: Served) -> None:
    """Have something to be read."""
    command = [str(PROGRAMS / "postern"), "seed", *ROWS, "--yes-in-production"]
    subprocess.run(command, env=there.env, cwd=there.folder, check=True, capture_output=True)


def run(locust: Path, host: str, options: list[str]) -> int:
    """Return locust's exit status."""
    command = [str(locust), "-f", str(ROOT / "bench" / "locustfile.py"), *OPTIONS, "--host", host, *options]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), sys.argv[2:]))
