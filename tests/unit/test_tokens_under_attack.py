"""Whatever is sent as a token: only refusals of ours leave the codec, and nothing is accepted that we did not sign.

100,000 mutated tokens, from the same seeds in every run, and what hypothesis thinks of. What is signed with the right
key and still not as we issue it stands for a bug of ours, or of whoever else has the key.
"""

from __future__ import annotations

import base64
import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service.errors import InvalidToken, TokenExpired, WrongTokenType
from service.keys import Key
from service.tokens import Claims, TokenType
from tests.support.keys import ALGORITHMS, CLAIMS, NOW, b64, codec, key, signed, signed_bytes, unb64

pytestmark = pytest.mark.no_cover
"""Measuring each of so many readings would take four times as long as they do; what they run, others run as well."""

OURS = codec(*(key(algorithm) for algorithm in ALGORITHMS))
MUTATIONS = int(os.environ.get("MUTATIONS", "100000"))
NAMES = ["iss", "aud", "sub", "jti", "sid", "iat", "nbf", "exp"]


@dataclass(frozen=True)
class Original:
    """A good token, and what it is made of."""

    token: str
    token_type: TokenType
    key: Key

    @property
    def parts(self) -> list[str]:
        return self.token.split(".")

    @property
    def header(self) -> dict[str, Any]:
        return dict(unb64(self.parts[0]))

    @property
    def payload(self) -> dict[str, Any]:
        return dict(unb64(self.parts[1]))


ORIGINALS = [
    Original(OURS.sign(CLAIMS, token_type, kid=key(algorithm).kid), token_type, key(algorithm))
    # Most with the secret: the others' signatures cost ten times as much.
    for algorithm in ("HS256", "HS256", "HS256", "HS256", "HS256", "EdDSA", "RS256")
    for token_type in TokenType
]
GOOD = {original.token for original in ORIGINALS}


def read(token: str) -> list[tuple[TokenType, Claims]]:
    """Read a token as each type. Anything but our refusals is a bug, and ends the test."""
    accepted = []
    for token_type in TokenType:
        with suppress(InvalidToken, TokenExpired, WrongTokenType):
            accepted.append((token_type, OURS.read(token, token_type, NOW)))
    return accepted


def assert_as_we_issue_it(token: str) -> None:
    """Check that what is accepted is, but for unknown claims and `nbf`, what we sign for the claims that were read."""
    for token_type, claims in read(token):
        header, payload = (unb64(part) for part in token.split(".")[:2])
        again = OURS.sign(claims, token_type, kid=header["kid"]).split(".")
        assert exactly(header) == exactly(unb64(again[0]))
        known = {name: payload[name] for name in NAMES}
        assert type(known["nbf"]) is int
        assert exactly(known | {"nbf": known["iat"]}) == exactly(unb64(again[1]))


def exactly(value: object) -> str:
    """JSON tells 1 from 1.0 and true, which are equal in Python."""
    return json.dumps(value, sort_keys=True)


# Mutations. Each gives a token that must not be accepted.

Mutate = Callable[[random.Random, Original], str]
LETTERS = "ABCXYZabcxyz019-_.=+/ \t\r\n\0%~é\xff\u0661\u2028\ud800\U0001f511"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def letters(source: random.Random, original: Original) -> str:
    token = list(original.token)
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(token))
        match source.randrange(4):
            case 0:
                token[at] = source.choice(LETTERS)
            case 1:
                token.insert(at, source.choice(LETTERS))
            case 2:
                del token[at]
            case _:
                other = source.randrange(len(token))
                token[at], token[other] = token[other], token[at]
    return "".join(token)


def letters_of_the_alphabet(source: random.Random, original: Original) -> str:
    token = list(original.token)
    for _ in range(source.randint(1, 4)):
        token[source.randrange(len(token))] = source.choice(ALPHABET)
    return "".join(token)


def bits(source: random.Random, original: Original) -> str:
    parts = original.parts
    at = source.randrange(3)
    content = bytearray(base64.urlsafe_b64decode(parts[at] + "=="))
    for _ in range(source.randint(1, 3)):
        content[source.randrange(len(content))] ^= 1 << source.randrange(8)
    parts[at] = b64(bytes(content))
    return ".".join(parts)


def segments(source: random.Random, original: Original) -> str:
    parts = original.parts
    other = source.choice(ORIGINALS).parts
    match source.randrange(6):
        case 0:
            parts[source.randrange(3)] = ""
        case 1:
            del parts[source.randrange(3)]
        case 2:
            parts.insert(source.randrange(4), source.choice(other))
        case 3:
            source.shuffle(parts)
        case 4:
            at = source.randrange(3)
            parts[at] = parts[at][: source.randrange(len(parts[at]))]
        case _:
            at = source.randrange(3)
            parts[at] = other[source.randrange(3)]
    return source.choice([".", ".", ".", ".", "..", ",", " ", ""]).join(parts)


def alphabets(source: random.Random, original: Original) -> str:
    parts = original.parts
    at = source.randrange(3)
    content = base64.urlsafe_b64decode(parts[at] + "==")
    part = parts[at]
    cut = source.randrange(len(part))
    parts[at] = source.choice(
        [
            part + "=" * source.randint(1, 4),
            base64.b64encode(content).decode(),
            base64.b64encode(content).decode().rstrip("=") + source.choice("+/"),
            base64.b32encode(content).decode(),
            base64.b85encode(content).decode(),
            content.hex(),
            base64.encodebytes(content).decode(),
            part[:cut] + source.choice(["\n", " ", "\r\n", "\t", "\0", "=", "%2E", "\ufeff"]) + part[cut:],
            part[:-1] + source.choice(ALPHABET),  # the last bits, which some readers ignore
            part + source.choice(ALPHABET),
            part.swapcase(),
            content.decode("latin-1"),
        ]
    )
    return ".".join(parts)


VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 7, 2**31, 2**36, 2**63, 10**30, 1.5, 1e308, float("nan"), float("inf"), "", "7", "0",
    "07", "+7", " 7", "7 ", "7\n", "7.0", "1e3", "\u0667", "\uff17", "9" * 19, "9" * 400, "us", "them", "US", "us\0",
    "HS256", "EdDSA", "RS256", "none", "at+jwt", "rt+jwt", "AT+JWT", "application/at+jwt", "JWT", "\ud800", [], ["us"],
    ["them"], {}, {"a": 1}, [[[[]]]], str(CLAIMS.jti), str(CLAIMS.jti).upper(), CLAIMS.jti.hex,
    f"{{{CLAIMS.jti}}}", f"urn:uuid:{CLAIMS.jti}", int(NOW.timestamp()), int(NOW.timestamp()) + 31,
    float(NOW.timestamp()) + 60, str(int(NOW.timestamp()) + 60), *(key(algorithm).kid for algorithm in ALGORITHMS),
]  # fmt: skip


def changed(source: random.Random, document: dict[str, Any], more: list[str]) -> dict[str, Any]:
    """Return the document with one to three members changed, renamed, added or gone."""
    document = dict(document)
    for _ in range(source.randint(1, 3)):
        name = source.choice([*document, *more])
        match source.randrange(5):
            case 0:
                document.pop(name, None)
            case 1:
                document[source.choice([name.upper(), name + " ", name + "\0", "x" + name])] = document.pop(name, 1)
            case 2 if isinstance(document.get(name), int):
                document[name] += source.choice([-(10**6), -900, -30, -1, 1, 29, 30, 31, 900, 10**6, 0.5])
            case _:
                document[name] = source.choice(VALUES)
    return document


HEADER_MORE = ["crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc", "cty"]
PAYLOAD_MORE = ["role", "scope", "client_id"]


def unsigned_headers(source: random.Random, original: Original) -> str:
    header = json.dumps(changed(source, original.header, HEADER_MORE), separators=(",", ":"))
    return ".".join([b64(header.encode()), *original.parts[1:]])


def unsigned_payloads(source: random.Random, original: Original) -> str:
    payload = json.dumps(changed(source, original.payload, PAYLOAD_MORE), separators=(",", ":"))
    return ".".join([original.parts[0], b64(payload.encode()), original.parts[2]])


def keys_of_others(source: random.Random, original: Original) -> str:
    other = key(source.choice(("HS256", "HS256", "HS256", "EdDSA")), "other")
    header = original.header | source.choice([{}, {"alg": other.algorithm}, {"alg": other.algorithm, "kid": other.kid}])
    return signed(header, original.payload, other)


FORGERIES = [
    letters, letters_of_the_alphabet, bits, segments, alphabets, unsigned_headers, unsigned_payloads, keys_of_others,
]  # fmt: skip


def test_what_was_not_mutated_is_accepted() -> None:
    for original in ORIGINALS:
        assert read(original.token) == [(original.token_type, CLAIMS)]


@pytest.mark.parametrize("mutate", FORGERIES, ids=lambda mutate: mutate.__name__)
def test_no_mutated_token_is_accepted(mutate: Mutate) -> None:
    source = random.Random(f"20260102 {mutate.__name__}")
    for _ in range(MUTATIONS // 10):
        token = mutate(source, source.choice(ORIGINALS))
        assert token in GOOD or not read(token), token


def signed_headers(source: random.Random, original: Original) -> str:
    return signed(changed(source, original.header, HEADER_MORE), original.payload, original.key)


def signed_payloads(source: random.Random, original: Original) -> str:
    return signed(original.header, changed(source, original.payload, PAYLOAD_MORE), original.key)


@pytest.mark.parametrize("mutate", [signed_headers, signed_payloads], ids=lambda mutate: mutate.__name__)
def test_of_mutated_tokens_signed_with_our_key_only_those_as_we_issue_them_are_accepted(mutate: Mutate) -> None:
    source = random.Random(f"20260102 {mutate.__name__}")
    for _ in range(MUTATIONS // 10):
        assert_as_we_issue_it(mutate(source, source.choice(ORIGINALS)))


# Whatever hypothesis thinks of

any_text = (
    st.text()
    | st.text("abc.=-_\0\ud800")
    | st.binary().map(lambda content: content.decode("latin-1"))
    | st.text(st.characters(categories=["Cs"]))
    | st.lists(st.binary(max_size=40).map(b64), min_size=3, max_size=3).map(".".join)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
each_key = st.sampled_from([key(algorithm) for algorithm in ALGORITHMS])
thorough = settings(max_examples=400, deadline=None)


@given(any_text)
@thorough
def test_any_text_is_refused_and_never_a_bug(token: str) -> None:
    assert not read(token)


@given(any_text, st.integers(0, 2), st.sampled_from(ORIGINALS))
@thorough
def test_any_text_in_a_good_token_is_refused_and_never_a_bug(text: str, at: int, original: Original) -> None:
    parts = original.parts
    parts[at] = text
    assert not read(".".join(parts))


@given(
    header=st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "zip"]), json_values, max_size=3),
    payload=st.dictionaries(st.sampled_from(NAMES), json_values, max_size=3),
    absent=st.sets(st.sampled_from([*NAMES, "alg", "typ", "kid"]), max_size=1),
    original=st.sampled_from(ORIGINALS),
)
@thorough
def test_anything_signed_with_our_key_is_as_we_issue_it_or_refused(
    header: dict[str, Any], payload: dict[str, Any], absent: set[str], original: Original
) -> None:
    whole_header, whole_payload = (
        {name: value for name, value in (document | changes).items() if name not in absent}
        for document, changes in ((original.header, header), (original.payload, payload))
    )
    assert_as_we_issue_it(signed(whole_header, whole_payload, original.key))


@given(json_values, json_values, each_key)
@thorough
def test_any_json_signed_with_our_key_is_refused(header: object, payload: object, key: Key) -> None:
    assert not read(signed(header, payload, key))


@given(json_values, st.sampled_from(ORIGINALS))
@thorough
def test_any_payload_signed_with_our_key_is_refused(payload: object, original: Original) -> None:
    assert not read(signed(original.header, payload, original.key))


@given(st.binary(max_size=200), st.binary(max_size=200), st.booleans(), st.sampled_from(ORIGINALS))
@thorough
def test_any_bytes_signed_with_our_key_are_refused(
    header: bytes, payload: bytes, good_header: bool, original: Original
) -> None:
    content = json.dumps(original.header).encode() if good_header else header

    assert not read(signed_bytes(content, payload, original.key))


HARD = {
    "deep list": b"[" * 1500,
    "deep object": b'{"a":' * 400,
    "long number": b"1" * 2000,
    "long number in an object": b'{"kid":' + b"1" * 2000 + b"}",
    "utf-16": b"\xff\xfe[",
}


@pytest.mark.parametrize("part", HARD.values(), ids=HARD.keys())
@pytest.mark.parametrize("at", [0, 1], ids=["header", "payload"])
def test_a_part_that_is_hard_to_parse_is_refused(part: bytes, at: int) -> None:
    original = ORIGINALS[0]
    parts = [json.dumps(original.header).encode(), json.dumps(original.payload).encode()]
    parts[at] = part

    assert not read(signed_bytes(parts[0], parts[1], original.key))
