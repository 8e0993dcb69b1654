"""JSON Schemas (2020-12, as OpenAPI 3.1 has them) of pydantic models, and examples that fit them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/"
NO_NULL = r"^[^\x00]*$"
FORMATS = {"date-time": "2026-01-31T09:30:00Z", "uuid": "01961f7e-5c1a-7b3e-9d55-0c2f6a1b7e42"}


class _QuerySchemas(GenerateJsonSchema):
    """Schemas without the titles that pydantic makes of the names, and with one type for what may be null."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave it out."""
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Return the model's schema; its name is where it is found."""
        json_schema = super().model_schema(schema)
        json_schema.pop("title", None)
        return json_schema

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        """Return the schema of a text; what is sent to us never holds U+0000 (`json_body`)."""
        found = super().str_schema(schema)
        return {"pattern": NO_NULL, **found} if self.mode == "validation" else found

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Return `type: [..., "null"]` where the type is a single word, and a choice otherwise."""
        inner = self.generate_inner(schema["schema"])
        if isinstance(inner.get("type"), str) and not {"enum", "const"} & inner.keys():
            return {**inner, "type": [inner["type"], "null"]}
        return super().nullable_schema(schema)


class _Schemas(_QuerySchemas):
    """Schemas of bodies and answers: a member that is absent from a body stays absent, and one that was not set is not
    sent (`conditional.document`), so that a default of the model's is never seen.
    """

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Return the schema without its default."""
        return self.generate_inner(schema["schema"])


def schemas_of(models: Mapping[tuple[str, JsonSchemaMode], Any]) -> tuple[Mapping[Any, Schema], dict[str, Schema]]:
    """Return the schema of each model, or union of models, by its key, and what they refer to, by name.

    The mode, ``"validation"`` for bodies and ``"serialization"`` for answers, is the second part of the key.
    """
    adapters: list[tuple[Hashable, JsonSchemaMode, TypeAdapter[Any]]] = [
        (key, mode, TypeAdapter(model)) for (key, mode), model in models.items()
    ]
    found, definitions = TypeAdapter.json_schemas(
        adapters, ref_template=REFERENCE + "{model}", schema_generator=_Schemas
    )
    return found, dict(sorted(definitions.get("$defs", {}).items()))


def parameters_of(query: type[BaseModel]) -> list[Schema]:
    """Return a parameter for each member of the query's model."""
    schema = query.model_json_schema(ref_template=REFERENCE + "{model}", schema_generator=_QuerySchemas)
    return [
        parameter(name, "query", member, required=name in schema.get("required", ()))
        for name, member in schema["properties"].items()
    ]


def parameter(name: str, place: str, schema: Schema, *, required: bool) -> Schema:
    """Return a parameter; what its schema says of it as a whole is said by the parameter.

    One that may be left out has no example: Swagger UI would fill it in and send it, and another's tag is a 412.
    """
    schema = dict(schema)
    description = schema.pop("description", None)
    examples = schema.pop("examples", None)
    found: Schema = {"name": name, "in": place, "required": required}
    if description:
        found["description"] = description
    if (
        place == "query"
        and not required
        and schema.get("type") == "string"
        and not {"minLength", "enum"} & schema.keys()
    ):
        found["allowEmptyValue"] = True
    return found | {"schema": schema} | ({"example": examples[0]} if examples and required else {})


def example_of(schema: Schema, definitions: Mapping[str, Schema]) -> Any:
    """Return a value that fits: the schema's own example, or one put together from those of its members.

    Of an object it has the members that are always there, or all if each may be absent.
    """
    if "$ref" in schema:
        return example_of(definitions[schema["$ref"].removeprefix(REFERENCE)], definitions)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    for choice in ("enum", "anyOf", "oneOf"):
        if choice in schema:
            first = schema[choice][0]
            return first if choice == "enum" else example_of(first, definitions)
    return _example_of_type(schema, definitions)


def _example_of_type(schema: Schema, definitions: Mapping[str, Schema]) -> Any:
    types = schema.get("type")
    kind = types[0] if isinstance(types, list) else types
    if kind == "object":
        members = schema.get("properties", {})
        shown = schema.get("required") or members
        return {name: example_of(member, definitions) for name, member in members.items() if name in shown}
    if kind == "array":
        return [example_of(schema["items"], definitions)]
    if kind == "string":
        return FORMATS.get(schema.get("format", ""), "text")
    return {"integer": schema.get("minimum", 1), "boolean": True}.get(str(kind))
