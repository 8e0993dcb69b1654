"""`/swagger` in a real Chromium, against a real server: what a person does there, and what the browser says of it.

Not among what `make test` runs, since it needs a browser: `make test-browser`. SCREENSHOT=FILE keeps a picture.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect
from service.embedded import Cluster
from tests.conftest import migrate
from tests.support.processes import PROGRAMS, Running, environment, running
from tests.support.sockets import ask

PASSWORD = "correct horse battery"
LIMIT_MILLISECONDS = 15_000

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    cluster.ensure_database("browser")
    migrate(cluster.url("browser"))
    env = environment(
        APP_ENV="production",
        SECRET_KEY="browser-0123456789-abcdefghijklmnopqrstuvwxyz",
        DATABASE_URL=cluster.url("browser"),
    )
    folder = tmp_path_factory.mktemp("browser")
    with running(PROGRAMS / "postern", "run", "--bind", "127.0.0.1:0", folder=folder, env=env) as server:
        yield server


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    program = shutil.which("chromium")
    assert program, "chromium is not installed: apt-get install chromium"
    # Without its sandbox, which refuses to work for root, as CI is; nothing but our own page is opened.
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser, server: Running) -> AsyncIterator[Page]:
    """The page, opened; at the end nothing was refused by its policy, and nothing asked for from elsewhere."""
    said: list[str] = []
    elsewhere: list[str] = []
    page = await browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(LIMIT_MILLISECONDS)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: elsewhere.append(request.url))
    await page.goto(f"{server.address}/swagger")
    yield page
    await page.close()
    assert [text for text in said if not text.startswith("Failed to load resource")] == []  # that is its own refusals
    assert [url for url in elsewhere if not url.startswith((server.address, "data:"))] == []


def register(server: Running) -> str:
    """Make an account; return its name."""
    name = f"browser{next(numbers)}"
    body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    assert ask(server, "POST", "/api/users/", body).status == 201
    return name


async def authorise(page: Page, name: str, password: str = PASSWORD) -> Locator:
    """Fill in and send the form of the password flow; return its part of the dialog."""
    await page.locator("button.authorize").first.click()
    form = page.locator(".auth-container", has_text="OAuth2, password")
    await form.locator("#oauth_username").fill(name)
    await form.locator("#oauth_password").fill(password)
    await form.get_by_role("button", name="Apply given OAuth2 credentials").click()
    return form


async def close_dialog(page: Page) -> None:
    await page.locator(".modal-ux .close-modal").click()


async def execute(page: Page, operation_id: str, body: object = None) -> Locator:
    """Try an operation; return the status and the body of the live answer."""
    block = page.locator(f"[id$='-{operation_id}']")
    await block.locator(".opblock-summary-control").first.click()
    if body is not None:
        await block.locator("textarea.body-param__text").fill(json.dumps(body))
    await block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table tbody tr.response").first
    await expect(answer).to_be_visible(timeout=LIMIT_MILLISECONDS)
    return answer


async def test_every_operation_is_shown(page: Page, server: Running) -> None:
    document = ask(server, "GET", "/openapi.json").json()

    await expect(page.locator(".opblock").first).to_be_visible(timeout=LIMIT_MILLISECONDS)
    assert await page.locator(".opblock").count() == sum(len(methods) for methods in document["paths"].values())
    assert await page.locator(".errors-wrapper").count() == 0


async def test_a_name_and_a_password_authorise(page: Page, server: Running) -> None:
    name = register(server)

    form = await authorise(page, name)
    await expect(form).to_contain_text("Logout")
    await close_dialog(page)
    answer = await execute(page, "me")

    await expect(answer.locator(".response-col_status")).to_have_text(re.compile("^200"))
    await expect(answer).to_contain_text(f"{name}@example.com")


async def test_a_wrong_password_is_told(page: Page, server: Running) -> None:
    form = await authorise(page, register(server), "wrong horse battery")

    await expect(form).to_contain_text("Invalid credentials")


async def test_a_post_is_written_by_trying_it(page: Page, server: Running) -> None:
    name = register(server)
    await authorise(page, name)
    await close_dialog(page)

    answer = await execute(page, "create_post")  # with the example, as it stands in the page

    await expect(answer.locator(".response-col_status")).to_have_text(re.compile("^201"))
    await expect(answer).to_contain_text(f'"author": "{name}"')
    await expect(answer).to_contain_text("location: /api/posts/")
    if "SCREENSHOT" in os.environ:
        await page.set_viewport_size({"width": 1280, "height": 1750})
        await page.locator("[id$='-create_post']").evaluate("block => block.scrollIntoView()")
        await page.screenshot(path=Path(os.environ["SCREENSHOT"]))


async def test_what_is_tried_may_be_changed_before(page: Page) -> None:
    name = f"tried{next(numbers)}"

    answer = await execute(
        page, "create_user", {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    )

    await expect(answer.locator(".response-col_status")).to_have_text(re.compile("^201"))
    await expect(answer).to_contain_text(name)
