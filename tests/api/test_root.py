from __future__ import annotations

import asyncio

import asyncpg
import httpx
import pytest
from service import __version__
from service.context import READY_SECONDS
from service.edge import Edge
from service.embedded import Cluster
from service.errors import ServiceError
from service.web.problems import kinds
from tests.support.accounts import Accounts
from tests.support.instances import NewDatabase, Serve, connect
from tests.support.problems import assert_problem, said
from tests.support.statements import statements_of

NOBODY_LISTENS = "postgresql://postern:pw@127.0.0.1:1/postern"


async def test_the_front_page_names_the_service_and_its_links(client: httpx.AsyncClient) -> None:
    answer = await client.get("/")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert (answer.json()["name"], answer.json()["version"]) == ("postern", __version__)


async def test_every_link_of_the_front_page_leads_somewhere(client: httpx.AsyncClient) -> None:
    for link in (await client.get("/")).json()["links"].values():
        assert (await client.get(link)).status_code != 404


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.code)
async def test_every_type_resolves(client: httpx.AsyncClient, kind: type[ServiceError]) -> None:
    answer = await client.get(kind().document("x")["type"])

    document = answer.json()
    assert answer.status_code == 200
    assert (document["code"], document["status"], document["title"]) == (kind.code, kind.status, kind.title)
    assert document["explanation"]


async def test_all_problems_are_listed(client: httpx.AsyncClient) -> None:
    documents = (await client.get("/problems/")).json()["problems"]

    assert [document["code"] for document in documents] == [kind.code for kind in kinds()]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_a_process_that_serves_is_well(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


# Readiness


async def test_a_process_without_its_database_lives_and_is_not_ready(serve: Serve) -> None:
    async with serve(NOBODY_LISTENS) as instance:
        assert (await instance.client.get("/livez")).status_code == 200
        assert_problem(await instance.client.get("/readyz"), 503, "UNAVAILABLE")


async def test_a_schema_that_is_not_there_is_not_ready(
    serve: Serve, cluster: Cluster, new_database: NewDatabase
) -> None:
    database = await connect(cluster.url("postgres"))
    await database.execute("CREATE DATABASE bare TEMPLATE template0")
    await database.close()
    async with serve(cluster.url("bare")) as instance:
        assert (await instance.client.get("/livez")).status_code == 200
        assert_problem(await instance.client.get("/readyz"), 503, "UNAVAILABLE")


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        ("UPDATE alembic_version SET version_num = '0000'", 503),
        ("DELETE FROM alembic_version", 503),
        ("DROP TABLE alembic_version", 503),
        ("UPDATE alembic_version SET version_num = '9999'", 200),
        ("SELECT 1", 200),
    ],
    ids=["behind", "no version", "no table", "ahead", "at head"],
)
async def test_a_schema_at_or_past_the_head_is_ready(
    serve: Serve, new_database: NewDatabase, statement: str, status: int
) -> None:
    url = await new_database()
    database = await connect(url)
    try:
        async with serve(url) as instance:
            await database.execute(statement)
            assert (await instance.client.get("/readyz")).status_code == status
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/auth/me"), ("POST", "/api/auth/refresh"), ("POST", "/api/auth/login"), ("POST", "/api/users/")],
)
async def test_without_the_database_nothing_is_200_or_401(
    serve: Serve, client: httpx.AsyncClient, accounts: Accounts, method: str, path: str
) -> None:
    ann = await accounts.signed_in("ann")
    body = {"email": ann.email, "password": "correct horse battery"}
    body |= {"username": "bob"} if path == "/api/users/" else {}
    headers = ann.refresh_headers if path.endswith("refresh") else ann.headers
    async with serve(NOBODY_LISTENS) as instance:
        answer = await instance.client.request(
            method, path, headers=headers, json=body if path.endswith(("login", "users/")) else None
        )

    document = assert_problem(answer, 503, "UNAVAILABLE")
    assert document.keys() == {"type", "title", "status", "code", "error", "request_id"}
    assert int(answer.headers["retry-after"]) >= 1
    assert "127.0.0.1" not in answer.text


async def test_a_database_that_comes_back_is_ready_again(serve: Serve, new_database: NewDatabase) -> None:
    url = await new_database()
    database = await connect(url)
    try:
        async with serve(url) as instance:
            await database.execute("ALTER TABLE alembic_version RENAME TO elsewhere")
            assert (await instance.client.get("/readyz")).status_code == 503
            await database.execute("ALTER TABLE elsewhere RENAME TO alembic_version")
            await asyncio.sleep(READY_SECONDS)
            assert (await instance.client.get("/readyz")).status_code == 200
    finally:
        await database.close()


async def test_however_many_ask_whether_it_is_ready_the_database_is_asked_once(serve: Serve, url: str) -> None:
    async with serve(url) as instance:
        with statements_of(instance.context) as seen:
            answers = await asyncio.gather(*(instance.client.get("/readyz") for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}
    assert len(seen) == 2  # is there a version, and which


async def test_a_process_that_drains_is_not_ready(serve: Serve, app: Edge, client: httpx.AsyncClient) -> None:
    app.drain()
    try:
        assert_problem(await client.get("/readyz"), 503, "UNAVAILABLE")
        assert (await client.get("/livez")).status_code == 200
    finally:
        app.draining = False


# Metrics


async def test_metrics_are_public(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "# TYPE postern_requests_total counter" in answer.text


async def test_metrics_name_routes_and_never_paths(client: httpx.AsyncClient) -> None:
    await client.get("/api/users/918273645546372819")
    await client.get("/nothing/at-all")

    text = (await client.get("/metrics")).text

    assert 'route="/api/users/<int:user_id>"' in text
    assert "918273645546372819" not in text
    assert "at-all" not in text


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        (None, 401, "TOKEN_MISSING"),
        ("Bearer", 401, "TOKEN_MISSING"),
        ("Basic s3cret-of-metrics", 401, "TOKEN_MISSING"),
        ("Bearer x", 401, "INVALID_TOKEN"),
        ("Bearer s3cret-of-metricsx", 401, "INVALID_TOKEN"),
        ("Bearer \xff", 401, "INVALID_TOKEN"),
    ],
)
async def test_metrics_with_a_token_are_for_its_bearer(
    serve: Serve, authorization: str | None, status: int, code: str
) -> None:
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    async with serve(metrics_token="s3cret-of-metrics") as instance:
        assert_problem(await instance.client.get("/metrics", headers=headers), status, code)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
async def test_the_bearer_of_the_metrics_token_reads_metrics(serve: Serve, scheme: str) -> None:
    async with serve(metrics_token="s3cret-of-metrics") as instance:
        answer = await instance.client.get("/metrics", headers={"Authorization": f"{scheme} s3cret-of-metrics"})

    assert answer.status_code == 200


async def test_a_users_token_is_not_the_metrics_token(
    serve: Serve, accounts: Accounts, database: asyncpg.Connection
) -> None:
    root = await accounts.signed_in("root", role="admin")
    async with serve(metrics_token="s3cret-of-metrics") as instance:
        assert_problem(await instance.client.get("/metrics", headers=root.headers), 401, "INVALID_TOKEN")


# Bugs


async def test_a_bug_is_a_500_that_leaks_nothing(serve: Serve, new_database: NewDatabase) -> None:
    url = await new_database()
    database = await connect(url)
    try:
        async with serve(url) as instance:
            await database.execute("ALTER TABLE users RENAME TO people")
            answer = await instance.client.post(
                "/api/auth/login", json={"email": "ann@example.com", "password": "hunter2-4711"}
            )
    finally:
        await database.close()

    document = assert_problem(answer, 500, "INTERNAL_ERROR")
    assert document.keys() == {"type", "title", "status", "code", "error", "request_id"}
    assert not any(word in said(answer) for word in ("users", "SELECT", "4711", "asyncpg", "Traceback"))
