from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jwt
import pytest
from service.errors import InvalidToken, ServiceError, TokenExpired, WrongTokenType
from service.keys import secret
from service.tokens import TOKEN_LIMIT_BYTES, Claims, TokenCodec, TokenType

SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEF"
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
SECONDS = int(NOW.timestamp())
CLAIMS = Claims(
    user_id=7,
    session_id=uuid.UUID("0b0e5b9e-6a51-4f43-9a6f-6d1a0f3f5a10"),
    jti=uuid.UUID("5f0c8a34-3a0d-4c0a-8c6b-1c9f3d6c7e21"),
    issued_at=NOW,
    expires_at=NOW + datetime.timedelta(seconds=900),
)


def codec(key: str = SECRET) -> TokenCodec:
    return TokenCodec(
        [secret(key, "SECRET_KEY")], issuer="us", audience="them", access_seconds=900, refresh_seconds=3600
    )


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=="))


GOOD = codec().sign(CLAIMS, TokenType.ACCESS)
HEADER: dict[str, Any] = unb64(GOOD.split(".")[0])
PAYLOAD: dict[str, Any] = unb64(GOOD.split(".")[1])


def signed(payload: object, header: object = None, key: str = SECRET) -> str:
    """A token with a right HMAC over anything."""
    whole = json.dumps(HEADER if header is None else header)
    return signed_bytes(whole.encode(), json.dumps(payload).encode(), key=key)


def signed_bytes(header: bytes, payload: bytes, key: str = SECRET) -> str:
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(hmac.digest(key.encode(), text.encode(), hashlib.sha256))}"


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in PAYLOAD.items() if key != name}


def read(token: str, token_type: TokenType = TokenType.ACCESS, now: datetime.datetime = NOW) -> Claims:
    return codec().read(token, token_type, now)


@pytest.mark.parametrize("token_type", list(TokenType), ids=lambda kind: kind.name.lower())
def test_what_was_signed_is_read(token_type: TokenType) -> None:
    assert read(codec().sign(CLAIMS, token_type), token_type) == CLAIMS


def test_equal_claims_give_equal_bytes() -> None:
    assert codec().sign(CLAIMS, TokenType.ACCESS) == GOOD


def test_a_stock_library_verifies_with_the_bytes_of_the_secret() -> None:
    payload = jwt.decode(
        GOOD, SECRET.encode(), algorithms=["HS256"], audience="them", issuer="us", options={"verify_exp": False}
    )

    assert payload["sub"] == "7"
    assert set(payload) == {"iss", "aud", "sub", "jti", "sid", "iat", "nbf", "exp"}


@pytest.mark.parametrize("name", ["iat", "nbf", "exp"])
def test_times_are_integers(name: str) -> None:
    assert type(PAYLOAD[name]) is int


def test_the_header_names_type_and_key() -> None:
    assert HEADER.keys() == {"alg", "typ", "kid"}
    assert (HEADER["alg"], HEADER["typ"]) == ("HS256", "at+jwt")


def test_the_key_id_does_not_show_the_key() -> None:
    assert SECRET not in HEADER["kid"]


@pytest.mark.parametrize(
    ("token_type", "other"),
    [(TokenType.ACCESS, TokenType.REFRESH), (TokenType.REFRESH, TokenType.ACCESS)],
    ids=["refresh for access", "access for refresh"],
)
def test_one_type_is_not_the_other(token_type: TokenType, other: TokenType) -> None:
    with pytest.raises(WrongTokenType):
        read(codec().sign(CLAIMS, other), token_type)


@pytest.mark.parametrize("seconds", [900, 901, 10**6], ids=["at exp", "one later", "long after"])
def test_exp_has_no_tolerance(seconds: int) -> None:
    with pytest.raises(TokenExpired):
        read(GOOD, now=NOW + datetime.timedelta(seconds=seconds))


def test_a_token_is_good_until_its_last_second() -> None:
    assert read(GOOD, now=NOW + datetime.timedelta(seconds=899.9)) == CLAIMS


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize("ahead", [1, 30])
def test_a_clock_may_be_a_little_ahead(name: str, ahead: int) -> None:
    assert read(signed(PAYLOAD | {name: SECONDS + ahead})).user_id == 7


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_a_clock_may_not_be_further_ahead(name: str) -> None:
    with pytest.raises(InvalidToken):
        read(signed(PAYLOAD | {name: SECONDS + 31}))


def test_unknown_claims_are_ignored() -> None:
    assert read(signed(PAYLOAD | {"role": "admin", "scope": ["x"], "deep": {"a": [1]}})) == CLAIMS


@pytest.mark.parametrize(
    "value",
    [None, "1", 1.5, float(SECONDS + 60), True, 0, -1, 10**30, 2**63, [], {}, float("nan"), float("inf")],
    ids=repr,
)
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_a_time_that_is_no_whole_number_near_now_is_invalid(name: str, value: object) -> None:
    with pytest.raises(InvalidToken):
        read(signed(PAYLOAD | {name: value}))


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "jti", "sid", "iat", "nbf", "exp"])
def test_a_missing_claim_is_invalid(name: str) -> None:
    with pytest.raises(InvalidToken):
        read(signed(without(name)))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"sub": 7}, id="sub an integer"),
        pytest.param({"sub": "0"}, id="sub 0"),
        pytest.param({"sub": "07"}, id="sub with a leading zero"),
        pytest.param({"sub": "-7"}, id="sub negative"),
        pytest.param({"sub": " 7"}, id="sub with a space"),
        pytest.param({"sub": "7\n"}, id="sub with a line break"),
        pytest.param({"sub": "\u0667"}, id="sub in other digits"),
        pytest.param({"sub": str(2**63)}, id="sub over int64"),
        pytest.param({"sub": "9" * 400}, id="sub huge"),
        pytest.param({"sub": "ann"}, id="sub a name"),
        pytest.param({"sub": "\ud800"}, id="sub a surrogate"),
        pytest.param({"sub": None}, id="sub null"),
        pytest.param({"sub": ["7"]}, id="sub a list"),
        pytest.param({"iss": "somebody"}, id="another issuer"),
        pytest.param({"iss": ["us"]}, id="issuer a list"),
        pytest.param({"aud": "somebody"}, id="another audience"),
        pytest.param({"aud": None}, id="audience null"),
        pytest.param({"jti": str(CLAIMS.jti).upper()}, id="jti in upper case"),
        pytest.param({"jti": CLAIMS.jti.hex}, id="jti without hyphens"),
        pytest.param({"jti": f"{{{CLAIMS.jti}}}"}, id="jti in braces"),
        pytest.param({"jti": f"urn:uuid:{CLAIMS.jti}"}, id="jti an urn"),
        pytest.param({"jti": "x"}, id="jti no uuid"),
        pytest.param({"jti": 5}, id="jti a number"),
        pytest.param({"sid": str(CLAIMS.session_id).upper()}, id="sid in upper case"),
        pytest.param({"sid": ""}, id="sid empty"),
        pytest.param({"exp": SECONDS + 901}, id="longer than configured"),
        pytest.param({"exp": SECONDS + 1, "iat": SECONDS + 1, "nbf": SECONDS}, id="no time at all"),
        pytest.param({"exp": SECONDS + 1, "iat": SECONDS + 2}, id="expires before it was issued"),
    ],
)
def test_a_claim_that_is_not_as_we_issue_it_is_invalid(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidToken):
        read(signed(PAYLOAD | changes))


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({**HEADER, "x5u": "http://evil.example.com"}, id="unknown member"),
        pytest.param({**HEADER, "crit": ["exp"]}, id="crit"),
        pytest.param({**HEADER, "b64": False}, id="b64 false"),
        pytest.param({**HEADER, "b64": True}, id="b64 true"),
        pytest.param({**HEADER, "jwk": {"kty": "oct", "k": "AA"}}, id="jwk"),
        pytest.param({**HEADER, "kid": "0" * 16}, id="another kid"),
        pytest.param({**HEADER, "kid": None}, id="kid null"),
        pytest.param({**HEADER, "kid": ["x"]}, id="kid a list"),
        pytest.param({"alg": "HS256", "typ": "at+jwt"}, id="no kid"),
        pytest.param({"alg": "HS256", "kid": HEADER["kid"]}, id="no typ"),
        pytest.param({**HEADER, "typ": "JWT"}, id="typ JWT"),
        pytest.param({**HEADER, "typ": "AT+JWT"}, id="typ in upper case"),
        pytest.param({**HEADER, "typ": None}, id="typ null"),
        pytest.param({**HEADER, "typ": 1}, id="typ a number"),
        pytest.param({**HEADER, "typ": ["at+jwt"]}, id="typ a list"),
        pytest.param({**HEADER, "typ": {"at+jwt": 1}}, id="typ an object"),
        pytest.param({**HEADER, "alg": "none"}, id="alg none"),
        pytest.param({**HEADER, "alg": "None"}, id="alg None"),
        pytest.param({**HEADER, "alg": "HS512"}, id="another alg"),
        pytest.param({**HEADER, "alg": "RS256"}, id="an asymmetric alg"),
        pytest.param({**HEADER, "alg": ["HS256"]}, id="alg a list"),
        pytest.param({**HEADER, "alg": None}, id="alg null"),
        pytest.param([], id="a list"),
        pytest.param("x", id="a text"),
    ],
)
def test_a_header_that_is_not_as_we_issue_it_is_invalid(header: object) -> None:
    with pytest.raises(InvalidToken):
        read(signed(PAYLOAD, header))


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"null", b"7", b"{", b"\xff", b"[" * 1000, b'{"a":' * 500, b'"\\ud800"', b"1" * 2500],
    ids=["empty", "list", "null", "number", "cut", "not utf-8", "deep list", "deep object", "surrogate", "long number"],
)
def test_a_payload_that_is_no_object_is_invalid(payload: bytes) -> None:
    with pytest.raises(InvalidToken):
        read(signed_bytes(json.dumps(HEADER).encode(), payload))


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda: signed(PAYLOAD, key="another key of at least thirty-two bytes"), id="other key"),
        pytest.param(lambda: codec("x" * 40).sign(CLAIMS, TokenType.ACCESS), id="other codec"),
        pytest.param(lambda: signed(PAYLOAD, key=""), id="empty key"),
        pytest.param(lambda: GOOD.rsplit(".", 1)[0] + ".", id="no signature"),
        pytest.param(lambda: GOOD.rsplit(".", 1)[0], id="two parts"),
        pytest.param(lambda: GOOD + ".x", id="four parts"),
        pytest.param(lambda: ".".join((b64(b'{"alg":"none"}'), GOOD.split(".")[1], "")), id="alg none unsigned"),
        pytest.param(lambda: GOOD + "=", id="one = appended"),
        pytest.param(lambda: GOOD + "==", id="two = appended"),
        pytest.param(lambda: GOOD.replace(".", "=.", 1), id="= after the header"),
        pytest.param(lambda: GOOD + "\n", id="line break appended"),
        pytest.param(lambda: " " + GOOD, id="space before"),
        pytest.param(lambda: GOOD + "\0", id="U+0000 appended"),
        pytest.param(lambda: GOOD + "\ud800", id="surrogate appended"),
        pytest.param(lambda: GOOD.replace("-", "+").replace("_", "/") + "+", id="plain base64"),
        pytest.param(lambda: "", id="empty"),
        pytest.param(lambda: "..", id="dots"),
        pytest.param(lambda: "a.b.c", id="letters"),
        pytest.param(lambda: "é.é.é", id="not ascii"),
        pytest.param(lambda: GOOD + "A" * TOKEN_LIMIT_BYTES, id="too long"),
    ],
)
def test_a_forged_token_is_invalid(forge: Callable[[], str]) -> None:
    with pytest.raises(InvalidToken):
        read(forge())


def test_the_last_bits_of_the_signature_have_one_spelling() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    accepted = []
    for letter in alphabet:
        with suppress(InvalidToken):
            read(GOOD[:-1] + letter)
            accepted.append(letter)

    assert accepted == [GOOD[-1]]


def test_a_token_at_the_limit_of_length_is_read() -> None:
    padding = 0
    while len(token := signed(PAYLOAD | {"x": "x" * padding})) < TOKEN_LIMIT_BYTES - 3:
        padding += 1

    assert read(token) == CLAIMS


def test_a_token_over_the_limit_of_length_is_invalid() -> None:
    with pytest.raises(InvalidToken):
        read(signed(PAYLOAD | {"x": "x" * TOKEN_LIMIT_BYTES}))


REFRESH_HEADER = {**HEADER, "typ": "rt+jwt"}


@pytest.mark.parametrize(
    ("token", "refusal"),
    [
        pytest.param(
            signed(PAYLOAD, REFRESH_HEADER, "another key of at least thirty-two bytes"),
            InvalidToken,
            id="signature before typ",
        ),
        pytest.param(signed(PAYLOAD | {"exp": SECONDS}, REFRESH_HEADER), WrongTokenType, id="typ before exp"),
        pytest.param(signed(PAYLOAD | {"exp": SECONDS, "iss": "x"}), TokenExpired, id="exp before iss"),
        pytest.param(signed(PAYLOAD | {"exp": SECONDS, "iat": "x"}), TokenExpired, id="exp before iat"),
        pytest.param(signed(without("nbf") | {"exp": SECONDS}), TokenExpired, id="exp before nbf"),
        pytest.param(signed(PAYLOAD | {"exp": SECONDS, "sub": 7}), TokenExpired, id="exp before sub"),
    ],
)
def test_a_token_is_refused_in_the_contracts_order(token: str, refusal: type[ServiceError]) -> None:
    with pytest.raises(refusal):
        read(token)


def test_refresh_tokens_may_live_longer_than_access_tokens() -> None:
    claims = Claims(7, CLAIMS.session_id, CLAIMS.jti, NOW, NOW + datetime.timedelta(seconds=3600))

    assert read(codec().sign(claims, TokenType.REFRESH), TokenType.REFRESH) == claims
