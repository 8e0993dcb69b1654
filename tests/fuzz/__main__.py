"""Hold a running service against its OpenAPI document with requests that schemathesis makes of it: as nobody, as a user
and as an admin.

Usage: python -m tests.fuzz FOLDER, where FOLDER keeps schemathesis between runs. From the environment: FUZZ_EXAMPLES
says how many requests are made of each operation where their number is a matter of taste, FUZZ_SEED which, FUZZ_ROLES
by whom, FUZZ_SECONDS how long each may take; FUZZ_OPTIONS are options of schemathesis' own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import alembic.command
import alembic.config
from service.embedded import Cluster
from tests.support.processes import PROGRAMS, Running, environment, running

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REQUIREMENTS = HERE / "requirements.txt"
LIMIT_SECONDS = float(os.environ.get("FUZZ_SECONDS", "600"))
"""For one of the three; it is stopped then, and has failed."""


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "ready").exists():
        install(folder)
    failed = 0
    roles = os.environ.get("FUZZ_ROLES", "nobody user admin").split()
    for role in roles:
        started = time.monotonic()
        fails = fuzz(folder, role)
        failed += fails
        print(f"fuzz: as {role}: {'failed' if fails else 'passed'} in {time.monotonic() - started:.0f} s", flush=True)
    print(f"{len(roles) - failed} passed, {failed} failed")
    return 1 if failed else 0


def install(folder: Path) -> None:
    venv.create(folder / "venv", with_pip=True, clear=True)
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--require-hashes", "-r", str(REQUIREMENTS)], check=True)
    (folder / "ready").touch()


def fuzz(folder: Path, role: str) -> bool:
    """Send requests to a service with a database of its own; tell whether anything was wrong."""
    with tempfile.TemporaryDirectory() as scratch, Cluster(Path(scratch) / "data", ephemeral=True) as cluster:
        cluster.ensure_database()
        config = alembic.config.Config(ROOT / "alembic.ini", attributes={"database_url": cluster.url()})
        alembic.command.upgrade(config, "head")
        env = environment(
            APP_ENV="testing",  # production refuses to hash as cheaply as this
            SECRET_KEY="fuzz-0123456789-abcdefghijklmnopqrstuvwxyz",
            DATABASE_URL=cluster.url(),
            HASH_PASSES="1",  # each request has a login of its own before it
            HASH_MEMORY_KIB="8",
        )
        place = Path(scratch)
        with running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=place, env=env) as server:
            make_admin(place, env)
            status = schemathesis(folder, place, role, server, env)
            code = server.stop()
            wrong = [line for line in server.output().splitlines() if "Traceback" in line or '"status": 500' in line]
    print("\n".join(wrong))
    return bool(status or code or wrong)


def make_admin(place: Path, env: dict[str, str]) -> None:
    """See to it that there is an admin who is not the one that asks: the last one can't be lost."""
    options = ("--username", "root", "--email", "root@example.com", "--password", "correct horse battery")
    command = [str(PROGRAMS / "postern"), "create-admin", *options]
    subprocess.run(command, cwd=place, env=env, check=True, timeout=LIMIT_SECONDS)


def schemathesis(folder: Path, place: Path, role: str, server: Running, env: dict[str, str]) -> int:
    command = [
        *(str(folder / "venv" / "bin" / "schemathesis"), "--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"{server.address}/openapi.json", "--checks", "all", "--mode", "all", "--continue-on-failure"),
        *("--max-examples", os.environ.get("FUZZ_EXAMPLES", "10"), "--seed", os.environ.get("FUZZ_SEED", "1")),
        *os.environ.get("FUZZ_OPTIONS", "").split(),
    ]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(ROOT), "FUZZ_ROLE": role}
    hooks |= {"FUZZ_URL": server.address, "FUZZ_POSTERN": str(PROGRAMS / "postern")}
    try:
        return subprocess.run(
            command, cwd=place, env=os.environ | env | hooks, timeout=LIMIT_SECONDS, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        print("fuzz: it took too long")
        return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
