"""JSON as the contract accepts it: one UTF-8 value, nothing ambiguous in it, nothing that text can't hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from service.errors import FieldFault, MalformedRequest, ValidationFailed

DEPTH_LIMIT = 20
DIGITS_LIMIT = 400
POINTER_LIMIT = 256
"""Characters."""


def parse(body: bytes) -> Any:
    """Return the value that the body is.

    Raises:
        MalformedRequest: not UTF-8, a byte order mark, not JSON (RFC 8259), duplicate member names, NaN, Infinity,
            unpaired surrogates, or nested too deeply.
        ValidationFailed: U+0000 in a text; the pointer says where.
    """
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_integer
        )
    except (ValueError, RecursionError) as error:
        raise MalformedRequest from error
    _check(value, [])
    return value


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    members_by_name = dict(members)
    if len(members_by_name) != len(members):
        raise ValueError("duplicate member names")
    return members_by_name


def _integer(digits: str) -> int | float:
    """Return the number; one that no field can hold is infinite, since reading its digits takes quadratic time."""
    return int(digits) if len(digits) <= DIGITS_LIMIT else float(digits)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check(value: Any, path: list[str | int]) -> None:
    """Walk through the value; ``path`` is where it stands, joined to a pointer only when there is a fault to name."""
    if isinstance(value, str):
        check_text(value, path)
    elif isinstance(value, dict | list):
        if len(path) == DEPTH_LIMIT:
            raise MalformedRequest("Malformed request: nested too deeply")
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            check_text(str(name), path)
            path.append(name)
            _check(item, path)
            path.pop()


def check_text(text: str, path: Sequence[str | int]) -> None:
    """Refuse what PostgreSQL or UTF-8 can't hold.

    Raises:
        MalformedRequest: an unpaired surrogate.
        ValidationFailed: U+0000.
    """
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise MalformedRequest("Malformed request: unpaired surrogate")
    if "\0" in text:
        raise ValidationFailed(faults=(FieldFault(pointer(path), "null_character", "U+0000 is not allowed in text"),))


def pointer(path: Sequence[str | int]) -> str:
    """Return the JSON pointer (RFC 6901 §3), cut where a client's own names make it long."""
    segments = (str(name)[:POINTER_LIMIT].replace("~", "~0").replace("/", "~1") for name in path)
    return "".join("/" + segment for segment in segments)[:POINTER_LIMIT]
