"""What a caller may ask of a row before it is changed (contract: Conditional and repeated requests)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Precondition = Callable[[Any], None]
"""Takes the row under its lock. Raises: PreconditionFailed, when it is not what the caller thinks it is."""


def unconditional(row: Any) -> None:
    """Any row will do."""
