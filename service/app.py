"""The Flask app: blueprints, error handlers and hooks wired together. No rule lives here."""

from __future__ import annotations

from functools import lru_cache

from flask import Flask, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_accept_header

from service import trace
from service.api import auth, comments, docs, oauth, posts, root, users
from service.api.limits import tell_allowance
from service.config import Settings
from service.errors import MalformedRequest, NotAcceptable
from service.web import problems, requests
from service.web.converters import RowIdConverter


def create_app(settings: Settings) -> Flask:
    """Return the app. It answers once `service.api.context.attach` has given it the context of its process.

    Flask's own SECRET_KEY stays unset: there is no cookie session, and without one Flask does no work for it. The key
    that signs tokens belongs to the token codec.
    """
    app = Flask(__name__, static_folder=None)
    app.debug = settings.debug
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.url_map.converters["int"] = RowIdConverter
    # Nothing is ever redirected.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.before_request(_refuse_early)
    app.after_request(tell_allowance)
    problems.install(app)
    for module in (auth, oauth, users, posts, comments, root, docs):
        app.register_blueprint(module.blueprint)
    _let_slashes_be_left_out(app)
    docs.publish(app)
    return app


def _let_slashes_be_left_out(app: Flask) -> None:
    """Have every collection answer without its trailing slash, too, where werkzeug would redirect."""
    for rule in list(app.url_map.iter_rules()):
        if rule.rule.endswith("/") and rule.rule != "/":
            view, methods = app.view_functions[rule.endpoint], (rule.methods or set()) - {"OPTIONS"}
            app.add_url_rule(rule.rule.removesuffix("/"), rule.endpoint, view, methods=methods, alias=True)


def _refuse_early() -> None:
    """Refuse in the contract's order: path and method, Accept, then the body's size and type; tokens come later."""
    rule = request.url_rule
    if rule is not None:
        trace.current.get().route = rule.rule + "/" * rule.alias
    if isinstance(request.routing_exception, HTTPException):
        raise request.routing_exception
    in_api = request.path.startswith("/api/")
    if in_api and not _accepts_json(request.headers.get("Accept")):
        raise NotAcceptable
    if request.content_length or request.headers.get("Transfer-Encoding"):
        request.get_data()  # refuses what is too large
    requests.refuse_other_media_types()
    if trace.current.get().two_authorizations:
        raise MalformedRequest("Malformed request: more than one Authorization")
    if not in_api:
        requests.refuse_malformed_query()  # in the API that comes later, behind the token


@lru_cache(maxsize=256)  # clients have few of them, and to read one takes longer than to find it again
def _accepts_json(accept: str | None) -> bool:
    """Tell whether `Accept` lets JSON in (RFC 9110 §12.5.1), whatever parameters it asks for."""
    accepted = parse_accept_header(accept, MIMEAccept)
    qualities = {media_type.partition(";")[0].strip().lower(): quality for media_type, quality in accepted}
    ranges = [qualities[name] for name in ("application/json", "application/*", "*/*") if name in qualities]
    return ranges[0] > 0 if ranges else not accept
