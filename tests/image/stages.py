"""The stages of an image, made by a Dockerfile's own steps in an empty folder: by an ordinary user, without an engine.

The empty folder is the root of the file system to each step, by the means that containers are made of: a user and a
mount namespace, and `chroot`. `/opt/postern` is written to as `/opt/postern`, and `RUN` is root in there; outside it is
an ordinary user, who owns all of the folder: who is root becomes `nobody` once the context is copied. `RUN useradd`
adds to the folder's `/etc/passwd`, `USER` is the uid that a process in there sees itself as. No step is left out or
rewritten.

The base image is the one thing that is not real. In its place are the machine's `/usr`, read-only, and a virtual
environment of the Python that runs this, in `/python`, with a copy of our pip.
"""

from __future__ import annotations

import ast
import json
import os
import pwd
import re
import shlex
import shutil
import string
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath

from tests.image.dockerfile import Instruction, copy_context, instructions

BASE = {"PATH": "/python/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
SOCKET = PurePosixPath("run/postgresql/.s.PGSQL.5432")
"""Where the image finds a PostgreSQL that listens outside, below its root."""
_DEVICES = ("null", "random", "urandom", "zero")
_OF_MACHINE = ("hosts", "resolv.conf", "nsswitch.conf", "ld.so.cache", "login.defs")
_OF_INDEX = {"index-url", "extra-index-url", "trusted-host", "cert", "proxy"}
_LINKS = ("bin", "lib", "lib64", "sbin")
_PREFIX = Path(sys.base_prefix)
_NOBODY = pwd.getpwnam("nobody")
_IS_ROOT = os.geteuid() == 0
_SWITCH = [f"--reuid={_NOBODY.pw_uid}", f"--regid={_NOBODY.pw_gid}", "--clear-groups"] if _IS_ROOT else []
_ORDINARY = ["setpriv", "--no-new-privs", *_SWITCH]
_MOUNTING = ["unshare", "--mount", *([] if _IS_ROOT else ["--user", "--map-root-user"])]


def build(checkout: Path, folder: Path) -> Stage:
    """Make all stages below the folder, and return the last one."""
    copy_context(checkout, folder / "context")
    _give_away(folder)
    stages: list[Stage] = []
    for instruction in instructions((checkout / "Dockerfile").read_text()):
        if instruction.name == "FROM":
            stages.append(Stage(folder / f"stage-{len(stages)}", instruction.value))
        elif instruction.name == "COPY":
            name = instruction.flags.get("from")
            source = next(stage.root for stage in stages if stage.name == name) if name else folder / "context"
            stages[-1].copy(source, instruction)
        else:
            stages[-1].do(instruction)
    return stages[-1]


class Stage:
    """A root file system, and what its instructions have said of processes in it."""

    def __init__(self, root: Path, base: str) -> None:
        found = re.fullmatch(r"python:3\.1[123]-slim(?: AS (\w+))?", base)
        assert found, f"an unknown base image: {base}"
        self.root, self.name = root, found[1]
        self.environment, self.folder, self.uid, self.port = dict(BASE), PurePosixPath("/"), 0, 0
        self.arguments: dict[str, str] = {}
        self.command: list[str] = []
        self.health: list[str] = []
        self._lay_base()

    def do(self, instruction: Instruction) -> None:
        """Carry out an instruction that needs nothing but this stage."""
        match instruction.name, instruction.value:
            case "RUN", command:
                self.run("sh", "-ec", command, env=self.arguments | _of_build())
            case "ARG", argument:
                name, given, default = argument.partition("=")
                assert given, f"nobody is here to say what it is: {argument}"
                assert name not in self.environment, f"ENV would go before it: {argument}"
                self.arguments[name] = default
            case "WORKDIR", folder:
                self.folder = self.folder / folder
                _ordinary("mkdir", "-p", self._outside(self.folder))
            case "ENV", values:
                pairs = [pair.partition("=") for pair in shlex.split(values)]
                self.environment |= {name: string.Template(to).substitute(self.environment) for name, _, to in pairs}
                assert not self.arguments.keys() & self.environment.keys(), f"it would go before ARG: {values}"
            case "USER", uid:
                self.uid = int(uid)
            case "EXPOSE", port:
                self.port = int(port)
            case "HEALTHCHECK", check:
                self.health = json.loads(check.removeprefix("CMD "))
            case "CMD", command:
                self.command = json.loads(command)
            case unknown:
                raise AssertionError(f"unknown here, so nothing is proven: {unknown}")

    def copy(self, source: Path, instruction: Instruction) -> None:
        """Carry out COPY: the content of folders, and files into folders."""
        *names, target = instruction.value.split()
        into = self._outside(self.folder / target)
        _ordinary("mkdir", "-p", into)
        for name in names:
            found = source / name.lstrip("/")
            assert found.is_dir() or target.endswith((".", "/")), f"a copy under another name: {instruction.value}"
            _ordinary("cp", "-a", f"{found}/." if found.is_dir() else found, into)

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> str:
        """Run something in here to its end, and return what it says; until USER is said, it may write."""
        finished = subprocess.run(
            self.inside(*command, writable=not self.uid),
            env=self.environment | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, f"{shlex.join(command)}: {finished.stdout}"
        return finished.stdout

    def inside(
        self, *command: str, writable: bool = False, scratch: bool = False, socket: Path | None = None
    ) -> list[str]:
        """Return the command line that runs another one in here, by the user of the image.

        With `scratch` it has a `/tmp` to write to; `socket` is where a PostgreSQL outside listens.
        """
        shown = [Path("/usr"), Path("/etc/ssl"), _PREFIX, *(Path("/dev", name) for name in _DEVICES)]
        mounted = [(path, self._outside(path)) for path in shown]
        if socket:
            mounted.append((socket, self._outside(SOCKET)))
        script = [
            "set -e",
            'only_read() { mount --bind "$1" "$2"; mount -o remount,bind,ro "$2"; }',
            shlex.join([*(["mount", "--bind"] if writable else ["only_read"]), str(self.root), str(self.root)]),
            *(shlex.join(["only_read", str(path), str(here)]) for path, here in mounted),
            shlex.join(["mount", "--rbind", "/proc", str(self._outside("proc"))]),
            *([shlex.join(["mount", "-t", "tmpfs", "tmpfs", str(self._outside("tmp"))])] if scratch else []),
            'exec "$@"',
        ]
        become = ["unshare", "--user", f"--map-user={self.uid}", f"--map-group={self.uid}"]
        placed = [f"--root={self.root}", f"--wd={self.folder}", "--", *command]
        return [*_MOUNTING, "sh", "-c", "\n".join(script), "sh", *_ORDINARY, *become, *placed]

    def _outside(self, path: PurePath | str) -> Path:
        """Return where a path of the image is."""
        return self.root / str(path).lstrip("/")

    def _lay_base(self) -> None:
        for folder in ("usr", "etc/ssl", "dev", "proc", "root", "tmp", "run/postgresql", str(_PREFIX)):
            self._outside(folder).mkdir(parents=True, exist_ok=True)
        for file in (str(SOCKET), *(f"dev/{name}" for name in _DEVICES)):
            self._outside(file).touch()
        for link in (Path("/", name) for name in _LINKS):
            if link.is_symlink():
                self._outside(link).symlink_to(link.readlink())
        for known in (Path("/etc", name) for name in _OF_MACHINE):
            if known.exists():
                shutil.copy(known, self._outside(known))
        self._outside("etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        self._outside("etc/group").write_text("root:x:0:\n")
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        for part in Path(sysconfig.get_path("purelib")).glob("pip*"):
            shutil.copytree(part, self._outside(f"python/lib/{version}/site-packages/{part.name}"))
        _give_away(self.root)
        self.run(f"{_PREFIX}/bin/{version}", "-m", "venv", "--without-pip", "/python")


def _ordinary(*command: str | Path) -> None:
    subprocess.run([*_ORDINARY, *command], check=True)


def _give_away(folder: Path) -> None:
    """Let what root has copied be the ordinary user's."""
    if _IS_ROOT:
        subprocess.run(["chown", "-R", f"{_NOBODY.pw_uid}:{_NOBODY.pw_gid}", folder], check=True)


def _of_build() -> dict[str, str]:
    """Return what lets pip reach the index that this machine is configured with."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    told = dict(line.split("=", 1) for line in listed.splitlines())
    named = {key.rpartition(".")[2]: ast.literal_eval(value) for key, value in told.items()}
    pip = {f"PIP_{name.replace('-', '_').upper()}": value for name, value in named.items() if name in _OF_INDEX}
    kept = re.compile(r"(?i)\w+_proxy|SSL_CERT_\w+|\w+_CA_BUNDLE")
    return {name: value for name, value in os.environ.items() if kept.fullmatch(name)} | pip | {"HOME": "/root"}
