"""What a process imports, as `python -X importtime` tells it."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

_LINE = re.compile(r"^import time: +(\d+) \| +(\d+) \| +(\S+)$", re.MULTILINE)
_BEFORE_THE_PROGRAM = "site"
SLOWEST = 10


@dataclass(frozen=True, slots=True)
class Import:
    """A module, the milliseconds that it took itself, and those with all that it imported first."""

    module: str
    own_ms: float
    whole_ms: float

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    @property
    def from_elsewhere(self) -> bool:
        """Tell whether it has to be installed. Names with an underscore are parts of something that has another one."""
        return self.package not in sys.stdlib_module_names and not self.package.startswith("_")


def imports_in(said: str) -> list[Import]:
    """Read what a process has said, in the order in which imports ended, less those of the interpreter itself."""
    found = [Import(name, int(own) / 1000, int(whole) / 1000) for own, whole, name in _LINE.findall(said)]
    first = next((place for place, one in enumerate(found, 1) if one.module == _BEFORE_THE_PROGRAM), 0)
    return found[first:]


def slowest_modules(imports: Iterable[Import]) -> str:
    """Name the modules that took longest themselves, with what they imported beside it."""
    slowest = sorted(imports, key=lambda one: -one.own_ms)[:SLOWEST]
    lines = [f"{one.own_ms:>9.1f}{one.whole_ms:>9.1f}  {one.module}" for one in slowest]
    return "\n".join([f"{'ms':>9}{'in all':>9}  module", *lines])


def slowest_packages(imports: Iterable[Import]) -> str:
    """Name the packages whose modules took longest, each by itself; the standard library counts as one."""
    spent: defaultdict[str, list[float]] = defaultdict(list)
    for one in imports:
        spent["(standard library)" if one.package in sys.stdlib_module_names else one.package].append(one.own_ms)
    slowest = sorted(spent.items(), key=lambda package: -sum(package[1]))[:SLOWEST]
    lines = [f"{sum(each):>9.1f}{len(each):>9}  {name}" for name, each in slowest]
    return "\n".join([f"{'ms':>9}{'modules':>9}  package", *lines])
