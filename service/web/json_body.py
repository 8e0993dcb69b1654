"""JSON as the contract accepts it: one UTF-8 value, nothing ambiguous in it, nothing that text can't hold."""

from __future__ import annotations

import json
from typing import Any

from service.errors import FieldFault, MalformedRequest, ValidationFailed

DEPTH_LIMIT = 20


def parse(body: bytes) -> Any:
    """Return the value that the body is.

    Raises:
        MalformedRequest: not UTF-8, a byte order mark, not JSON (RFC 8259), duplicate member names, NaN, Infinity,
            unpaired surrogates, or nested too deeply.
        ValidationFailed: U+0000 in a text; the pointer says where.
    """
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest from error
    _check(value, "", DEPTH_LIMIT)
    return value


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    members_by_name = dict(members)
    if len(members_by_name) != len(members):
        raise ValueError("duplicate member names")
    return members_by_name


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _check(value: Any, pointer: str, depth: int) -> None:
    if isinstance(value, str):
        check_text(value, pointer)
    elif isinstance(value, dict | list):
        if depth == 0:
            raise MalformedRequest("Malformed request: nested too deeply")
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            check_text(str(name), pointer)
            _check(item, pointer + "/" + pointer_segment(name), depth - 1)


def check_text(text: str, pointer: str) -> None:
    """Refuse what PostgreSQL or UTF-8 can't hold.

    Raises:
        MalformedRequest: an unpaired surrogate.
        ValidationFailed: U+0000.
    """
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise MalformedRequest("Malformed request: unpaired surrogate")
    if "\0" in text:
        raise ValidationFailed(faults=(FieldFault(pointer, "null_character", "U+0000 is not allowed in text"),))


def pointer_segment(name: str | int) -> str:
    """Return one reference token of a JSON pointer (RFC 6901 §3)."""
    return str(name).replace("~", "~0").replace("/", "~1")
