from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from flask import Blueprint, Flask
from pydantic import BaseModel, ConfigDict, Field
from service.errors import EmailTaken, NotFound, PreconditionFailed
from service.web.openapi.document import About, build
from service.web.openapi.schemas import NO_NULL, example_of
from service.web.operation import describe, documented
from service.web.operations import body, query, returns

Node = dict[str, Any]

ABOUT = About(
    title="cats",
    version="1",
    description="Cats.",
    license="MIT",
    schemes={"token": {"type": "http", "scheme": "bearer"}},
    security={None: [], "access": [{"token": []}]},
)


class Cat(BaseModel):
    id: Annotated[int, Field(examples=[7])]
    name: str | None
    colour: Literal["black", "white"] = "black"


class NewCat(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=9, examples=["Tom"])] = ""


class Which(BaseModel):
    colour: Annotated[str, Field(description="Which ones.", examples=["black"])]
    page: Annotated[int, Field(ge=1)] = 1


blueprint = Blueprint("cats", __name__)


@blueprint.get("/api/cats/")
@returns(Cat)
@query(Which)
async def list_cats(query: Which) -> None:
    """List cats, e.g. black ones
    and white ones. The first sentence ends there.

    Another paragraph.
    """


@blueprint.post("/api/cats/")
@returns(Cat, status=201, tagged=True, refusals=(EmailTaken,))
@body(NewCat)
async def create_cat(body: NewCat) -> None:
    """Make a cat."""


@blueprint.route("/api/cats/<int:cat_id>", methods=["GET", "PUT", "PATCH"])
@returns(Cat, tagged=True, refusals=(PreconditionFailed,))
async def cat(cat_id: int) -> None:
    """See or change a cat."""


@blueprint.delete("/api/cats/<uuid:cat_id>/<name>")
@returns(None, status=204, refusals=(NotFound,))
async def delete_cat(cat_id: int, name: str) -> None:
    """Delete a cat."""


@blueprint.get("/picture")
@documented(answer=str, media_types=("image/png", "image/gif"), cached=True)
async def picture() -> None:
    """Show a cat."""


describe(create_cat, bearer="access", limited=True, idempotent=True)


@pytest.fixture(scope="module")
def document() -> Node:
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(blueprint)
    app.add_url_rule("/api/cats", "cats.list_cats", methods=["GET"], alias=True)
    return build(app, ABOUT)


def codes(document: Node, path: str, method: str) -> dict[str, str]:
    """The problems of an operation: the name of each, by status."""
    answers: Node = document["paths"][path][method]["responses"]
    return {
        status: answer["$ref"].rpartition("/")[2]
        for status, answer in answers.items()
        if "$ref" in answer and status not in {"408", "413", "414", "431", "500", "501", "503"}
    }


def test_the_first_sentence_of_a_docstring_is_the_summary(document: Node) -> None:
    operation = document["paths"]["/api/cats/"]["get"]

    assert operation["summary"] == "List cats, e.g. black ones and white ones"
    assert operation["description"] == "The first sentence ends there.\n\nAnother paragraph."
    assert "description" not in document["paths"]["/picture"]["get"]


def test_a_second_spelling_is_not_documented(document: Node) -> None:
    assert "/api/cats" not in document["paths"]


def test_the_first_method_of_a_view_has_its_name_and_the_others_say_which(document: Node) -> None:
    methods = document["paths"]["/api/cats/{cat_id}"]

    assert {method: operation["operationId"] for method, operation in methods.items()} == {
        "get": "cat",
        "patch": "cat_by_patch",
        "put": "cat_by_put",
    }


def test_arguments_of_a_path_are_as_their_converters_take_them(document: Node) -> None:
    cat_id, name, _ = document["paths"]["/api/cats/{cat_id}/{name}"]["delete"]["parameters"]
    number = document["paths"]["/api/cats/{cat_id}"]["get"]["parameters"][0]

    assert cat_id["schema"] == {"type": "string", "format": "uuid"}
    assert name["schema"] == {"type": "string"}
    assert (number["schema"]["minimum"], number["schema"]["maximum"]) == (1, 2**63 - 1)
    assert all(parameter["in"] == "path" and parameter["required"] for parameter in (cat_id, name, number))


def test_a_query_s_members_are_parameters_with_their_defaults(document: Node) -> None:
    colour, page, _ = document["paths"]["/api/cats/"]["get"]["parameters"]

    assert colour == {
        "name": "colour",
        "in": "query",
        "required": True,
        "description": "Which ones.",
        "schema": {"type": "string", "pattern": NO_NULL},
        "example": "black",
    }
    assert page == {
        "name": "page",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "default": 1},
    }


def test_schemas_of_bodies_and_answers_have_no_default_and_no_title(document: Node) -> None:
    schemas = document["components"]["schemas"]

    assert schemas["NewCat"]["properties"]["name"] == {
        "type": "string",
        "maxLength": 9,
        "pattern": NO_NULL,
        "examples": ["Tom"],
    }
    assert schemas["Cat"]["required"] == ["id", "name"]
    assert schemas["Cat"]["properties"]["colour"] == {"type": "string", "enum": ["black", "white"]}
    assert "title" not in schemas["Cat"]


def test_what_may_be_null_has_two_types(document: Node) -> None:
    assert document["components"]["schemas"]["Cat"]["properties"]["name"] == {"type": ["string", "null"]}


def test_problems_follow_from_the_parts_of_an_operation(document: Node) -> None:
    assert codes(document, "/picture", "get") == {"400": "MALFORMED_REQUEST"}
    assert codes(document, "/api/cats/", "get") == {
        "400": "MALFORMED_REQUEST.VALIDATION_ERROR",
        "406": "NOT_ACCEPTABLE",
    }
    assert codes(document, "/api/cats/", "post") == {
        "400": "MALFORMED_REQUEST.VALIDATION_ERROR.counted",
        "401": "TOKEN_MISSING.TOKEN_EXPIRED.INVALID_TOKEN.WRONG_TOKEN_TYPE.TOKEN_REVOKED.counted",
        "406": "NOT_ACCEPTABLE",
        "409": "EMAIL_TAKEN.IDEMPOTENCY_IN_PROGRESS.counted",
        "415": "UNSUPPORTED_MEDIA_TYPE",
        "422": "IDEMPOTENCY_KEY_REUSED.counted",
        "429": "RATE_LIMITED.counted",
    }
    assert codes(document, "/api/cats/{cat_id}", "put") == {
        "400": "MALFORMED_REQUEST.VALIDATION_ERROR",
        "404": "NOT_FOUND",
        "406": "NOT_ACCEPTABLE",
        "412": "PRECONDITION_FAILED",
    }


@pytest.mark.parametrize(
    ("path", "method", "status", "names"),
    [
        ("/api/cats/", "get", "200", []),
        (
            "/api/cats/",
            "post",
            "201",
            ["ETag", "Idempotency-Replayed", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Location"],
        ),
        ("/api/cats/{cat_id}", "get", "200", ["ETag"]),
        ("/api/cats/{cat_id}", "get", "304", ["ETag"]),
        ("/picture", "get", "200", ["Cache-Control"]),
    ],
)
def test_answers_have_the_headers_of_their_operation(
    document: Node, path: str, method: str, status: str, names: list[str]
) -> None:
    answer = document["paths"][path][method]["responses"][status]

    assert list(answer["headers"]) == ["X-Request-ID", *names]


@pytest.mark.parametrize(
    ("path", "method", "names"),
    [
        ("/api/cats/", "post", ["Idempotency-Key", "X-Request-ID"]),
        ("/api/cats/{cat_id}", "get", ["If-None-Match", "If-Match", "X-Request-ID"]),
        ("/api/cats/{cat_id}", "put", ["If-Match", "X-Request-ID"]),
    ],
)
def test_operations_have_the_header_parameters_of_their_parts(
    document: Node, path: str, method: str, names: list[str]
) -> None:
    parameters = document["paths"][path][method]["parameters"]

    assert [p["$ref"].rpartition("/")[2] for p in parameters if "$ref" in p] == names


def test_what_was_made_is_linked_to_what_can_be_done_with_it(document: Node) -> None:
    links = document["paths"]["/api/cats/"]["post"]["responses"]["201"]["links"]

    assert list(links) == ["cat", "cat_by_patch", "cat_by_put"]
    assert links["cat"] == {"operationId": "cat", "parameters": {"cat_id": "$response.body#/id"}}


def test_an_answer_may_be_of_other_types_than_json(document: Node) -> None:
    content = document["paths"]["/picture"]["get"]["responses"]["200"]["content"]

    assert content == {"image/png": {"schema": {"type": "string"}}, "image/gif": {"schema": {"type": "string"}}}


def test_an_empty_answer_has_no_content(document: Node) -> None:
    assert "content" not in document["paths"]["/api/cats/{cat_id}/{name}"]["delete"]["responses"]["204"]


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "string", "examples": ["Tom"]}, "Tom"),
        ({"const": 7}, 7),
        ({"enum": ["black", "white"]}, "black"),
        ({"anyOf": [{"type": "integer", "minimum": 5}, {"type": "null"}]}, 5),
        ({"$ref": "#/components/schemas/Known"}, True),
        ({"type": "array", "items": {"type": "string", "format": "date-time"}}, ["2026-01-31T09:30:00Z"]),
        ({"type": "object", "required": ["a"], "properties": {"a": {"const": 1}, "b": {"const": 2}}}, {"a": 1}),
        ({"type": "object", "properties": {"a": {"const": 1}, "b": {"const": 2}}}, {"a": 1, "b": 2}),
        ({"type": ["string", "null"]}, "text"),
    ],
)
def test_an_example_is_put_together_from_the_schema(schema: Node, example: object) -> None:
    assert example_of(schema, {"Known": {"type": "boolean"}}) == example
