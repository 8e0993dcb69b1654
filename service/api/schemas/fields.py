"""The kinds of members that bodies, queries and answers have, with what the OpenAPI document says of each."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

USERNAME_LIMIT = 80
PASSWORD_EXAMPLE = "correct horse battery"  # noqa: S105 - of nobody

# Blank to the eye though not by their category: two names that differ in one of them look the same. Unicode's
# Default_Ignorable_Code_Point less the categories that are refused anyway, and two symbols without ink.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U0001d159"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_EMAIL = re.compile(rf'[^\s@"(),:;<>\[\]\\.]+(?:\.[^\s@"(),:;<>\[\]\\.]+)*@(?:{_LABEL}\.)+{_LABEL}')


def _username(value: str) -> str:
    """Join letters and their accents (Unicode NFC), so that the length is that of what is stored.

    What is too long even if each letter came with three accents is not joined: that takes quadratic time.
    """
    name = unicodedata.normalize("NFC", value) if len(value) <= 4 * USERNAME_LIMIT else value
    if not 3 <= len(name) <= USERNAME_LIMIT:
        raise PydanticCustomError("string_length", "3 to 80 characters are needed")
    if not all(character in "_.-" or _is_letter_or_digit(character) for character in name):
        raise PydanticCustomError("username", "Letters, digits, '_', '.' and '-' only")
    return name


def _is_letter_or_digit(character: str) -> bool:
    category = unicodedata.category(character)
    return (category[0] == "L" or category == "Nd") and character not in _BLANK


def _email(value: str) -> str:
    printable = all(unicodedata.category(character)[0] not in "CZ" for character in value)
    if not (printable and _EMAIL.fullmatch(value)) or not _BLANK.isdisjoint(value):
        raise PydanticCustomError("email", "An email address with a dotted domain is needed")
    return value


def _digits(value: Any) -> Any:
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise PydanticCustomError("int_parsing", "A whole number is needed, in digits")
    return value


def _boolean(value: Any) -> Any:
    """Take the two words that JSON has, in any letter case: some clients write True."""
    if isinstance(value, str) and value.lower() not in ("true", "false"):
        raise PydanticCustomError("bool_parsing", "true or false is needed")
    return value


# The pattern is what all kinds of regular expressions understand: no white space, no control characters, and of ASCII's
# signs only three.
Username = Annotated[
    str,
    AfterValidator(_username),
    WithJsonSchema(
        {
            "type": "string",
            "description": "Letters and digits of any script, `_`, `.` and `-`; the length is that of its NFC.",
            "minLength": 3,
            "maxLength": 80,
            "pattern": r"^[^\s\x00-,/:-@\[-^`{-\xa0]+$",
            "examples": ["ann"],
        }
    ),
]
Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=120),
    AfterValidator(_email),
    Field(json_schema_extra={"format": "idn-email", "examples": ["ann@example.com"]}),
]
Password = Annotated[
    str,
    StringConstraints(min_length=1),
    Field(json_schema_extra={"format": "password", "examples": [PASSWORD_EXAMPLE]}),
]
NewPassword = Annotated[
    str,
    StringConstraints(min_length=8, max_length=128),
    Field(
        description="Not the name or the email, and none of the most common ones.",
        json_schema_extra={"format": "password", "examples": [PASSWORD_EXAMPLE]},
    ),
]
RowId = Annotated[int, Field(ge=1, json_schema_extra={"format": "int64", "examples": [1]})]
Digits = BeforeValidator(_digits)
"""Of a whole number in a query; outside of its bounds, or pydantic writes these under names that no validator knows."""

Token = Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiIs...Q4vLw"])]
Boolean = Annotated[bool, BeforeValidator(_boolean)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200), Field(examples=["Flask on one loop"])]
PostBody = Annotated[str, StringConstraints(min_length=1, max_length=65_536), Field(examples=["No thread, one pool."])]
CommentBody = Annotated[str, StringConstraints(min_length=1, max_length=8192), Field(examples=["Well said."])]


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


ABSENT = Field(json_schema_extra=_without_default)
"""Of a parameter that may be left out, and means nothing then: its None can't be sent."""
Nothing = SkipJsonSchema[None]
