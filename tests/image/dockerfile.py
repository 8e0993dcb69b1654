"""What a Dockerfile says, as far as ours says it; what it does is in `tests/image/stages.py`."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

FLAGS = {"COPY": {"from"}, "HEALTHCHECK": {"interval", "timeout"}}
"""Those that are heeded, or mean nothing where each step is taken once."""
NOT_COPIED = "**/"
"""How a line of `.dockerignore` begins that leaves out what has a name, wherever it is."""


@dataclass(frozen=True)
class Instruction:
    name: str
    flags: dict[str, str]
    value: str


def instructions(text: str) -> list[Instruction]:
    """Return them in order, without comments, each on one line."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [_instruction(line) for line in lines.splitlines() if line.strip()]


def _instruction(line: str) -> Instruction:
    name, _, rest = line.partition(" ")
    flags = {}
    while flag := re.match(r"\s*--([a-z-]+)=(\S+)\s+", rest):
        flags[flag[1]] = flag[2]
        rest = rest[flag.end() :]
    assert flags.keys() <= FLAGS.get(name, set()), f"a flag that is unknown here: {line}"
    return Instruction(name, flags, rest.strip())


def allowed(dockerignore: str) -> set[str]:
    """Return what `.dockerignore` leaves of a checkout: nothing but the names that it excepts."""
    first, *others = dockerignore.split()
    assert first == "*", "a .dockerignore that lets in what it does not name"
    assert all(line.startswith(("!", NOT_COPIED)) for line in others), others
    return {line.removeprefix("!") for line in others if line.startswith("!")}


def copy_context(checkout: Path, context: Path) -> None:
    """Copy what a builder is given."""
    dockerignore = (checkout / ".dockerignore").read_text()
    left_out = [line.removeprefix(NOT_COPIED) for line in dockerignore.split() if line.startswith(NOT_COPIED)]
    context.mkdir()
    for name in allowed(dockerignore):
        if (checkout / name).is_dir():
            shutil.copytree(checkout / name, context / name, ignore=shutil.ignore_patterns(*left_out))
        else:
            shutil.copy(checkout / name, context)
