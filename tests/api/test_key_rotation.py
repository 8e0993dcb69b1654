"""Changing the keys that sign tokens, as an operator does it: processes that follow one another on one database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from service.config import ConfigurationError
from tests.conftest import SECRET
from tests.support.accounts import Account, Accounts
from tests.support.instances import Serve
from tests.support.keys import pem, public_pem, unb64
from tests.support.problems import assert_problem

OTHER_SECRET = "zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVU"
Values = dict[str, Any]


@pytest.fixture
def key_file(tmp_path: Path) -> Callable[..., str]:
    """Writes key files as an operator has them."""

    def write(name: str, content: bytes, mode: int = 0o600) -> str:
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(mode)
        return str(path)

    return write


@pytest.fixture
def eddsa(key_file: Callable[..., str]) -> str:
    return key_file("ed25519.pem", pem("EdDSA"))


@pytest.fixture
def rs256(key_file: Callable[..., str]) -> str:
    return key_file("rsa.pem", pem("RS256"))


def header_of(token: str) -> dict[str, str]:
    header: dict[str, str] = unb64(token.split(".", maxsplit=1)[0])
    return header


async def refreshed(client: httpx.AsyncClient, account: Account) -> Account:
    answer = await client.post("/api/auth/refresh", headers=account.refresh_headers)
    assert answer.status_code == 200, answer.text
    tokens = answer.json()
    return Account(account.id, account.username, account.email, tokens["access_token"], tokens["refresh_token"])


async def is_signed_in(client: httpx.AsyncClient, account: Account) -> bool:
    answer = await client.get("/api/auth/me", headers=account.headers)
    return answer.status_code == 200 and answer.json()["id"] == account.id


ROTATIONS: dict[str, Callable[[str, str], tuple[Values, Values, Values, Values]]] = {
    "from one key pair to another": lambda a, b: (
        {"token_keys": a},
        {"token_keys": f"{a}, {b}"},
        {"token_keys": f"{b}, {a}"},
        {"token_keys": b},
    ),
    "from a secret to a key pair": lambda a, b: (
        {},
        {"token_keys": f"SECRET_KEY, {b}"},
        {"token_keys": f"{b}, SECRET_KEY"},
        {"token_keys": b},
    ),
    "from one secret to another": lambda a, b: (
        {},
        {"secret_key_fallbacks": OTHER_SECRET},
        {"secret_key": OTHER_SECRET, "secret_key_fallbacks": SECRET},
        {"secret_key": OTHER_SECRET},
    ),
}


@pytest.mark.parametrize("steps", ROTATIONS.values(), ids=ROTATIONS.keys())
async def test_changing_the_key_logs_nobody_out(
    serve: Serve,
    accounts: Accounts,
    database: asyncpg.Connection,
    eddsa: str,
    rs256: str,
    steps: Callable[[str, str], tuple[Values, Values, Values, Values]],
) -> None:
    one, both, turned, other = steps(eddsa, rs256)
    ann = await accounts.add("ann")
    async with serve(**one) as old, serve(**both) as first, serve(**turned) as second, serve(**other) as last:
        before = await Accounts(old.client, database).log_in(ann)
        old_kid, new_kid = old.context.tokens.signing_kid, last.context.tokens.signing_kid

        # The new key is listed, and signs nothing yet: processes that do not know it still read what comes.
        between = await refreshed(first.client, before)
        assert header_of(between.access_token)["kid"] == header_of(between.refresh_token)["kid"] == old_kid
        assert await is_signed_in(old.client, between)

        # It signs; those that only list it read what it signed, and the old tokens are read on.
        for process in (first, second):
            assert await is_signed_in(process.client, before)
        after = await refreshed(second.client, between)
        assert header_of(after.access_token)["kid"] == header_of(after.refresh_token)["kid"] == new_kid
        assert await is_signed_in(first.client, after)
        assert await is_signed_in(second.client, after)

        # The old key is dropped, and what it signed with it.
        assert await is_signed_in(last.client, after)
        assert_problem(await last.client.get("/api/auth/me", headers=before.headers), 401, "INVALID_TOKEN")
        refused = await last.client.post("/api/auth/refresh", headers=between.refresh_headers)
        assert_problem(refused, 401, "INVALID_TOKEN")
        assert await is_signed_in(last.client, await refreshed(last.client, after))


@pytest.mark.parametrize("steps", ROTATIONS.values(), ids=ROTATIONS.keys())
async def test_a_lost_answer_is_given_again_byte_for_byte_by_a_process_that_signs_with_another_key(
    serve: Serve,
    accounts: Accounts,
    database: asyncpg.Connection,
    eddsa: str,
    rs256: str,
    steps: Callable[[str, str], tuple[Values, Values, Values, Values]],
) -> None:
    _, both, turned, _ = steps(eddsa, rs256)
    ann = await accounts.add("ann")
    async with serve(**both) as first, serve(**turned) as second:
        signed_in = await Accounts(first.client, database).log_in(ann)

        lost = await refreshed(first.client, signed_in)

        assert await refreshed(second.client, signed_in) == lost


async def test_a_process_with_the_public_key_reads_what_the_private_key_signed(
    serve: Serve, accounts: Accounts, database: asyncpg.Connection, eddsa: str, key_file: Callable[..., str]
) -> None:
    public = key_file("public.pem", public_pem(pem("EdDSA")), 0o644)
    ann = await accounts.add("ann")
    async with serve(token_keys=eddsa) as signing, serve(token_keys=f"SECRET_KEY,{public}") as verifying:
        signed_in = await Accounts(signing.client, database).log_in(ann)

        assert await is_signed_in(verifying.client, signed_in)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"token_keys": "{eddsa},{eddsa}"}, "are one key"),
        ({"token_keys": "{eddsa},{public}"}, "are one key"),
        ({"token_keys": "SECRET_KEY,SECRET_KEY"}, "are one key"),
        ({"secret_key_fallbacks": SECRET}, "are one key"),
        ({"secret_key_fallbacks": f"{OTHER_SECRET},{OTHER_SECRET}"}, "are one key"),
        ({"token_keys": "{public},SECRET_KEY"}, "the first has to sign"),
        ({"token_keys": "{eddsa}/nowhere"}, "can't be read"),
        ({"secret_key": pem("EdDSA").decode()}, "is a key of another kind"),
    ],
    ids=["twice", "both halves", "secret twice", "own fallback", "fallback twice", "public first", "missing", "pem"],
)
async def test_keys_that_can_not_be_are_refused_in_one_line(
    serve: Serve, eddsa: str, key_file: Callable[..., str], values: Values, said: str
) -> None:
    public = key_file("public.pem", public_pem(pem("EdDSA")))
    values = {name: value.replace("{eddsa}", eddsa).replace("{public}", public) for name, value in values.items()}

    with pytest.raises(ConfigurationError) as refused:
        async with serve(**values):
            pass

    [line] = refused.value.faults
    assert said in line
    assert "\n" not in line
    assert not any(secret in line for secret in (SECRET, OTHER_SECRET))


async def test_each_key_that_can_not_be_has_a_line(serve: Serve, eddsa: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        async with serve(token_keys=f"a.pem,{eddsa},b.pem"):
            pass

    assert ["'a.pem'" in line for line in refused.value.faults] == [True, False]
    assert ["'b.pem'" in line for line in refused.value.faults] == [False, True]
