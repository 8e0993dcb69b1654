from __future__ import annotations

import httpx
import pytest
from tests.support.instances import Serve

ORIGIN = "https://app.example.com"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}


@pytest.mark.parametrize("path", ["/api/users/", "/api/auth/me", "/api/users/1", "/api/nothing"])
async def test_a_preflight_needs_no_token(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.options(path, headers=PREFLIGHT | {"Access-Control-Request-Headers": "authorization"})

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "PATCH" in answer.headers["access-control-allow-methods"].split(", ")
    assert {"Authorization", "Content-Type", "If-Match", "Idempotency-Key"} <= set(
        answer.headers["access-control-allow-headers"].split(", ")
    )
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/api/users/", "/api/nothing"])
async def test_refusals_can_be_read_by_pages_too(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Origin": ORIGIN})

    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"Location", "WWW-Authenticate", "Retry-After", "X-Request-ID"} <= set(exposed)


async def test_without_an_origin_nothing_is_said(client: httpx.AsyncClient) -> None:
    assert not [name for name in (await client.get("/api/users/")).headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/livez", "/metrics"])
async def test_outside_of_the_api_nothing_is_said(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Origin": ORIGIN})

    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "origin", ["https://other.example.com", "null", ORIGIN + ".evil.example.com", "http" + ORIGIN[5:]]
)
async def test_an_origin_that_is_not_listed_is_not_allowed(serve: Serve, origin: str) -> None:
    async with serve(cors_origins=f"{ORIGIN},https://b.example.com") as instance:
        for answer in (
            await instance.client.get("/api/users/", headers={"Origin": origin}),
            await instance.client.options("/api/users/", headers=PREFLIGHT | {"Origin": origin}),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("origin", [ORIGIN, "https://b.example.com"])
async def test_a_listed_origin_is_allowed_by_its_name(serve: Serve, origin: str) -> None:
    async with serve(cors_origins=f"{ORIGIN},https://b.example.com", cors_credentials=True) as instance:
        answer = await instance.client.get("/api/users/", headers={"Origin": origin})

    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-credentials"] == "true"


async def test_options_that_is_no_preflight_names_the_methods(client: httpx.AsyncClient) -> None:
    answer = await client.options("/api/users/", headers={"Origin": ORIGIN})

    assert "POST" in answer.headers["allow"]
