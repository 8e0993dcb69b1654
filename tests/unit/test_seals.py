"""Seals: what nobody else can make, change, or put to another purpose."""

from __future__ import annotations

import base64
import hmac
import re
import string

import pytest
from service.seals import TAG_BYTES, Seals

OLD, NEW = b"o" * 32, b"n" * 32
SEALS = Seals([NEW])
CONTENTS = [b"", b"x", b"ab", b"abc", bytes(range(256)), "größer".encode(), b"\0\0"]


@pytest.mark.parametrize("content", CONTENTS, ids=repr)
def test_what_was_sealed_is_opened(content: bytes) -> None:
    assert SEALS.open("cursor", SEALS.seal("cursor", content)) == content


@pytest.mark.parametrize("content", CONTENTS, ids=repr)
def test_a_seal_goes_into_a_url_as_it_is(content: bytes) -> None:
    assert re.fullmatch("[A-Za-z0-9_-]+", SEALS.seal("cursor", content))


def test_equal_contents_have_equal_seals() -> None:
    assert SEALS.seal("cursor", b"x") == Seals([NEW]).seal("cursor", b"x")


@pytest.mark.parametrize("purpose", ["", "curso", "cursors", "Cursor", "cursor\0", " cursor"], ids=repr)
def test_a_seal_is_good_for_one_purpose(purpose: str) -> None:
    assert SEALS.open(purpose, SEALS.seal("cursor", b"x")) is None


def test_another_secret_opens_nothing() -> None:
    assert Seals([OLD]).open("cursor", SEALS.seal("cursor", b"x")) is None


def test_no_secret_opens_nothing() -> None:
    assert Seals([]).open("cursor", SEALS.seal("cursor", b"x")) is None


def test_a_former_secret_opens_and_seals_no_more() -> None:
    both = Seals([NEW, OLD])

    assert both.open("cursor", Seals([OLD]).seal("cursor", b"x")) == b"x"
    assert both.seal("cursor", b"x") == SEALS.seal("cursor", b"x")


def test_a_seal_with_any_bit_changed_is_none() -> None:
    packed = base64.urlsafe_b64decode(
        SEALS.seal("cursor", b"content!") + "=="[: -len(SEALS.seal("cursor", b"content!")) % 4]
    )
    for place in range(len(packed) * 8):
        changed = bytearray(packed)
        changed[place // 8] ^= 1 << place % 8
        assert SEALS.open("cursor", base64.urlsafe_b64encode(changed).rstrip(b"=").decode()) is None


def test_a_seal_that_is_cut_or_longer_is_none() -> None:
    sealed = SEALS.seal("cursor", b"content")
    for length in range(len(sealed)):
        assert SEALS.open("cursor", sealed[:length]) is None
    for more in (*string.ascii_letters, "AA", "AAA", "AAAA", sealed):
        assert SEALS.open("cursor", sealed + more) is None
        assert SEALS.open("cursor", more + sealed) is None


@pytest.mark.parametrize("content", [b"", b"x", b"ab"], ids=["one bit pattern", "four", "none"])
def test_a_seal_has_one_spelling(content: bytes) -> None:
    sealed = SEALS.seal("cursor", content)
    others = {sealed[:-1] + letter for letter in string.ascii_letters + string.digits + "-_"} - {sealed}
    others |= {sealed + "=", sealed + "==", sealed + "\n", " " + sealed, sealed[:4] + "\n" + sealed[4:]}
    others |= {sealed[:4] + "=" + sealed[4:]}

    assert [other for other in others if SEALS.open("cursor", other) is not None] == []


def test_the_alphabet_of_plain_base64_is_none_of_ours() -> None:
    found = 0
    for number in range(200):
        sealed = SEALS.seal("cursor", str(number).encode())
        plain = sealed.replace("-", "+").replace("_", "/")
        if plain != sealed:
            found += 1
            assert SEALS.open("cursor", plain) is None
    assert found


@pytest.mark.parametrize("text", ["", "=", "====", "A", "ä", "\ud800", "\0", "a b", "%41", "x" * 10_000], ids=ascii)
def test_what_is_no_seal_is_none(text: str) -> None:
    assert SEALS.open("cursor", text) is None


def test_the_tag_alone_is_none_of_another_content() -> None:
    packed = base64.urlsafe_b64decode(SEALS.seal("cursor", b"abcd") + "====")

    assert SEALS.open("cursor", base64.urlsafe_b64encode(packed[:TAG_BYTES]).rstrip(b"=").decode()) is None


def test_digests_are_long_and_one_for_each_secret() -> None:
    digests = Seals([NEW, OLD]).digests("key", b"x")

    assert [len(digest) for digest in digests] == [32, 32]
    assert digests == (*SEALS.digests("key", b"x"), *Seals([OLD]).digests("key", b"x"))
    assert len(set(digests)) == 2


@pytest.mark.parametrize(
    ("purpose", "content"), [("key", b"y"), ("keys", b"x"), ("ke", b"yx"), ("keyx", b"")], ids=repr
)
def test_digests_differ_by_purpose_and_content(purpose: str, content: bytes) -> None:
    assert SEALS.digests(purpose, content) != SEALS.digests("key", b"x")


def test_a_seal_tells_no_digest_that_is_kept() -> None:
    packed = base64.urlsafe_b64decode(SEALS.seal("key", b"x") + "====")

    assert SEALS.digests("key", b"x")[0] not in packed


def test_the_secret_itself_is_not_the_key() -> None:
    assert SEALS.digests("key", b"x")[0] != hmac.digest(NEW, b"key\0x", "sha256")
