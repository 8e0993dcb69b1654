"""What stands around the API: the front page, the problems' pages, health and metrics."""

from __future__ import annotations

import hmac

from flask import Blueprint, Response

from service import __version__
from service import metrics as measured
from service.api.context import get_context
from service.api.guards import bearer_token
from service.api.schemas.root import Health, KeySet, Links, ProblemKind, ProblemList
from service.context import NotReady
from service.errors import InvalidToken, NotFound, ServiceError, TokenMissing, Unavailable
from service.web.operation import documented
from service.web.operations import Reply, returns
from service.web.problems import explanation, kinds

JWKS_SECONDS = 300
"""For how long others may keep our public keys; a new one is listed longer than that before it signs (docs/keys.md)."""

blueprint = Blueprint("root", __name__)


@blueprint.get("/")
@returns(Links, strict=False)
async def index() -> Links:
    """Say what this is and where things are."""
    links = {
        "users": "/api/users/",
        "posts": "/api/posts/",
        "login": "/api/auth/login",
        "openapi": "/openapi.json",
        "swagger": "/swagger",
        "problems": "/problems/",
        "health": "/livez",
        "readiness": "/readyz",
        "metrics": "/metrics",
        "jwks": "/.well-known/jwks.json",
    }
    return Links(name="postern", version=__version__, links=links)


@blueprint.get("/problems/")
@returns(ProblemList, strict=False)
async def list_problems() -> ProblemList:
    """List the problems that an answer's `type` may name."""
    return ProblemList(problems=[_problem(kind) for kind in kinds()])


@blueprint.get("/problems/<slug>")
@documented(examples={"slug": "not-found"})
@returns(ProblemKind, strict=False)
async def get_problem(slug: str) -> ProblemKind:
    """Explain one problem."""
    for kind in kinds():
        if kind.slug() == slug:
            return _problem(kind)
    raise NotFound


@blueprint.get("/.well-known/jwks.json")
@documented(cached=True)
@returns(KeySet, strict=False)
async def jwks() -> Reply:
    """List the public keys that verify our tokens (RFC 7517 §5); empty while a secret signs them."""
    keys = KeySet.model_validate(get_context().tokens.jwks())
    return Reply(keys, {"Cache-Control": f"public, max-age={JWKS_SECONDS}"})


@blueprint.get("/livez")
@returns(Health, strict=False)
async def livez() -> Health:
    """Tell that the process is up; the database is not asked."""
    return Health(status="ok")


@blueprint.get("/readyz")
@returns(Health, strict=False)
async def readyz() -> Health:
    """Tell whether requests can be served: the database answers and its schema is not behind this code.

    It is asked once a second at most, however often it is told.
    """
    try:
        await get_context().check_readiness()
    except NotReady as error:
        raise Unavailable from error
    return Health(status="ok")


@blueprint.get("/metrics")
@documented(answer=str, media_types=("text/plain",), bearer="metrics", refusals=(TokenMissing, InvalidToken))
async def metrics() -> Response:
    """Show the metrics in Prometheus' text format; with METRICS_TOKEN set, to its bearer only."""
    wanted = get_context().settings.metrics_token
    if wanted is not None and not hmac.compare_digest(bearer_token().encode(), wanted.get_secret_value().encode()):
        raise InvalidToken
    return Response(measured.told(), content_type=measured.CONTENT_TYPE)


def _problem(kind: type[ServiceError]) -> ProblemKind:
    return ProblemKind(
        type=f"/problems/{kind.slug()}",
        title=kind.title,
        status=kind.status,
        code=kind.code,
        explanation=explanation(kind),
    )
