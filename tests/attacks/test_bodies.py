"""Bodies that are not the one JSON value that a route asks for."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from tests.support.attacks import Attack
from tests.support.sockets import Answer

JSON = "Content-Type: application/json"
LOGIN = {"email": "nobody@example.com", "password": "not a password"}
GOOD = json.dumps(LOGIN)
ROUTES = ["/api/auth/login", "/api/users/"]


def send(attack: Attack, body: bytes, *lines: str, target: str = "/api/auth/login") -> Answer:
    return attack.request("POST", target, *(lines or (JSON,)), body=body)


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json()["code"]) == (status, code), answer


def with_email(text: str) -> bytes:
    """The body whose email is this text of JSON."""
    return GOOD.replace('"nobody@example.com"', text).encode()


MALFORMED = {
    "empty": b"",
    "blanks": b" \r\n\t ",
    "byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "UTF-16": GOOD.encode("utf-16"),
    "UTF-16 without a mark": GOOD.encode("utf-16-le"),
    "UTF-32": GOOD.encode("utf-32"),
    "UTF-7": b"+AHs-" + GOOD.encode(),
    "Latin-1": with_email('"\u00e4@example.com"').decode().encode("latin-1"),
    "overlong slash": with_email('"a\\u0041@example.com"').replace(b"\\u0041", b"\xc0\xaf"),
    "overlong NUL": with_email('"x"').replace(b'"x"', b'"\xc0\x80"'),
    "an encoded surrogate": with_email('"x"').replace(b'"x"', b'"\xed\xa0\x80"'),
    "beyond Unicode": with_email('"x"').replace(b'"x"', b'"\xf4\x90\x80\x80"'),
    "a cut character": with_email('"x"').replace(b'"x"', b'"\xe2\x82"'),
    "a byte of 0xFF": GOOD.encode() + b"\xff",
    "a raw NUL": with_email('"a\0b"'),
    "a raw newline": with_email('"a\nb"'),
    "a lone high surrogate": with_email('"\\ud83d"'),
    "a lone low surrogate": with_email('"\\ude00"'),
    "surrogates in the wrong order": with_email('"\\ude00\\ud83d"'),
    "a lone surrogate in a name": b'{"\\ud800": 1}',
    "the same member twice": GOOD.replace("{", '{"email": "witness@example.com", ').encode(),
    "the same member twice, escaped": GOOD.replace("{", '{"\\u0065mail": "witness@example.com", ').encode(),
    "the same member twice, deep": b'{"a": {"b": {"c": 1, "c": 2}}}',
    "NaN": with_email("NaN"),
    "Infinity": with_email("Infinity"),
    "-Infinity": with_email("-Infinity"),
    "undefined": with_email("undefined"),
    "hexadecimal": with_email("0x10"),
    "a leading zero": with_email("01"),
    "a plus": with_email("+1"),
    "a bare point": with_email(".5"),
    "True": with_email("True"),
    "single quotes": GOOD.replace('"', "'").encode(),
    "no quotes": b"{email: 1}",
    "a trailing comma": GOOD.replace("}", ",}").encode(),
    "a trailing comma in a list": b"[1,]",
    "a comment": GOOD.encode() + b" // nothing",
    "a block comment": b"/* nothing */" + GOOD.encode(),
    "two values": GOOD.encode() * 2,
    "two values on two lines": GOOD.encode() + b"\n" + GOOD.encode(),
    "something behind": GOOD.encode() + b"x",
    "cut": GOOD.encode()[:-1],
    "not closed": b"[" * 15,
    "a bad escape": with_email('"\\x41"'),
    "a cut escape": with_email('"\\u00"'),
    "depth 21": b"[" * 21 + b"]" * 21,
    "depth 21 of objects": b'{"a":' * 21 + b"1" + b"}" * 21,
    "depth 1,000": b"[" * 1_000 + b"]" * 1_000,
    "depth 100,000": b"[" * 100_000 + b"]" * 100_000,
    "depth 100,000 of objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "depth 500,000, not closed": b"[" * 500_000,
    "a form": b"email=nobody%40example.com&password=x",
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "a pickle": b"\x80\x04\x95\x0c\0\0\0\0\0\0\0\x8c\x08builtins.",
    "JSON in a gzip": gzip.compress(GOOD.encode()),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_body_that_is_no_json_is_malformed(attack: Attack, body: bytes) -> None:
    for target in ROUTES:
        assert_refused(send(attack, body, target=target), 400, "MALFORMED_REQUEST")


INVALID = {
    "null": b"null",
    "true": b"true",
    "a number": b"7",
    "a text": b'"witness@example.com"',
    "a list": b"[]",
    "the object in a list": f"[{GOOD}]".encode(),
    "empty object": b"{}",
    "depth 20": b"[" * 20 + b"]" * 20,
    "depth 20 inside": b'{"email":' + b"[" * 19 + b"]" * 19 + b"}",
    "NUL escaped": with_email('"a\\u0000b"'),
    "NUL in a name": b'{"a\\u0000b": 1}',
    "NUL deep": b'{"email": [{"a": ["\\u0000"]}]}',
    "a long number": with_email("1" + "0" * 4000),
    "a longer number": with_email("1" + "0" * 5000),
    "1e999": with_email("1e999"),
    "-1e999": with_email("-1e999"),
    "1e-999": with_email("1e-999"),
    "a long fraction": with_email("0." + "3" * 100_000),
    "a list of 200,000": b"[" + b"1," * 200_000 + b"1]",
    "a member of 200,000": with_email("[" + "1," * 200_000 + "1]"),
    "an object of 50,000": json.dumps({f"m{number}": number for number in range(50_000)}).encode(),
    "an object of lists": json.dumps({f"m{number}": [] for number in range(50)}).encode(),
    "blanks around": b" " * 500_000 + b"{}" + b" " * 500_000,
}


@pytest.mark.parametrize("body", INVALID.values(), ids=INVALID.keys())
def test_json_of_another_shape_is_invalid(attack: Attack, body: bytes) -> None:
    for target in ROUTES:
        answer = send(attack, body, target=target)
        assert_refused(answer, 400, "VALIDATION_ERROR")
        assert len(answer.body) < 16_384


OTHER_TYPES = {
    "a form": ["Content-Type: application/x-www-form-urlencoded"],
    "multipart": ["Content-Type: multipart/form-data; boundary=x"],
    "multipart without a boundary": ["Content-Type: multipart/form-data"],
    "plain text": ["Content-Type: text/plain"],
    "text/json": ["Content-Type: text/json"],
    "a problem": ["Content-Type: application/problem+json"],
    "JSON Patch": ["Content-Type: application/json-patch+json"],
    "JSON lines": ["Content-Type: application/jsonl"],
    "XML": ["Content-Type: application/xml"],
    "any": ["Content-Type: */*"],
    "of no form": ["Content-Type: json"],
    "empty": ["Content-Type:"],
    "none": ["X-Nothing: at all"],
    "UTF-16": ["Content-Type: application/json; charset=utf-16"],
    "UTF-7": ["Content-Type: application/json; charset=utf-7"],
    "Latin-1": ['Content-Type: application/json; charset="iso-8859-1"'],
    "a charset of no kind": ["Content-Type: application/json; charset=../../etc/passwd"],
    "in a list": ["Content-Type: text/plain, application/json"],
    "JSON first": ["Content-Type: application/json, text/plain"],
    "gzip": [JSON, "Content-Encoding: gzip"],
    "deflate": [JSON, "Content-Encoding: deflate"],
    "br": [JSON, "Content-Encoding: br"],
    "an encoding of no kind": [JSON, "Content-Encoding: rot13"],
    "identity and gzip": [JSON, "Content-Encoding: identity, gzip"],
}


@pytest.mark.parametrize("lines", OTHER_TYPES.values(), ids=OTHER_TYPES.keys())
def test_another_media_type_is_refused_before_the_body_is_looked_at(attack: Attack, lines: list[str]) -> None:
    for body in (GOOD.encode(), b"{", gzip.compress(GOOD.encode())):
        assert_refused(send(attack, body, *lines), 415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_body_that_would_unpack_to_a_gigabyte_is_not_unpacked(attack: Attack) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(64)) + packer.flush()
    assert_refused(send(attack, bomb, JSON, "Content-Encoding: gzip"), 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "line",
    [
        "Content-Type: APPLICATION/JSON",
        "Content-Type: application/json; charset=UTF-8",
        'Content-Type: application/json;charset="utf-8"',
        "Content-Type: application/json; version=1; q=0",
    ],
)
def test_json_by_any_other_spelling_is_read(attack: Attack, line: str) -> None:
    assert_refused(send(attack, GOOD.encode(), line), 401, "INVALID_CREDENTIALS")


def test_two_media_types_are_never_both_believed(attack: Attack) -> None:
    answer = send(attack, GOOD.encode(), JSON, "Content-Type: text/plain")
    assert answer.status in (400, 415)


@pytest.mark.parametrize("accept", ["text/html", "application/xml, text/plain", "application/json;q=0", "image/*"])
def test_who_accepts_no_json_is_told_in_json(attack: Attack, accept: str) -> None:
    answer = attack.request("GET", "/api/auth/me", f"Accept: {accept}")
    assert_refused(answer, 406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    "accept",
    [
        "*/*;q=" + "9" * 1000,
        "a/b;" * 1000,
        ",,,,",
        "application/json;q=NaN",
        "\u00e4/\u00f6",
        '"',
        "application/json;q=-1",
    ],
    ids=["a long q", "many parameters", "commas", "q NaN", "not ASCII", "a quote", "q negative"],
)
def test_an_accept_of_no_form_is_no_fault(attack: Attack, accept: str) -> None:
    assert attack.request("GET", "/api/auth/me", f"Accept: {accept}").status in (401, 406)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_with_a_list_for_each_member_is_invalid(attack: Attack, method: str) -> None:
    ann = attack.signed_in()
    document = {"username": ["x.y"], "email": {"a": 1}, "role": ["admin"], "is_active": "false"}
    answer = attack.call(method, f"/api/users/{ann.id}", document, ann.access_token)
    assert_refused(answer, 400, "VALIDATION_ERROR")
    assert {fault["pointer"] for fault in answer.json()["errors"]} >= {f"/{name}" for name in document}


@pytest.mark.parametrize("value", [0, 1, "true", "false", None, "", [], 1.0], ids=repr)
def test_what_is_nearly_a_boolean_is_none(attack: Attack, value: object) -> None:
    root, ann = attack.signed_in(role="admin"), attack.member()
    answer = attack.call("PATCH", f"/api/users/{ann.id}", {"is_active": value}, root.access_token)
    assert_refused(answer, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("value", ["Admin", "ADMIN", "admin ", "superuser", "", None, True, 1, ["admin"]], ids=repr)
def test_what_is_nearly_a_role_is_none(attack: Attack, value: object) -> None:
    root, ann = attack.signed_in(role="admin"), attack.member()
    answer = attack.call("PATCH", f"/api/users/{ann.id}", {"role": value}, root.access_token)
    assert_refused(answer, 400, "VALIDATION_ERROR")
