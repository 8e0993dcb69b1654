"""What every refusal looks like."""

from __future__ import annotations

from typing import Any

import httpx


def assert_problem(answer: httpx.Response, status: int, code: str, title: str | None = None) -> dict[str, Any]:
    """Check a problem document (contract: Errors) and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["code"] == code
    assert document["status"] == status
    assert document["error"] == document["title"]
    assert document["type"] == "/problems/" + code.lower().replace("_", "-")
    assert document["request_id"] == answer.headers["x-request-id"]
    assert ("errors" in document) == (code == "VALIDATION_ERROR")
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    if title is not None:
        assert document["title"] == title
    return document


def said(answer: httpx.Response) -> str:
    """The text of an answer less its request id, which is random."""
    return answer.text.replace(answer.headers["x-request-id"], "")
