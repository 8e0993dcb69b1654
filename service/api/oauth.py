"""`/api/auth/token`: logging in and refreshing in the form of OAuth 2.0 (RFC 6749), for clients that speak only that.

What is refused with 400 has the form of RFC 6749 §5.2; everything else is a problem document as elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl

from flask import Blueprint, Response, jsonify, request

from service.api.caller import caller
from service.api.context import get_context
from service.api.limits import limited
from service.api.schemas.auth import OAuthRefusal, TokenRequest, Tokens
from service.errors import BadRequest, Denied, ServiceError, Unauthorized
from service.services import auth
from service.services.limits import Rate
from service.services.principal import present
from service.tokens import TokenPair
from service.web.operation import documented

FORM = "application/x-www-form-urlencoded"
FIELDS_LIMIT = 50

Parameters = Mapping[str, str]

blueprint = Blueprint("oauth", __name__, url_prefix="/api/auth")


class TokenRequestRefused(Exception):
    """The request can't lead to tokens; ``code`` is RFC 6749's."""

    def __init__(self, code: str, description: str) -> None:
        self.code = code
        self.description = description
        super().__init__(description)


@blueprint.post("/token")
@limited(Rate.TOKEN)
@documented(form=TokenRequest, answer=Tokens, others={400: OAuthRefusal})
async def token() -> Response:
    """Get tokens by the password grant (RFC 6749 §4.3) or the refresh_token grant (§6), as a form.

    `username` is the email or the username. Client authentication and parameters that are not known are ignored.
    """
    parameters = _parameters()
    grant = GRANTS.get(_required(parameters, "grant_type"))
    if grant is None:
        raise TokenRequestRefused("unsupported_grant_type", "The grants are password and refresh_token")
    tokens = Tokens.of(await grant(parameters))
    return Response(tokens.model_dump_json(), headers={"Pragma": "no-cache"}, content_type="application/json")


async def _by_password(parameters: Parameters) -> TokenPair:
    name, password = _required(parameters, "username").strip(), _required(parameters, "password")
    pair, _ = await auth.log_in(get_context(), auth.Login(name, password, oauth=True), caller=caller())
    return pair


async def _by_refresh_token(parameters: Parameters) -> TokenPair:
    claims = await present(get_context(), _required(parameters, "refresh_token"))
    return await auth.refresh(get_context(), claims, caller=caller())


GRANTS: dict[str, Callable[[Parameters], Awaitable[TokenPair]]] = {
    "password": _by_password,
    "refresh_token": _by_refresh_token,
}


def _parameters() -> Parameters:
    """Return the form's parameters; one without a value counts as left out (RFC 6749 §3.2)."""
    if request.mimetype != FORM:
        raise TokenRequestRefused("invalid_request", f"Content-Type must be {FORM}")
    try:
        pairs = parse_qsl(request.get_data().decode(), errors="strict", max_num_fields=FIELDS_LIMIT)
    except ValueError as error:
        raise TokenRequestRefused("invalid_request", "The form is not one in UTF-8, or has too many fields") from error
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise TokenRequestRefused("invalid_request", "A parameter may be given once")
    if any("\0" in text for pair in pairs for text in pair):
        raise TokenRequestRefused("invalid_request", "U+0000 is not allowed in text")
    return parameters


def _required(parameters: Parameters, name: str) -> str:
    if name not in parameters:
        raise TokenRequestRefused("invalid_request", f"{name} is missing")
    return parameters[name]


@blueprint.errorhandler(TokenRequestRefused)
def _refuse_request(refused: TokenRequestRefused) -> tuple[Response, int]:
    return jsonify(error=refused.code, error_description=refused.description), 400


@blueprint.errorhandler(BadRequest)
def _refuse_malformed(refusal: ServiceError) -> tuple[Response, int]:
    return jsonify(error="invalid_request", error_description=refusal.title), 400


@blueprint.errorhandler(Unauthorized)
@blueprint.errorhandler(Denied)
def _refuse_grant(refusal: ServiceError) -> tuple[Response, int]:
    """Say that the password or the refresh token is not good; a disabled account is no other case here (§5.2)."""
    return jsonify(error="invalid_grant", error_description=refusal.title), 400
