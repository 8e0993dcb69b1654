from __future__ import annotations

import re

import httpx
import pytest


async def assets_of(client: httpx.AsyncClient) -> list[str]:
    """The addresses that the page names."""
    return re.findall(r'(?:src|href)="([^"]+)"', (await client.get("/swagger")).text)


@pytest.mark.parametrize("path", ["/swagger", "/swagger/"])
async def test_the_page_is_html_and_linked_on_the_front_page(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert (await client.get("/")).json()["links"]["swagger"] == "/swagger"


async def test_the_page_has_a_strict_policy_of_its_own(client: httpx.AsyncClient) -> None:
    policies = (await client.get("/swagger")).headers.get_list("content-security-policy")
    directives = dict(directive.split(" ", 1) for directive in policies[0].split("; "))

    assert len(policies) == 1
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == "'self'"
    assert "unsafe" not in policies[0]
    assert directives["frame-ancestors"] == directives["base-uri"] == directives["form-action"] == "'none'"


async def test_the_page_has_no_script_and_no_style_written_into_it(client: httpx.AsyncClient) -> None:
    text = (await client.get("/swagger")).text

    assert all(script.endswith("></script>") for script in re.findall(r"<script.*", text))
    assert not re.search(r"<style|style=|\son\w+=", text)


async def test_everything_on_the_page_comes_from_here_and_may_be_kept_for_a_year(client: httpx.AsyncClient) -> None:
    addresses = [address for address in await assets_of(client) if address != "/openapi.json"]
    answers = [await client.get(address) for address in addresses]

    assert len(answers) == 4
    assert all(address.startswith("/swagger/") for address in addresses)
    for answer in answers:
        assert (answer.status_code, bool(answer.content)) == (200, True)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert [answer.headers["content-type"] for answer in answers] == [
        "image/png",
        "text/css; charset=utf-8",
        "text/javascript; charset=utf-8",
        "text/javascript; charset=utf-8",
    ]


async def test_the_page_itself_is_asked_for_again_and_not_sent_twice(client: httpx.AsyncClient) -> None:
    first = await client.get("/swagger")
    again = await client.get("/swagger", headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    ["/swagger/0123456789abcdef/start.js", "/swagger/{version}/index.html", "/swagger/{version}/..%2fdocs.py"],
    ids=["another version", "another file", "a file above"],
)
async def test_no_other_file_is_served(client: httpx.AsyncClient, path: str) -> None:
    version = (await assets_of(client))[0].split("/")[2]

    assert (await client.get(path.format(version=version))).status_code == 404
