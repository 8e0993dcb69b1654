"""`GET /.well-known/jwks.json`, and what a stock library makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from tests.conftest import SECRET
from tests.support.accounts import Accounts
from tests.support.instances import Serve
from tests.support.keys import key, pem, public_pem
from tests.support.problems import assert_problem

PATH = "/.well-known/jwks.json"
PUBLIC_MEMBERS = {"EdDSA": {"kty", "crv", "x", "kid", "use", "alg"}, "RS256": {"kty", "n", "e", "kid", "use", "alg"}}
PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
"""RFC 7518 §6: what a JWK of a private key or a secret has."""
REQUIRED: Any = {"require": ["iss", "aud", "sub", "jti", "sid", "iat", "nbf", "exp"]}


@pytest.fixture
def both(tmp_path: Path) -> str:
    """TOKEN_KEYS of a process that has every kind of key."""
    (tmp_path / "a.pem").write_bytes(pem("EdDSA"))
    (tmp_path / "b.pem").write_bytes(public_pem(pem("RS256")))
    return f"{tmp_path / 'a.pem'},SECRET_KEY,{tmp_path / 'b.pem'}"


async def test_a_secret_is_not_shown(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH)

    assert (answer.status_code, answer.json()) == (200, {"keys": []})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=300"


async def test_the_public_keys_are_listed_and_nothing_else_of_them(serve: Serve, both: str) -> None:
    async with serve(token_keys=both) as instance:
        answer = await instance.client.get(PATH)

    keys = answer.json()["keys"]
    assert [(entry["alg"], entry["kid"]) for entry in keys] == [
        ("EdDSA", key("EdDSA").kid),
        ("RS256", key("RS256").kid),
    ]
    for entry in keys:
        assert entry.keys() == PUBLIC_MEMBERS[entry["alg"]]
        assert entry["use"] == "sig"
    assert SECRET not in answer.text


async def test_it_needs_no_database(serve: Serve, both: str) -> None:
    async with serve("postgresql://postern:pw@127.0.0.1:1/postern", token_keys=both) as instance:
        assert len((await instance.client.get(PATH)).json()["keys"]) == 2


async def test_it_is_only_read(client: httpx.AsyncClient) -> None:
    assert (await client.head(PATH)).status_code == 200
    assert_problem(await client.post(PATH), 405, "METHOD_NOT_ALLOWED")


async def test_the_front_page_links_to_it(client: httpx.AsyncClient) -> None:
    assert (await client.get("/")).json()["links"]["jwks"] == PATH


@pytest.mark.parametrize("algorithm", ["EdDSA", "RS256"])
async def test_a_stock_library_verifies_with_it(
    serve: Serve, database: asyncpg.Connection, accounts: Accounts, tmp_path: Path, algorithm: str
) -> None:
    (tmp_path / "a.pem").write_bytes(pem("EdDSA" if algorithm == "EdDSA" else "RS256"))
    ann = await accounts.add("ann")
    async with serve(token_keys=str(tmp_path / "a.pem")) as instance:
        signed_in = await Accounts(instance.client, database).log_in(ann)
        keys = jwt.PyJWKSet.from_json((await instance.client.get(PATH)).text)

    for token, token_type in ((signed_in.access_token, "at+jwt"), (signed_in.refresh_token, "rt+jwt")):
        header = jwt.get_unverified_header(token)
        payload = jwt.decode(
            token,
            keys[header["kid"]],
            algorithms=[algorithm],
            audience="postern",
            issuer="postern",
            options=REQUIRED,
        )
        assert (header["typ"], header["alg"]) == (token_type, algorithm)
        assert payload["sub"] == str(ann.id)


async def test_a_stock_library_verifies_with_the_bytes_of_the_secret(accounts: Accounts) -> None:
    ann = await accounts.signed_in("ann")

    payload = jwt.decode(
        ann.access_token, SECRET.encode(), algorithms=["HS256"], audience="postern", issuer="postern", options=REQUIRED
    )

    assert payload["sub"] == str(ann.id)


async def test_no_private_part_is_in_it(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(pem("RS256"))
    (tmp_path / "b.pem").write_bytes(pem("EdDSA"))
    private = [
        jwt.algorithms.RSAAlgorithm.to_jwk(_signing("RS256"), as_dict=True),
        jwt.algorithms.OKPAlgorithm.to_jwk(_signing("EdDSA"), as_dict=True),
    ]
    secrets = {entry[name] for entry in private for name in PRIVATE_MEMBERS if name in entry}
    assert len(secrets) == 7
    async with serve(token_keys=f"{tmp_path / 'a.pem'},{tmp_path / 'b.pem'},SECRET_KEY") as instance:
        text = (await instance.client.get(PATH)).text

    shown = {value for entry in json.loads(text)["keys"] for value in entry.values()}
    assert not shown & secrets
    for name in PRIVATE_MEMBERS:
        assert f'"{name}"' not in text


def _signing(algorithm: Any) -> Any:
    return key(algorithm).signing
