"""Run Flask's own test suite plainly and through the bridge, and compare: what passes there has to pass here.

Usage: python -m tests.flask_suite FOLDER, where FOLDER keeps the virtual environment and the sources between runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REQUIREMENTS = HERE / "requirements.txt"

# Tests that plain Flask passes and the bridge can't, each with its reason.
EXCEPTIONS: dict[str, str] = {}


def main(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "venv" / "bin" / "python"
    if not (folder / "ready").exists():
        install(folder, python)
    sources = next(folder.glob("flask-*/tests")).parent
    plain = passed(python, sources, folder / "plain.xml")
    bridged = passed(python, sources, folder / "bridged.xml", "-p", "tests.flask_suite.through_bridge")
    lost = plain - bridged - EXCEPTIONS.keys()
    for name in sorted(lost):
        print(f"passes with plain Flask, fails through the bridge: {name}")
    print(f"Flask's own suite: {len(plain)} passed plainly, {len(plain & bridged)} of them through the bridge")
    print(f"{len(bridged)} passed, {len(lost)} failed")
    return 1 if lost or not plain else 0


def install(folder: Path, python: Path) -> None:
    venv.create(folder / "venv", with_pip=True, clear=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--require-hashes", "-r", str(REQUIREMENTS)], check=True)
    source = ["download", "--require-hashes", "-r", str(HERE / "source.txt"), "-d", str(folder)]
    subprocess.run([*pip, *source, "--no-deps", "--no-binary", ":all:", "--no-build-isolation"], check=True)
    with tarfile.open(next(folder.glob("flask-*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    (folder / "ready").touch()


def passed(python: Path, sources: Path, report: Path, *options: str) -> set[str]:
    """Run the suite; return the tests that passed, as module::name."""
    command = [str(python), "-m", "pytest", "-q", "--no-header", "--tb=short", f"--junitxml={report}", *options]
    subprocess.run(command, cwd=sources, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    cases = ElementTree.parse(report).iter("testcase")
    return {f"{case.get('classname')}::{case.get('name')}" for case in cases if len(case) == 0}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
