"""What stands around the API: the front page, the problems' pages, health and metrics."""

from __future__ import annotations

import hmac
from typing import Any

import prometheus_client
from flask import Blueprint, Response, jsonify

from service import __version__
from service.api.context import get_context
from service.api.guards import bearer_token
from service.context import NotReady
from service.errors import InvalidToken, NotFound, ServiceError, Unavailable
from service.web.problems import explanation, kinds

JWKS_SECONDS = 300
"""For how long others may keep our public keys; a new one is listed longer than that before it signs (docs/keys.md)."""

blueprint = Blueprint("root", __name__)


@blueprint.get("/")
async def index() -> Response:
    """Say what this is and where things are."""
    links = {
        "users": "/api/users/",
        "login": "/api/auth/login",
        "problems": "/problems/",
        "health": "/livez",
        "readiness": "/readyz",
        "metrics": "/metrics",
        "jwks": "/.well-known/jwks.json",
    }
    return jsonify(name="postern", version=__version__, links=links)


@blueprint.get("/problems/")
async def list_problems() -> Response:
    """List the problems that an answer's `type` may name."""
    return jsonify(problems=[_problem(kind) for kind in kinds()])


@blueprint.get("/problems/<slug>")
async def get_problem(slug: str) -> Response:
    """Explain one problem."""
    for kind in kinds():
        if kind.slug() == slug:
            return jsonify(_problem(kind))
    raise NotFound


@blueprint.get("/.well-known/jwks.json")
async def jwks() -> Response:
    """List the public keys that verify our tokens (RFC 7517 §5); empty while a secret signs them."""
    answer = jsonify(get_context().tokens.jwks())
    answer.headers["Cache-Control"] = f"public, max-age={JWKS_SECONDS}"
    return answer


@blueprint.get("/livez")
async def livez() -> Response:
    """Tell that the process is up; the database is not asked."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
async def readyz() -> Response:
    """Tell whether requests can be served: the database answers and its schema is not behind this code."""
    try:
        await get_context().check_schema()
    except NotReady as error:
        raise Unavailable from error
    return jsonify(status="ok")


@blueprint.get("/metrics")
async def metrics() -> Response:
    """Show the metrics in Prometheus' text format; with METRICS_TOKEN set, to its bearer only."""
    wanted = get_context().settings.metrics_token
    if wanted is not None and not hmac.compare_digest(bearer_token().encode(), wanted.get_secret_value().encode()):
        raise InvalidToken
    return Response(prometheus_client.generate_latest(), content_type=prometheus_client.CONTENT_TYPE_LATEST)


def _problem(kind: type[ServiceError]) -> dict[str, Any]:
    return {
        "type": f"/problems/{kind.slug()}",
        "title": kind.title,
        "status": kind.status,
        "code": kind.code,
        "explanation": explanation(kind),
    }
