"""When and where a benchmark ran, as its tables say it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Mapping
from importlib import metadata


def about(how: str, libraries: Mapping[str, str], load_at_begin: float) -> list[str]:
    """Say it, a sentence each: the machine, the libraries by their versions, how it was measured, what else ran."""
    named = ", ".join(f"{name} {version}" for name, version in libraries.items())
    return [
        f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, Linux {platform.release()},",
        f"Python {platform.python_version()}, {named};",
        f"{how};",
        f"a load of {load_at_begin:.1f} at the beginning and {os.getloadavg()[0]:.1f} at the end.",
    ]


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of packages, by name, as they are in the environment of the bench."""
    return {name: metadata.version(name) for name in packages}
