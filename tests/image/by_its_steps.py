"""The image, made by the Dockerfile's own steps (`tests/image/stages.py` says how), and what it promises.

What a registry's base image has in it, and how an engine stores layers, is not looked at. A process of the image is no
process 1 here, and shares the machine's network: it serves on a free port in place of the image's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from service.embedded import Cluster
from tests.conftest import ROOT
from tests.image.dockerfile import allowed, instructions
from tests.image.stages import SOCKET, Stage, build
from tests.support.members import Member
from tests.support.processes import Running, free_port, running, wait_until
from tests.support.sockets import ask

BUILDERS = {"pip", "setuptools", "wheel", "build", "uv"}
PROGRAMS = re.compile(r"(pip|easy_install|wheel|gcc|g\+\+|cc|ld|make|cargo|uv)[\d.-]*")
LISTED = "import importlib.metadata as m, json; print(json.dumps([(d.name, d.version) for d in m.distributions()]))"
WRITABLE = "import os; print(*(path for path, folders, files in os.walk('/') if os.access(path, os.W_OK)), sep='\\n')"


@pytest.fixture(scope="session")
def image() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        Path(folder).chmod(0o755)  # the ordinary user has to get through
        yield build(ROOT, Path(folder))


@dataclass(frozen=True)
class Deployed:
    """The image with a database of its own, as `deploy/` runs it: with a root file system that is read-only."""

    image: Stage
    socket: Path
    environment: dict[str, str]

    def inside(self, *command: str, scratch: bool = False) -> list[str]:
        return self.image.inside(*command, scratch=scratch, socket=self.socket)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        inside = self.inside(*command)
        return subprocess.run(inside, env=self.environment, capture_output=True, text=True, timeout=60, check=False)

    def ends_well(self, *command: str) -> bool:
        return self.run(*command).returncode == 0

    @contextlib.contextmanager
    def serving(self, folder: Path, *options: str, scratch: bool = False) -> Iterator[Running]:
        """Run CMD, with options behind it, until HEALTHCHECK is content; SIGTERM ends it, with status 0."""
        port = free_port()
        command, health = (
            [word.replace(str(self.image.port), str(port)) for word in words]
            for words in (self.image.command, self.image.health)
        )
        started = self.inside(*command, *options, scratch=scratch)
        with running(*started, folder=folder, env=self.environment, port=port) as server:
            wait_until(lambda: self.ends_well(*health))
            yield server
            assert server.stop() == 0, server.output()
            assert not self.ends_well(*health)
            assert "Traceback" not in server.output()


@pytest.fixture(scope="session")
def deployed(image: Stage, cluster: Cluster) -> Deployed:
    """The image, its database migrated by itself."""
    cluster.ensure_database("image")
    url = cluster.url("image")
    outside = re.findall(r"host=([^&]+)", url)[0]
    environment = image.environment | {
        "DATABASE_URL": url.replace(outside, f"/{SOCKET.parent}"),
        "SECRET_KEY": "image-0123456789-abcdefghijklmnopqrstuvwxyz",
    }
    deployed = Deployed(image, Path(outside, SOCKET.name), environment)
    assert deployed.ends_well("alembic", "upgrade", "head")
    return deployed


@pytest.fixture(scope="session")
def server(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with deployed.serving(tmp_path_factory.mktemp("server")) as server:
        yield server


def test_the_builder_is_given_what_is_copied_and_nothing_else() -> None:
    steps = instructions((ROOT / "Dockerfile").read_text())
    copied = [step.value.split()[:-1] for step in steps if step.name == "COPY" and "from" not in step.flags]
    assert allowed((ROOT / ".dockerignore").read_text()) == {name for names in copied for name in names}


def test_packages_are_those_of_the_lock(image: Stage) -> None:
    locked = [
        Requirement(line)
        for line in re.findall(r"^[^\s#][^\\\n]*", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    ]
    wanted = {(str(canonicalize_name(r.name)), str(r.specifier)) for r in locked if not r.marker or r.marker.evaluate()}
    found = {
        (canonicalize_name(name), f"=={version}") for name, version in json.loads(image.run("python", "-c", LISTED))
    }
    assert {package for package in found if package[0] != "postern"} == wanted
    assert len(found) == len(wanted) + 1


@pytest.mark.parametrize("python", ["/opt/postern/bin/python", "/python/bin/python"], ids=["ours", "the base image's"])
def test_no_package_builds_any_more(image: Stage, python: str) -> None:
    assert not BUILDERS & {name for name, _ in json.loads(image.run(python, "-c", LISTED))}


def test_no_program_builds_any_more(image: Stage) -> None:
    own = [path for path in image.root.rglob("bin/*") if path.is_symlink() or os.access(path, os.X_OK)]
    assert {"postern", "alembic"} <= {path.name for path in own}
    assert not [path for path in own if PROGRAMS.fullmatch(path.name)]
    assert not [name for name in ("build", "src") if (image.root / name).exists()]


def test_nothing_of_the_image_is_everybodys_to_write(image: Stage) -> None:
    files = [path for path in image.root.rglob("*") if not path.is_symlink()]
    assert not [path for path in files if path.stat().st_mode & stat.S_IWOTH]


def test_no_folder_is_writable(deployed: Deployed) -> None:
    assert [path for path in deployed.image.run("python", "-c", WRITABLE).split() if not path.startswith("/proc")] == []


def test_it_serves_without_a_place_to_write_to(server: Running) -> None:
    assert ask(server, "GET", "/readyz").status == 200
    member = Member(server)
    assert ask(server, "GET", "/api/auth/me", token=member.access_token).json()["email"] == member.email
    assert ask(server, "GET", "/metrics").status == 200


def test_it_has_no_rights(image: Stage, server: Running) -> None:
    """Not even those of root in its own namespace: it sees itself as the image's user."""
    status, uid_map = (Path(f"/proc/{server.process.pid}/{name}").read_text() for name in ("status", "uid_map"))
    assert not re.search(r"^[UG]id:.*\b0\b", status, re.MULTILINE)
    assert re.findall(r"^Cap(?:Inh|Prm|Eff|Amb):\t(\w+)$", status, re.MULTILINE) == ["0" * 16] * 4
    assert "NoNewPrivs:\t1" in status
    assert uid_map.split()[0] == str(image.uid) != "0"
    assert re.search(rf"^postern:[^:]*:{image.uid}:", (image.root / "etc" / "passwd").read_text(), re.MULTILINE)


def test_several_processes_need_a_tmp_for_what_they_count(deployed: Deployed, tmp_path: Path) -> None:
    refused = deployed.run(*deployed.image.command, "--workers", "2")
    assert (refused.returncode, "No usable temporary directory" in refused.stderr) == (1, True)
    with deployed.serving(tmp_path, "--workers", "2", scratch=True) as server:
        assert Member(server).access_token
        assert ask(server, "GET", "/metrics").status == 200
        written = list(Path("/proc", str(server.process.pid), "root", "tmp").iterdir())
        assert [path.name.startswith("postern-metrics-") for path in written] == [True]
