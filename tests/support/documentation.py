"""What the OpenAPI document says, held against what is answered: a hook for clients, and the copy in `docs`."""

from __future__ import annotations

import json
import re
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
from service.api import docs
from service.app import create_app
from service.config import Settings

Node = dict[str, Any]

COPY = Path(__file__).parents[2] / "docs" / "openapi.json"
ANYWHERE = {"400", "404", "405", "408", "413", "414", "431", "500", "503"}
"""Statuses that a request may meet at a path and method that are not documented."""


class Documentation:
    """An OpenAPI document as a judge of answers. Schemas are compiled when they are first needed.

    Objects are closed for it: a member that is sent and not documented does not fit, whatever clients may tolerate.
    """

    def __init__(self, document: bytes) -> None:
        self.document: Node = json.loads(document)
        self._closed = _close(json.loads(document))
        self._validators: dict[str, Any] = {}

    async def check(self, answer: httpx.Response) -> None:
        """Fail unless the answer is one that is documented (a hook of httpx)."""
        await answer.aread()
        fault = self.fault(answer)
        assert not fault, f"{answer.request.method} {answer.request.url.path} -> {answer.status_code}: {fault}"

    def fault(self, answer: httpx.Response) -> str:
        """Say in what the answer differs from what is documented; empty if it does not."""
        request = answer.request
        if request.method == "OPTIONS":
            return ""
        method = "get" if request.method == "HEAD" else request.method.lower()
        found = self.operation(method, request.url.raw_path.decode().partition("?")[0])
        if found is None:
            return self._fault_beside(answer)
        pointer, operation = found
        response = operation["responses"].get(str(answer.status_code))
        if response is None:
            return "the status is not documented"
        pointer, response = self._resolve(f"{pointer}/responses/{answer.status_code}", response)
        return (
            self._fault_of_headers(answer, response)
            or self._fault_of_content(answer, pointer, response)
            or (self._fault_of_request(request, *found) if answer.is_success else "")
        )

    def operation(self, method: str, path: str) -> tuple[str, Node] | None:
        """Return the pointer and the text of what is documented for a path as it is sent."""
        for template, pattern in self._patterns:
            if pattern.fullmatch(path) and method in self.document["paths"][template]:
                return f"/paths/{_escaped(template)}/{method}", self.document["paths"][template][method]
        return None

    @cached_property
    def _patterns(self) -> list[tuple[str, re.Pattern[str]]]:
        """Return a pattern for each path, those without arguments first; a slash at the end may be left out."""
        templates = sorted(self.document["paths"], key=lambda template: ("{" in template, template))
        return [(template, re.compile(_pattern(template))) for template in templates]

    def _fault_beside(self, answer: httpx.Response) -> str:
        if str(answer.status_code) not in ANYWHERE:
            return "the operation is not documented"
        try:
            code = answer.json()["code"]
        except (ValueError, LookupError, TypeError):
            return "" if answer.request.method == "HEAD" else "it is no problem document"
        response = self.document["components"]["responses"].get(code)
        if response is None:
            return f"{code} is not documented"
        pointer = f"/components/responses/{code}"
        return self._fault_of_headers(answer, response) or self._fault_of_content(answer, pointer, response)

    def _resolve(self, pointer: str, node: Node) -> tuple[str, Node]:
        """Return what a reference stands for; anything else as it is."""
        if "$ref" not in node:
            return pointer, node
        target: Node = self.document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return node["$ref"].removeprefix("#"), target

    def _fault_of_headers(self, answer: httpx.Response, response: Node) -> str:
        said = response.get("headers", {})
        for name in self.document["components"]["headers"]:
            if name not in said:
                # Whatever has no Cache-Control of its own has the edge's.
                if name in answer.headers and name != "Cache-Control":
                    return f"{name} is not documented"
                continue
            pointer, header = self._resolve("", said[name])
            if name not in answer.headers:
                if header["required"]:
                    return f"{name} is missing"
                continue
            value = answer.headers[name]
            is_number = header["schema"]["type"] == "integer" and value.isdigit()
            if not self._fits(int(value) if is_number else value, f"{pointer}/schema"):
                return f"{name} is {value!r}"
        return ""

    def _fault_of_content(self, answer: httpx.Response, pointer: str, response: Node) -> str:
        content = response.get("content", {})
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        if bool(kind) != bool(content) or (kind and kind not in content):
            return f"the content is {kind or 'empty'}, not {' or '.join(content) or 'empty'}"
        if answer.request.method == "HEAD" or not kind.endswith("json"):
            return "" if content or not answer.content else "there is content"
        return self._misfit(answer.json(), f"{pointer}/content/{_escaped(kind)}/schema")

    def _fault_of_request(self, request: httpx.Request, pointer: str, operation: Node) -> str:
        """Say in what a request that was accepted differs from what is documented."""
        known = {parameter["name"] for parameter in operation["parameters"] if parameter.get("in") == "query"}
        is_strict = "VALIDATION_ERROR" in operation["responses"]["400"].get("$ref", "")
        if is_strict and not known.issuperset(request.url.params):
            return "a query parameter that is not documented was accepted"
        if "application/json" not in operation.get("requestBody", {}).get("content", {}) or not _is_at_hand(request):
            return ""
        schema = f"{pointer}/requestBody/content/{_escaped('application/json')}/schema"
        misfit = self._misfit(json.loads(request.content), schema)
        return misfit and f"a body was accepted that does not fit: {misfit}"

    def _fits(self, value: Any, pointer: str) -> bool:
        return bool(self._validator(pointer).is_valid(value))

    def _misfit(self, value: Any, pointer: str) -> str:
        errors = self._validator(pointer).iter_errors(value)
        return "; ".join(f"{error.instance_path}: {error.message}" for error in errors)

    def _validator(self, pointer: str) -> Any:
        if pointer not in self._validators:
            self._validators[pointer] = jsonschema_rs.Draft202012Validator({**self._closed, "$ref": f"#{pointer}"})
        return self._validators[pointer]


@cache
def documentation_of(document: bytes) -> Documentation:
    """The document's judge; one for all clients."""
    return Documentation(document)


def _is_at_hand(request: httpx.Request) -> bool:
    """Tell whether the body can be read once more; one that was sent in chunks can't."""
    return hasattr(request, "_content")


def _close(node: Any) -> Any:
    """Return the document with every object closed that names its members, unless it says that it is open."""
    if isinstance(node, list):
        return [_close(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {name: _close(member) for name, member in node.items()}
    if node.get("type") == "object" and isinstance(node.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


def _pattern(template: str) -> str:
    literal = re.split(r"\{\w+\}", template)
    return "[^/]+".join(map(re.escape, literal)) + ("?" if template.endswith("/") and template != "/" else "")


def _escaped(segment: str) -> str:
    """Return a part of a JSON pointer (RFC 6901 section 3), as it stands in the fragment of a URL."""
    return segment.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def written() -> str:
    """Return the document of this code, as the copy in `docs` has it."""
    app = create_app(Settings.load(_env_file=None, app_env="testing"))
    return json.dumps(json.loads(app.extensions[docs.KEY]), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    COPY.write_text(written())
