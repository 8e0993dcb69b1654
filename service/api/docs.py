"""`/openapi.json` and `/swagger`: the description of all this, for programs and for people.

Of the package flask-swagger-ui only the files of Swagger UI are used, the way its authors release them. Its own page
has a script written into it, which the policy of ours does not run.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app

from service import __version__
from service.errors import NotFound
from service.web.conditional import tag
from service.web.openapi.document import About, build
from service.web.operation import documented

KEY = "postern.openapi"
DOCUMENT_SECONDS = 300
"""For how long others may keep the document."""
ASSET_SECONDS = 365 * 86_400
"""For how long others may keep a file of the page: its path changes when any of them does."""

MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".png": "image/png"}
OURS = Path(__file__).parent / "swagger_ui"
PAGE_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # the arrows in Swagger UI's style sheet
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)

DESCRIPTION = """Accounts and their tokens, posts and comments.

A collection answers with and without its trailing slash, `HEAD` wherever `GET` does, and `OPTIONS` with the methods \
of a path. Times are RFC 3339 in UTC. Unknown members of a body and unknown query parameters are refused.

Errors are problem details (RFC 9457): `code` is stable and for machines, `type` is a page that explains. Beside the \
answers that an operation names, a path that is none of these is answered 404 `NOT_FOUND`, and another method of one \
405 `METHOD_NOT_ALLOWED`."""

ABOUT = About(
    title="postern",
    version=__version__,
    description=DESCRIPTION,
    license="MIT",
    # In this order the form for name and password is in sight when Swagger UI's dialog opens.
    schemes={
        "metricsToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "What the operator has set as METRICS_TOKEN, if anything.",
        },
        "refreshToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The refresh token of a login or a refresh.",
        },
        "accessToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The access token of a login or a refresh.",
        },
        "password": {
            "type": "oauth2",
            "description": "The same access token, got with an email or a username, and a password. A client's id and "
            "secret are not needed.",
            "flows": {"password": {"tokenUrl": "/api/auth/token", "refreshUrl": "/api/auth/token", "scopes": {}}},
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
    assets()  # read now rather than while requests are served


@cache
def assets() -> dict[str, bytes]:
    """Return the files of the page by name."""
    package = find_spec("flask_swagger_ui")  # its code is not needed
    if package is None or package.origin is None:
        raise RuntimeError("flask-swagger-ui is not installed")
    theirs = Path(package.origin).parent / "dist"
    files = [theirs / name for name in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")]
    return {file.name: file.read_bytes() for file in [*files, OURS / "start.js"]}


@cache
def page() -> tuple[str, bytes]:
    """Return the version that the paths of the files have, a digest of them all, and the page that names them."""
    version = hashlib.sha256(b"".join(assets().values())).hexdigest()[:16]
    return version, (OURS / "index.html").read_bytes().replace(b"{version}", version.encode())


@blueprint.get("/openapi.json")
@documented(answer=dict, tagged=True, cached=True)
async def openapi() -> Response:
    """Get this description, in OpenAPI 3.1."""
    headers = {"Cache-Control": f"public, max-age={DOCUMENT_SECONDS}"}
    return tag(Response(current_app.extensions[KEY], headers=headers, content_type="application/json"))


@blueprint.get("/swagger/")
@documented(answer=str, media_types=("text/html",), tagged=True, cached=True)
async def swagger() -> Response:
    """Try the API in a browser: Swagger UI.

    *Authorize* takes an email or a username, and a password.
    """
    _, content = page()
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
    return tag(Response(content, headers=headers, content_type="text/html; charset=utf-8"))


@blueprint.get("/swagger/<version>/<name>")
@documented(
    answer=str,
    media_types=tuple(MEDIA_TYPES.values()),
    cached=True,
    examples={"version": page()[0], "name": "start.js"},
)
async def get_asset(version: str, name: str) -> Response:
    """Get a file of that page; what a path names never changes."""
    content = assets().get(name)
    if content is None or version != page()[0]:
        raise NotFound
    headers = {"Cache-Control": f"public, max-age={ASSET_SECONDS}, immutable"}
    return Response(content, headers=headers, mimetype=MEDIA_TYPES[Path(name).suffix])
