"""What all bodies, queries and answers have in common."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class Body(BaseModel):
    """A request's body: unknown members are refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Changes(Body):
    """What to set of something that is there."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("nothing_to_change", "At least one member is needed")
        return self


class Query(BaseModel):
    """A request's query: unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid")


class Message(BaseModel):
    """A sentence."""

    message: Annotated[str, Field(examples=["Token revoked"])]
