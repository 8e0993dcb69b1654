from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import jsonschema_rs
import openapi_spec_validator
import pytest
from flask import Flask
from service.app import create_app
from service.web.openapi.answers import HEADERS
from service.web.operation import operation_of
from service.web.problems import kinds
from tests.conftest import make_settings
from tests.support.accounts import Accounts
from tests.support.documentation import COPY, written

Node = dict[str, Any]


@pytest.fixture(scope="module")
def flask_app() -> Flask:
    return create_app(make_settings())


@pytest.fixture(scope="module")
def document() -> Node:
    return dict(json.loads(written()))


def operations(document: Node) -> Iterator[tuple[str, Node]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def resolved(document: Node, node: Node) -> Node:
    """What a reference stands for; anything else as it is."""
    target = document
    for part in node.get("$ref", "#/").removeprefix("#/").split("/"):
        target = target[part] if part else node
    return target


def contents(document: Node, operation: Node) -> Iterator[tuple[str, Node]]:
    """Every body of an operation, its request's and those of its answers, with its media type."""
    nodes = [operation.get("requestBody", {}), *operation["responses"].values()]
    for node in nodes:
        yield from resolved(document, node).get("content", {}).items()


# The document itself


async def test_the_document_is_openapi_3_1(client: httpx.AsyncClient) -> None:
    answer = await client.get("/openapi.json")

    assert answer.headers["content-type"] == "application/json"
    openapi_spec_validator.validate(answer.json(), cls=openapi_spec_validator.OpenAPIV31SpecValidator)


async def test_the_document_is_kept_and_not_sent_twice(client: httpx.AsyncClient) -> None:
    first = await client.get("/openapi.json")
    again = await client.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["cache-control"] == "public, max-age=300"
    assert (again.status_code, again.content) == (304, b"")


async def test_the_copy_in_docs_is_what_is_served(client: httpx.AsyncClient) -> None:
    assert COPY.read_text() == written(), "say `make openapi`, and look at what it changes for clients"
    assert json.loads(COPY.read_text()) == (await client.get("/openapi.json")).json()


async def test_the_front_page_links_to_the_document(client: httpx.AsyncClient) -> None:
    assert (await client.get("/")).json()["links"]["openapi"] == "/openapi.json"


# Nothing is missing


def test_every_route_is_documented_once(flask_app: Flask, document: Node) -> None:
    served = {
        f"{method} " + re.sub("<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", rule.rule)
        for rule in flask_app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.alias
    }

    assert {name for name, _ in operations(document)} == served


def test_every_code_and_its_status_are_documented_with_an_example(document: Node) -> None:
    examples = {
        (int(status), resolved(document, example)["value"]["code"])
        for _, operation in operations(document)
        for status, answer in operation["responses"].items()
        for content in resolved(document, answer).get("content", {}).values()
        for example in content.get("examples", {}).values()
    }
    beside = {(405, "METHOD_NOT_ALLOWED")}  # what is documented is allowed

    assert examples | beside == {(kind.status, kind.code) for kind in kinds()}
    assert "METHOD_NOT_ALLOWED" in document["components"]["responses"]


ALWAYS = {
    *((400, "MALFORMED_REQUEST"), (408, "REQUEST_TIMEOUT"), (413, "PAYLOAD_TOO_LARGE"), (414, "URI_TOO_LONG")),
    *((431, "HEADERS_TOO_LARGE"), (500, "INTERNAL_ERROR"), (501, "NOT_IMPLEMENTED"), (503, "UNAVAILABLE")),
}
TOKEN = {
    (401, code) for code in ("TOKEN_MISSING", "TOKEN_EXPIRED", "INVALID_TOKEN", "WRONG_TOKEN_TYPE", "TOKEN_REVOKED")
}


def test_every_operation_names_what_follows_from_its_form(document: Node) -> None:
    """As a client reads the document: this table knows nothing of how it is written."""
    for name, operation in operations(document):
        named = {one.get("name") or one["$ref"].rpartition("/")[2] for one in operation["parameters"]}
        is_called_with_a_token = {"accessToken", "refreshToken"} & {key for one in operation["security"] for key in one}
        expected = ALWAYS if "/auth/token" not in name else ALWAYS - {(400, "MALFORMED_REQUEST")}  # RFC 6749's own
        for applies, codes in (
            (" /api/" in name, {(406, "NOT_ACCEPTABLE")}),
            (" /api/" in name and "/auth/token" not in name, {(400, "VALIDATION_ERROR")}),
            (
                "application/json" in operation.get("requestBody", {}).get("content", {}),
                {(415, "UNSUPPORTED_MEDIA_TYPE")},
            ),
            (is_called_with_a_token, TOKEN),
            ("{" in name, {(404, "NOT_FOUND")}),
            ("If-Match" in named, {(412, "PRECONDITION_FAILED")}),
            ("Idempotency-Key" in named, {(409, "IDEMPOTENCY_IN_PROGRESS")}),
            ("Idempotency-Key" in named and is_called_with_a_token, {(422, "IDEMPOTENCY_KEY_REUSED")}),
        ):
            expected = expected | codes if applies else expected
        told = {
            (int(status), code)
            for status, answer in operation["responses"].items()
            for content in resolved(document, answer).get("content", {}).values()
            for code in content["schema"].get("properties", {}).get("code", {}).get("enum", [])
        }
        assert expected - told == set(), name


async def test_where_examples_of_paths_lead_something_is(
    client: httpx.AsyncClient, accounts: Accounts, database: asyncpg.Connection, document: Node
) -> None:
    ann = await accounts.signed_in("ann")
    paths = []
    for name, operation in operations(document):
        method, path = name.split()
        for one in operation["parameters"]:
            path = path.replace(f"{{{one.get('name')}}}", str(one.get("example")))
        paths += [path] if method == "GET" else []
        location = operation["responses"].get("201", {}).get("headers", {}).get("Location")
        paths += [location["example"]] if location else []
    post_id = next(path for path in paths if path.startswith("/api/posts/") and len(path) > 20).split("/")[3]
    await database.execute("INSERT INTO posts (id, author_id, title, body) VALUES ($1, $2, 'a', 'b')", post_id, ann.id)
    await database.execute("INSERT INTO comments (post_id, author_id, body) VALUES ($1, $2, 'c')", post_id, ann.id)

    found = {path: (await client.get(path, headers=ann.headers)).status_code for path in paths}

    assert {path: status for path, status in found.items() if status not in (200, 403)} == {}


def test_every_header_and_parameter_that_is_described_is_used(document: Node) -> None:
    text = json.dumps(document["paths"]) + json.dumps(document["components"]["responses"])

    assert [name for name in HEADERS if f'"#/components/headers/{name}"' not in text] == []
    assert [
        name for name in document["components"]["parameters"] if f'"#/components/parameters/{name}"' not in text
    ] == []


def test_every_operation_has_a_name_of_its_own_a_summary_and_a_tag(document: Node) -> None:
    found = dict(operations(document))
    tags = {tag["name"] for tag in document["tags"] if tag["description"]}

    assert max(Counter(operation["operationId"] for operation in found.values()).values()) == 1
    assert all(operation["summary"] and tags.issuperset(operation["tags"]) for operation in found.values())


def test_every_operation_names_the_tokens_that_it_takes(flask_app: Flask, document: Node) -> None:
    schemes = document["components"]["securitySchemes"]
    wanted = {None: [], "access": ["accessToken", "password"], "refresh": ["refreshToken"], "metrics": ["metricsToken"]}
    bearers = {
        endpoint.rpartition(".")[2]: operation_of(view).bearer for endpoint, view in flask_app.view_functions.items()
    }

    for name, operation in operations(document):
        named = [scheme for requirement in operation["security"] for scheme in requirement]
        assert named == wanted[bearers[operation["operationId"].partition("_by_")[0]]], name
        assert ("401" in operation["responses"]) == bool(named) or name == "POST /api/auth/login"
        assert set(named) <= schemes.keys()


# Nothing is untrue


def test_every_example_fits_its_schema(document: Node) -> None:
    for name, operation in operations(document):
        for _, content in contents(document, operation):
            validator = jsonschema_rs.Draft202012Validator({**content["schema"], "components": document["components"]})
            values = [resolved(document, example)["value"] for example in content.get("examples", {}).values()]
            for value in values + [content[key] for key in content if key == "example"]:
                assert not [f"{name}: {error.message}" for error in validator.iter_errors(value)]


def test_every_json_body_has_an_example(document: Node) -> None:
    for name, operation in operations(document):
        for kind, content in contents(document, operation):
            assert {"example", "examples"} & content.keys() or not kind.endswith("json"), name


def test_no_text_in_an_example_was_made_up(document: Node) -> None:
    for name, operation in operations(document):
        for _, content in contents(document, operation):
            assert '"text"' not in json.dumps(content.get("example")), name
        assert [one["name"] for one in operation["parameters"] if one.get("example") == "text"] == [], name


def test_no_schema_of_a_body_or_an_answer_has_a_default(document: Node) -> None:
    assert '"default"' not in json.dumps(document["components"]["schemas"])


def test_every_body_refuses_members_that_are_not_known(document: Node) -> None:
    for name, operation in operations(document):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        assert body is None or resolved(document, body["schema"])["additionalProperties"] is False, name


def test_a_query_s_bounds_are_told(document: Node) -> None:
    parameters = {
        parameter.get("name"): parameter for parameter in document["paths"]["/api/users/"]["get"]["parameters"]
    }

    assert parameters["page"]["schema"].items() >= {"type": "integer", "minimum": 1, "maximum": 10_000}.items()


async def test_the_examples_of_requests_are_accepted(client: httpx.AsyncClient, document: Node) -> None:
    def example(path: str, kind: str = "application/json") -> Any:
        return document["paths"][path]["post"]["requestBody"]["content"][kind]["example"]

    registered = await client.post("/api/users/", json=example("/api/users/"))
    logged_in = await client.post("/api/auth/login", json=example("/api/auth/login"))
    form = example("/api/auth/token", "application/x-www-form-urlencoded")
    token = (await client.post("/api/auth/token", data=form)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    changed = await client.post("/api/auth/password", json=example("/api/auth/password"), headers=headers)

    assert [answer.status_code for answer in (registered, logged_in, changed)] == [201, 200, 200]
