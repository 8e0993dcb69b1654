"""Around the API: links, problems, keys, health."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Links(BaseModel):
    """What this is, and where things are."""

    name: Annotated[str, Field(examples=["postern"])]
    version: Annotated[str, Field(examples=["1.0.0"])]
    links: Annotated[dict[str, str], Field(examples=[{"users": "/api/users/"}])]


class ProblemKind(BaseModel):
    """A problem that an answer's `type` may name."""

    type: Annotated[str, Field(examples=["/problems/not-found"])]
    title: Annotated[str, Field(examples=["Not found"])]
    status: Annotated[int, Field(ge=400, le=599, examples=[404])]
    code: Annotated[str, Field(examples=["NOT_FOUND"])]
    explanation: Annotated[str, Field(examples=["There is nothing at this path."])]


class ProblemList(BaseModel):
    """The problems that an answer's `type` may name."""

    problems: list[ProblemKind]


class KeySet(BaseModel):
    """Public keys (RFC 7517 §5)."""

    keys: list[dict[str, str]]


class Health(BaseModel):
    """That all is well; when it is not, the answer is a problem."""

    status: Literal["ok"]
