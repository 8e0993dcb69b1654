"""The Flask app: blueprints, error handlers and hooks wired together. No rule lives here."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from flask import Flask, Request, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_accept_header
from werkzeug.routing import MapAdapter

from service import trace
from service.api import auth, comments, docs, oauth, posts, root, users
from service.api.limits import tell_allowance
from service.config import Settings
from service.errors import MalformedRequest, NotAcceptable
from service.web import problems, requests
from service.web.converters import RowIdConverter


class App(Flask):
    """Flask, less what it would find out anew for each request."""

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self._sync = lru_cache(maxsize=256)(super().ensure_sync)  # more than there are views and hooks

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, or what awaits it."""
        return self._sync(func)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what finds routes by path and method, and builds paths: no route has a host, nothing redirects."""
        if request is None:
            return None
        return self.url_map.bind("", request.root_path, path_info=request.path, default_method=request.method)


def create_app(settings: Settings) -> Flask:
    """Return the app. It answers once `service.api.context.attach` has given it the context of its process.

    Flask's own SECRET_KEY stays unset: there is no cookie session, and without one Flask does no work for it. The key
    that signs tokens belongs to the token codec.
    """
    app = App(__name__)
    app.debug = settings.debug
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.url_map.converters["int"] = RowIdConverter
    # Nothing is ever redirected.
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.before_request(partial(_refuse_early, app))
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


def _refuse_early(app: Flask) -> None:
    """Refuse in the contract's order: path and method, Accept, then the body's size and type; tokens come later."""
    asked, traced = request._get_current_object(), trace.current.get()  # type: ignore[attr-defined]  # of the proxy
    rule, headers = asked.url_rule, asked.headers
    if rule is not None:
        traced.route = rule.rule + "/" * rule.alias
    if isinstance(asked.routing_exception, HTTPException):
        raise asked.routing_exception
    in_api = asked.path.startswith("/api/")
    if in_api and not _accepts_json(headers.get("Accept")):
        raise NotAcceptable
    if headers.get("Content-Length") or headers.get("Transfer-Encoding"):
        asked.get_data()  # refuses what is too large
    requests.refuse_other_media_types(asked, app.view_functions.get(asked.endpoint or ""))
    if traced.two_authorizations:
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
