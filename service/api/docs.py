"""`/openapi.json`: the description of all this, for programs."""

from __future__ import annotations

import json

from flask import Blueprint, Flask, Response, current_app

from service import __version__
from service.web.conditional import tag
from service.web.openapi.document import About, build
from service.web.operations import documented

KEY = "postern.openapi"
DOCUMENT_SECONDS = 300
"""For how long others may keep the document."""

DESCRIPTION = """Accounts and their tokens.

A collection answers with and without its trailing slash, `HEAD` wherever `GET` does, and `OPTIONS` with the methods \
of a path. Times are RFC 3339 in UTC. Unknown members of a body and unknown query parameters are refused.

Errors are problem details (RFC 9457): `code` is stable and for machines, `type` is a page that explains. Beside the \
answers that an operation names, a path that is none of these is answered 404 `NOT_FOUND`, and another method of one \
405 `METHOD_NOT_ALLOWED`."""

ABOUT = About(
    title="postern",
    version=__version__,
    description=DESCRIPTION,
    schemes={
        "accessToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token of a login or a refresh.",
        },
        "password": {
            "type": "oauth2",
            "description": "The same access token, got with an email or a username, and a password.",
            "flows": {"password": {"tokenUrl": "/api/auth/token", "refreshUrl": "/api/auth/token", "scopes": {}}},
        },
        "refreshToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The refresh token of a login or a refresh.",
        },
        "metricsToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "What the operator has set as METRICS_TOKEN, if anything.",
        },
    },
    security={
        None: [],
        "access": [{"accessToken": []}, {"password": []}],
        "refresh": [{"refreshToken": []}],
        "metrics": [{}, {"metricsToken": []}],
    },
)

blueprint = Blueprint("docs", __name__)


def publish(app: Flask) -> None:
    """Describe the app as it stands: to be called when all its routes are there."""
    app.extensions[KEY] = json.dumps(build(app, ABOUT)).encode()


@blueprint.get("/openapi.json")
@documented(answer=dict, tagged=True, cached=True)
async def openapi() -> Response:
    """Get this description, in OpenAPI 3.1."""
    headers = {"Cache-Control": f"public, max-age={DOCUMENT_SECONDS}"}
    return tag(Response(current_app.extensions[KEY], headers=headers, content_type="application/json"))
