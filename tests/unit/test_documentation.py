from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.support.documentation import Documentation

PROBLEM = {"type": "object", "required": ["code"], "properties": {"code": {"enum": ["NOT_FOUND"]}}}
RESPONSE = {
    "headers": {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}},
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
CATS = {
    "parameters": [{"name": "page", "in": "query", "schema": {"type": "integer"}}],
    "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Cat"}}}},
    "responses": {
        "200": {
            "headers": {
                "X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"},
                "RateLimit-Limit": {"$ref": "#/components/headers/RateLimit-Limit"},
            },
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Cat"}}},
        },
        "400": {"$ref": "#/components/responses/VALIDATION_ERROR"},
    },
}
DELETION = {
    "parameters": [],
    "responses": {"204": {"headers": RESPONSE["headers"]}, "400": {"$ref": "#/components/responses/VALIDATION_ERROR"}},
}
DOCUMENT = {
    "paths": {"/api/cats/": {"post": CATS}, "/api/cats/{cat_id}": {"delete": DELETION}},
    "components": {
        "schemas": {
            "Cat": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            "Problem": PROBLEM,
        },
        "responses": {"NOT_FOUND": RESPONSE, "VALIDATION_ERROR": RESPONSE},
        "headers": {
            "X-Request-ID": {"required": True, "schema": {"type": "string", "pattern": "^[a-z]+$"}},
            "RateLimit-Limit": {"required": False, "schema": {"type": "integer", "minimum": 1}},
            "ETag": {"required": True, "schema": {"type": "string"}},
        },
    },
}
NAMED = {"X-Request-ID": "abcdefgh"}


@pytest.fixture(scope="module")
def documentation() -> Documentation:
    return Documentation(json.dumps(DOCUMENT).encode())


def answered(
    method: str = "POST",
    path: str = "/api/cats/",
    status: int = 200,
    *,
    asked: Any = None,
    content: Any = None,
    kind: str = "application/json",
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """An answer; a good one of `POST /api/cats/` unless it says otherwise."""
    request = httpx.Request(method, "http://testserver" + path, json={"name": "Tom"} if asked is None else asked)
    body = json.dumps({"name": "Tom"} if content is None else content).encode()
    shown = {"Content-Type": kind} if kind else {}
    return httpx.Response(
        status, headers=shown | (NAMED if headers is None else headers), content=body * bool(kind), request=request
    )


@pytest.mark.parametrize(
    "answer",
    [
        answered(),
        answered(path="/api/cats"),
        answered(path="/api/cats/?page=2"),
        answered(headers=NAMED | {"RateLimit-Limit": "10"}),
        answered("DELETE", "/api/cats/7", 204, kind=""),
        answered("GET", "/api/dogs", 404, content={"code": "NOT_FOUND"}, kind="application/problem+json"),
        answered("OPTIONS", "/anything", 204, kind="", headers={}),
    ],
    ids=["as said", "no slash", "known parameter", "counted", "empty", "beside", "options"],
)
def test_an_answer_that_is_documented_has_no_fault(documentation: Documentation, answer: httpx.Response) -> None:
    assert documentation.fault(answer) == ""


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (answered(status=201), "the status is not documented"),
        (answered("PUT"), "the operation is not documented"),
        (answered("GET", "/api/dogs", 200), "the operation is not documented"),
        (answered("GET", "/api/dogs", 404), "it is no problem document"),
        (answered("GET", "/api/dogs", 404, content={"code": "GONE"}), "GONE is not documented"),
        (answered(kind="text/html"), "the content is text/html, not application/json"),
        (answered(kind=""), "the content is empty, not application/json"),
        (answered("DELETE", "/api/cats/7", 204), "the content is application/json, not empty"),
        (answered(content={"name": 7}), "['name']: 7 is not of type"),
        (answered(content={"name": "Tom", "password": "x"}), "password"),
        (answered(content={}), '"name" is a required property'),
        (answered(headers={}), "X-Request-ID is missing"),
        (answered(headers={"X-Request-ID": "A1"}), "X-Request-ID is 'A1'"),
        (answered(headers=NAMED | {"RateLimit-Limit": "0"}), "RateLimit-Limit is '0'"),
        (answered(headers=NAMED | {"RateLimit-Limit": "ten"}), "RateLimit-Limit is 'ten'"),
        (answered(headers=NAMED | {"ETag": '"a"'}), "ETag is not documented"),
        (answered(path="/api/cats/?colour=red"), "a query parameter that is not documented was accepted"),
        (answered(asked={"name": "Tom", "age": 7}), "a body was accepted that does not fit"),
        (answered(status=400, content={"code": "OTHER"}, kind="application/problem+json"), "OTHER"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_that_is_not_documented_has_a_fault(
    documentation: Documentation, answer: httpx.Response, fault: str
) -> None:
    assert fault in documentation.fault(answer)


async def test_a_client_fails_at_an_answer_that_is_not_documented(documentation: Documentation) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(418))
    hooks = {"response": [documentation.check]}
    async with httpx.AsyncClient(transport=transport, event_hooks=hooks, base_url="http://testserver") as client:
        with pytest.raises(AssertionError, match="POST /api/cats/ -> 418: the status is not documented"):
            await client.post("/api/cats/")
