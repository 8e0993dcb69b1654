"""Tokens as an attacker makes them: each begins with a good one, whose header and claims are then what a case wants."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.app import create_app
from service.config import Settings
from service.web.operation import operation_of
from tests.support.attacks import SECRET_KEY
from werkzeug.routing import Rule

ABSENT = object()
"""In the place of a value: the member is left out."""

_ARGUMENT = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?\w+>")
_BODIES: dict[str, Any] = {"UserChanges": {"username": "taken.over"}}
"""What would do harm, by the schema's name. For others an empty object does: a token is refused before its body."""


def encoded(data: bytes | Mapping[str, Any]) -> str:
    """Return a segment of a token: base64url, unpadded, of these bytes or of this object as JSON."""
    whole = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(whole).rstrip(b"=").decode()


def decoded(segment: str) -> dict[str, Any]:
    """Return the object that a segment of a token is."""
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return found


@dataclass(frozen=True)
class Forge:
    """What an attacker has: good tokens of both kinds, the key in the cases that need it, and what others are called.

    `token` is of the kind that the route takes, `other` of the other kind; `stranger` is the session of another user.
    """

    token: str
    other: str
    stranger: str

    @property
    def header(self) -> dict[str, Any]:
        """The good token's header."""
        return decoded(self.token.split(".")[0])

    @property
    def claims(self) -> dict[str, Any]:
        """The good token's claims, as if it were issued now."""
        claims = decoded(self.token.split(".")[1])
        now = int(time.time())
        return claims | {"iat": now, "nbf": now, "exp": now + claims["exp"] - claims["iat"], "jti": str(uuid.uuid4())}

    def sign(
        self,
        header: bytes | Mapping[str, Any] | None = None,
        claims: bytes | Mapping[str, Any] | None = None,
        *,
        key: bytes = SECRET_KEY.encode(),
        digest: str = "sha256",
    ) -> str:
        """Return a token of this header and these claims, signed; those left out are the good token's."""
        signed = (
            encoded(self.header if header is None else header)
            + "."
            + encoded(self.claims if claims is None else claims)
        )
        return signed + "." + encoded(hmac.digest(key, signed.encode(), digest))

    def with_header(self, *, key: bytes = SECRET_KEY.encode(), digest: str = "sha256", **members: Any) -> str:
        """Return a good token but for these members of its header."""
        return self.sign(_changed(self.header, members), key=key, digest=digest)

    def with_claims(self, **members: Any) -> str:
        """Return a good token but for these claims."""
        return self.sign(claims=_changed(self.claims, members))

    def with_times(self, **seconds: int) -> str:
        """Return a good token but for these times, in seconds from now."""
        now = int(time.time())
        return self.with_claims(**{name: now + offset for name, offset in seconds.items()})

    def with_text(self, name: str, text: str) -> str:
        """Return a good token in whose claims the value of one is this text of JSON, or of what is no JSON."""
        claims = json.dumps(_changed(self.claims, {name: "PLACE"}))
        return self.sign(claims=claims.replace('"PLACE"', text).encode())

    def segments(self) -> tuple[str, str, str]:
        """Return the three parts of the good token."""
        header, claims, signature = self.token.split(".")
        return header, claims, signature


Forgery = Callable[[Forge], str]


def key_id(key: str) -> str:
    """Return a key's id of the form that ours have."""
    return hashlib.sha256(b"kid:" + key.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Route:
    """A method and a path of the API, with a body where it takes one."""

    method: str
    rule: str
    body: Any
    takes_refresh_token: bool

    def target(self, user_id: int) -> str:
        """Return the path, with this user's id or any UUID in the place of its arguments."""
        return _ARGUMENT.sub(lambda found: str(user_id) if found[1] == "int" else str(uuid.UUID(int=7)), self.rule)


def guarded_routes() -> list[Route]:
    """Return all routes that ask for a token, as the URL map has them: with and without a trailing slash."""
    return [route for route, guard in _routes() if guard]


def open_routes() -> list[Route]:
    """Return all routes of the API that ask for none."""
    return [route for route, guard in _routes() if not guard and route.rule.startswith("/api")]


def _routes() -> Iterator[tuple[Route, bool]]:
    app = create_app(Settings.load(_env_file=None, app_env="testing"))
    for rule in app.url_map.iter_rules():
        view: Any = app.view_functions[rule.endpoint]
        body, bearer = operation_of(view).body, operation_of(view).bearer
        for method in _methods(rule):
            route = Route(
                method,
                rule.rule,
                None if body is None or method == "GET" else _BODIES.get(body.__name__, {}),
                bearer == "refresh",
            )
            yield route, bearer in ("access", "refresh")


def _methods(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})


def _changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**members, **changes}.items() if value is not ABSENT}
