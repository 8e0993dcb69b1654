from __future__ import annotations

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service.errors import MalformedRequest, ValidationFailed
from service.web.json_body import DEPTH_LIMIT, parse, pointer


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"true",
        b"1",
        b"1.5e3",
        b'"x"',
        b"[]",
        b"{}",
        b' {"a": [1, "\\u00e9", "\\ud83d\\ude00"]}\n',
        b'"\xc3\xa9"',
    ],
)
def test_one_json_value_is_read(body: bytes) -> None:
    assert parse(body) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"  ", id="blank"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
        pytest.param("{}".encode("utf-16"), id="utf-16"),
        pytest.param(b'{"a": "\xff"}', id="not utf-8"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', id="surrogate in utf-8"),
        pytest.param(b'{"a": "\xc0\x80"}', id="overlong U+0000"),
        pytest.param(b"{} {}", id="two values"),
        pytest.param(b"{}x", id="something behind"),
        pytest.param(b"{'a': 1}", id="single quotes"),
        pytest.param(b'{"a": 1,}', id="trailing comma"),
        pytest.param(b'{"a": 01}', id="leading zero"),
        pytest.param(b'{"a": "\n"}', id="raw line break"),
        pytest.param(b'{"a": 1, "a": 2}', id="duplicate members"),
        pytest.param(b'{"a": 1, "\\u0061": 2}', id="duplicate members, one escaped"),
        pytest.param(b'[{"b": {"a": 1, "a": 1}}]', id="duplicate members inside"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b'{"a": Infinity}', id="Infinity"),
        pytest.param(b'{"a": -Infinity}', id="-Infinity"),
        pytest.param(b'{"a": "\\ud800"}', id="unpaired surrogate"),
        pytest.param(b'{"\\udfff": 1}', id="unpaired surrogate in a name"),
        pytest.param(b"[" * 100_000, id="very deep"),
        pytest.param(b'{"a":' * 100_000, id="very deep objects"),
    ],
)
def test_what_is_not_one_json_value_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parse(body)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
def test_a_value_may_be_as_deep_as_the_limit(opening: bytes, closing: bytes) -> None:
    parse(opening * (DEPTH_LIMIT - 1) + (opening.rstrip(b'"a:') + closing) + closing * (DEPTH_LIMIT - 1))


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
def test_a_value_may_not_be_deeper_than_the_limit(opening: bytes, closing: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parse(opening * DEPTH_LIMIT + (opening.rstrip(b'"a:') + closing) + closing * DEPTH_LIMIT)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'"\\u0000"', ""),
        (b'{"a": "x\\u0000y"}', "/a"),
        (b'{"a/b": {"~": ["", "\\u0000"]}}', "/a~1b/~0/1"),
        (b'{"a": {"\\u0000": 1}}', "/a"),
    ],
    ids=["alone", "member", "inside", "a name"],
)
def test_a_null_character_is_refused_where_it_is(body: bytes, pointer: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        parse(body)

    assert [fault.pointer for fault in refused.value.faults] == [pointer]


@pytest.mark.parametrize(("name", "segment"), [("a", "a"), ("a/b", "a~1b"), ("~1", "~01"), ("", ""), (3, "3")])
def test_pointers_are_escaped(name: str | int, segment: str) -> None:
    assert pointer([name]) == "/" + segment


@given(
    st.binary(max_size=200)
    | st.text(st.characters(codec="utf-8"), max_size=100).map(str.encode)
    | st.text('{}[]":,\\u0d8e1 ').map(str.encode)
)
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(MalformedRequest, ValidationFailed):
        assert parse(body) == json.loads(body)


def test_a_fault_deep_below_long_names_costs_no_more_than_the_body() -> None:
    with pytest.raises(ValidationFailed) as refused:
        parse(b'{"' + b"~" * 300_000 + b'": [' + b"0," * 300_000 + rb'"\u0000"]}')

    assert len(refused.value.faults[0].pointer) <= 256


@pytest.mark.parametrize("digits", [401, 5000, 100_000])
def test_a_number_that_no_field_can_hold_is_infinite(digits: int) -> None:
    assert parse(b"-" + b"1" * digits) == -math.inf
