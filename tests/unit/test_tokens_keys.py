"""The codec with keys of other kinds, and with several at once."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from service.config import ConfigurationError
from service.errors import InvalidToken
from service.keys import Algorithm, Key, secret
from service.tokens import Claims, TokenCodec, TokenType, generation, new_jti, next_jti
from tests.support.keys import ALGORITHMS, CLAIMS, NOW, b64, codec, key, pem, public_pem, signed, unb64

PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
"""RFC 7518 §6: what a JWK of a private key or a secret has."""

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
each_pair_of_keys = pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])


def token_of(*keys: Key) -> str:
    return codec(*keys).sign(CLAIMS, TokenType.ACCESS)


def reads(codec: TokenCodec, token: str) -> bool:
    try:
        return codec.read(token, TokenType.ACCESS, NOW) == CLAIMS
    except InvalidToken:
        return False


def header_of(token: str) -> dict[str, str]:
    header: dict[str, str] = unb64(token.split(".", maxsplit=1)[0])
    return header


# Signing


@each_algorithm
def test_what_was_signed_is_read(algorithm: Algorithm) -> None:
    assert reads(codec(key(algorithm)), token_of(key(algorithm)))


@each_algorithm
def test_the_header_names_the_key_and_its_algorithm(algorithm: Algorithm) -> None:
    expected = {"alg": algorithm, "kid": key(algorithm).kid, "typ": "at+jwt"}

    assert header_of(token_of(key(algorithm))) == expected


@each_algorithm
def test_equal_claims_give_equal_bytes(algorithm: Algorithm) -> None:
    assert token_of(key(algorithm)) == token_of(key(algorithm))


def test_the_first_key_signs() -> None:
    keys = codec(key("EdDSA"), key("RS256"), key("HS256"))

    assert keys.signing_kid == key("EdDSA").kid
    assert header_of(keys.sign(CLAIMS, TokenType.REFRESH))["kid"] == key("EdDSA").kid


@each_algorithm
def test_a_stored_pair_is_signed_again_as_it_was(algorithm: Algorithm) -> None:
    before = token_of(key(algorithm))

    rotated = codec(key("EdDSA", "new"), key(algorithm))

    assert rotated.sign(CLAIMS, TokenType.ACCESS, kid=key(algorithm).kid) == before


@pytest.mark.parametrize("kid", [None, "", "gone"])
def test_without_its_key_a_pair_is_signed_by_the_first(kid: str | None) -> None:
    keys = codec(key("EdDSA"), key("HS256"))

    assert keys.sign(CLAIMS, TokenType.ACCESS, kid=kid) == token_of(key("EdDSA"))


def test_a_public_key_signs_nothing() -> None:
    public = key("RS256", public=True)

    assert codec(key("EdDSA"), public).sign(CLAIMS, TokenType.ACCESS, kid=public.kid) == token_of(key("EdDSA"))


@pytest.mark.parametrize("keys", [(), (key("EdDSA", public=True), key("HS256"))], ids=["none", "a public one"])
def test_the_first_key_has_to_be_one_that_signs(keys: tuple[Key, ...]) -> None:
    with pytest.raises(ValueError, match="sign"):
        codec(*keys)


# Reading


@each_algorithm
def test_a_token_outlives_its_key_s_place(algorithm: Algorithm) -> None:
    old, new = key(algorithm, "old"), key("EdDSA", "new")
    token = token_of(old)

    assert reads(codec(old, new), token)  # the new one is listed everywhere,
    assert reads(codec(new, old), token)  # then it signs,
    assert not reads(codec(new), token)  # then the old one is dropped


@each_algorithm
def test_processes_that_rotate_read_each_other_s_tokens(algorithm: Algorithm) -> None:
    before, after = codec(key("HS256"), key(algorithm, "new")), codec(key(algorithm, "new"), key("HS256"))

    assert reads(before, after.sign(CLAIMS, TokenType.ACCESS))
    assert reads(after, before.sign(CLAIMS, TokenType.ACCESS))


@each_pair_of_keys
def test_a_public_key_verifies(algorithm: Algorithm) -> None:
    assert reads(codec(key("HS256"), key(algorithm, public=True)), token_of(key(algorithm)))


@each_algorithm
def test_another_key_of_the_same_kind_is_not_ours(algorithm: Algorithm) -> None:
    ours, other = key(algorithm), key(algorithm, "other")
    forged = signed(header_of(token_of(ours)), unb64(token_of(ours).split(".")[1]), other)

    assert not reads(codec(ours), token_of(other))
    assert not reads(codec(ours), forged)


@pytest.mark.parametrize("named", ALGORITHMS)
@pytest.mark.parametrize("signing", ALGORITHMS)
@pytest.mark.parametrize("said", [*ALGORITHMS, "none", "HS512", "PS256", "RS512", "ES256", "Ed25519"])
def test_a_key_is_used_with_its_own_algorithm_alone(named: Algorithm, signing: Algorithm, said: str) -> None:
    keys = [key(algorithm) for algorithm in ALGORITHMS]
    header = {"alg": said, "kid": key(named).kid, "typ": "at+jwt"}

    token = signed(header, unb64(token_of(key(named)).split(".")[1]), key(signing))

    assert reads(codec(*keys), token) == (named == signing == said)


def spellings(algorithm: Algorithm) -> list[bytes]:
    """What an attacker could take a public key's bytes for."""
    public = key(algorithm, public=True)
    assert not isinstance(public.verifying, bytes)
    written = public_pem(pem("EdDSA" if algorithm == "EdDSA" else "RS256"))
    return [
        written,
        written.strip(),
        public.verifying.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.verifying.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        json.dumps(codec(key(algorithm)).jwks()["keys"][0]).encode(),
        json.dumps(dict(public.jwk or {})).encode(),
        public.kid.encode(),
        b"",
    ]


@each_pair_of_keys
@pytest.mark.parametrize("with_secret", [True, False], ids=["beside a secret", "alone"])
@pytest.mark.parametrize("spelling", range(8))
def test_a_public_key_is_no_secret(algorithm: Algorithm, with_secret: bool, spelling: int) -> None:
    ours = codec(key(algorithm), *([key("HS256")] if with_secret else []))
    header = {"alg": "HS256", "kid": key(algorithm).kid, "typ": "at+jwt"}
    text = f"{b64(json.dumps(header).encode())}.{token_of(key(algorithm)).split('.')[1]}"
    signature = hmac.digest(spellings(algorithm)[spelling], text.encode(), hashlib.sha256)

    assert not reads(ours, f"{text}.{b64(signature)}")


@pytest.mark.parametrize(
    "content",
    [
        public_pem(pem("RS256")).decode(),
        pem("EdDSA").decode(),
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ== ann@example.com",
        json.dumps({"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}),
    ],
    ids=["public key", "private key", "ssh", "jwk"],
)
def test_a_secret_that_stock_libraries_would_not_take_is_refused_at_once(content: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        codec(secret(content, "SECRET_KEY"))

    [line] = refused.value.faults
    assert line.startswith("SECRET_KEY is a key of another kind")
    assert "\n" not in line
    assert content not in line


# Public keys


def test_secrets_have_no_public_part() -> None:
    assert codec(key("HS256"), key("HS256", "b")).jwks() == {"keys": []}


def test_the_public_keys_are_all_there_in_their_order() -> None:
    keys = codec(key("EdDSA"), key("HS256"), key("RS256", public=True)).jwks()["keys"]

    assert [(entry["kid"], entry["alg"], entry["use"]) for entry in keys] == [
        (key("EdDSA").kid, "EdDSA", "sig"),
        (key("RS256").kid, "RS256", "sig"),
    ]
    assert keys[0].keys() == {"kty", "crv", "x", "kid", "use", "alg"}
    assert keys[1].keys() == {"kty", "n", "e", "kid", "use", "alg"}
    assert not any(entry.keys() & PRIVATE_MEMBERS for entry in keys)


@each_pair_of_keys
def test_a_stock_library_verifies_with_the_public_keys(algorithm: Algorithm) -> None:
    keys = jwt.PyJWKSet.from_json(json.dumps(codec(key("EdDSA"), key("RS256")).jwks()))
    token = token_of(key(algorithm))

    payload = jwt.decode(
        token,
        keys[header_of(token)["kid"]],
        algorithms=[algorithm],
        audience="them",
        issuer="us",
        options={"verify_exp": False},
    )

    assert payload["sub"] == "7"


# Generations


def test_a_jti_is_a_random_uuid() -> None:
    jti = new_jti()

    assert (jti.version, jti.variant) == (4, uuid.RFC_4122)
    assert new_jti() != jti


def test_the_next_jti_is_another_random_uuid_of_the_same_generation() -> None:
    jti = new_jti()
    others = {next_jti(jti) for _ in range(200)}

    assert len(others | {jti}) == 201
    assert {(other.version, other.variant) for other in others} == {(4, uuid.RFC_4122)}
    assert {generation(other) for other in others} == {generation(jti)}


def test_a_generation_is_told_from_every_other_and_is_no_jti() -> None:
    jtis = [new_jti() for _ in range(200)]

    assert len({generation(jti) for jti in jtis}) == 200
    assert generation(jtis[0]).bytes == jtis[0].bytes[:8] + bytes(8)
    assert generation(generation(jtis[0])) == generation(jtis[0])
    assert generation(jtis[0]).variant != uuid.RFC_4122


def test_a_token_carries_a_next_jti() -> None:
    claims = Claims(7, CLAIMS.session_id, next_jti(CLAIMS.jti), NOW, CLAIMS.expires_at)

    token = codec(key("HS256")).sign(claims, TokenType.ACCESS)

    assert codec(key("HS256")).read(token, TokenType.ACCESS, NOW).jti == claims.jti
