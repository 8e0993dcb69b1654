"""The expected refusals of the service: code, status and title of each (RFC 9457, contract: Errors).

    ServiceError
      BadRequest 400           MalformedRequest, ValidationFailed
      Unauthorized 401         TokenMissing, TokenExpired, InvalidToken, WrongTokenType, TokenRevoked, TokenReused,
                               InvalidCredentials
      Denied 403               AccountDisabled, Forbidden, AdminRequired
      NotFound 404  MethodNotAllowed 405  NotAcceptable 406  RequestTimeout 408
      Conflict 409             EmailTaken, UsernameTaken, LastAdmin, IdempotencyInProgress
      PreconditionFailed 412  PayloadTooLarge 413  UriTooLong 414  UnsupportedMediaType 415  IdempotencyKeyReused 422
      RateLimited 429  HeadersTooLarge 431  InternalError 500  CodingNotImplemented 501  Unavailable 503

A docstring below is public: `GET /problems/<slug>` answers with it. Nothing here knows Flask, SQL or HTTP machinery.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldFault:
    """What is wrong with one field: a JSON pointer (RFC 6901) into the body, ``?name`` of a query, or a header's."""

    pointer: str
    code: str
    message: str


class ServiceError(Exception):
    """A refusal that a client may rely on.

    ``title`` may be made more precise for one occurrence; ``headers`` go out with the answer.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    title: str

    def __init__(
        self, title: str | None = None, *, faults: tuple[FieldFault, ...] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        self.title = title or type(self).title
        self.faults = faults
        self.headers: Mapping[str, str] = headers or {}
        super().__init__(self.title)

    @classmethod
    def slug(cls) -> str:
        """Return the last segment of the problem's ``type``."""
        return cls.code.lower().replace("_", "-")

    def document(self, request_id: str) -> dict[str, Any]:
        """Return the problem details (RFC 9457 §3) of this occurrence."""
        document: dict[str, Any] = {
            "type": f"/problems/{self.slug()}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "error": self.title,
            "request_id": request_id,
        }
        if self.faults:
            document["errors"] = [asdict(fault) for fault in self.faults]
        return document

    def to_json(self, request_id: str) -> str:
        """Return the document as it goes out."""
        return json.dumps(self.document(request_id))


class BadRequest(ServiceError):
    """The request can't be understood."""

    status = 400


class MalformedRequest(BadRequest):
    """The request is not well-formed: the body has to be one UTF-8 JSON value, without a byte order mark, duplicate
    member names, NaN or Infinity, and no deeper than 20 levels; text must not hold U+0000, unpaired surrogates or
    percent-escapes that are not UTF-8; `Authorization` may be sent once.
    """

    code = "MALFORMED_REQUEST"
    title = "Malformed request"


class ValidationFailed(BadRequest):
    """The body, the query or a header field is well-formed, but not of the shape that the route asks for; `errors` says
    where and why. Unknown members and unknown query parameters are refused too.
    """

    code = "VALIDATION_ERROR"
    title = "Validation failed"


class Unauthorized(ServiceError):
    """The caller is not who the route needs."""

    status = 401

    def __init__(self, title: str | None = None) -> None:
        super().__init__(title, headers={"WWW-Authenticate": self._challenge()})

    @classmethod
    def _challenge(cls) -> str:
        """RFC 6750 §3: the error is named only when a token was sent."""
        return 'Bearer error="invalid_token"'


class TokenMissing(Unauthorized):
    """The route needs an access token in `Authorization: Bearer <token>`; there is none, or another scheme."""

    code = "TOKEN_MISSING"
    title = "Missing access token"

    @classmethod
    def _challenge(cls) -> str:
        return "Bearer"


class TokenExpired(Unauthorized):
    """The token's time is over. Exchange the refresh token for a new pair, or log in again."""

    code = "TOKEN_EXPIRED"
    title = "Token has expired"


class InvalidToken(Unauthorized):
    """The token can't be accepted: its form, signature or claims are wrong, or its user is gone or disabled."""

    code = "INVALID_TOKEN"
    title = "Invalid token"


class WrongTokenType(Unauthorized):
    """A refresh token was sent where an access token belongs, or the reverse."""

    code = "WRONG_TOKEN_TYPE"
    title = "Wrong token type"


class TokenRevoked(Unauthorized):
    """The token's session has ended: by logout, by its owner, or because the password changed."""

    code = "TOKEN_REVOKED"
    title = "Token has been revoked"


class TokenReused(Unauthorized):
    """A refresh token that had been exchanged before came back, so somebody else may hold it: the session is ended."""

    code = "TOKEN_REUSED"
    title = "Refresh token has been used before"


class InvalidCredentials(Unauthorized):
    """There is no account with this email and this password."""

    code = "INVALID_CREDENTIALS"
    title = "Invalid credentials"

    @classmethod
    def _challenge(cls) -> str:
        return "Bearer"


class Denied(ServiceError):
    """The caller is known and may not do this."""

    status = 403


class AccountDisabled(Denied):
    """The password is right, but an administrator has disabled the account."""

    code = "ACCOUNT_DISABLED"
    title = "Account disabled"


class Forbidden(Denied):
    """The caller may not do this to this resource."""

    code = "FORBIDDEN"
    title = "Forbidden"


class AdminRequired(Denied):
    """Only administrators may do this."""

    code = "ADMIN_REQUIRED"
    title = "Admin access required"


class NotFound(ServiceError):
    """There is nothing at this path, or the resource that it names does not exist (any more)."""

    status = 404
    code = "NOT_FOUND"
    title = "Not found"


class MethodNotAllowed(ServiceError):
    """The path exists, but not with this method; `Allow` lists those that do."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    title = "Method not allowed"


class NotAcceptable(ServiceError):
    """The API speaks JSON, and the request's `Accept` excludes it."""

    status = 406
    code = "NOT_ACCEPTABLE"
    title = "Only application/json can be offered"


class RequestTimeout(ServiceError):
    """The whole body did not arrive in time."""

    status = 408
    code = "REQUEST_TIMEOUT"
    title = "The request took too long to arrive"


class Conflict(ServiceError):
    """The request is fine, but the state of the service does not allow it."""

    status = 409


class EmailTaken(Conflict):
    """An account with this email exists; letter case does not tell two emails apart."""

    code = "EMAIL_TAKEN"
    title = "Email already registered"


class UsernameTaken(Conflict):
    """An account with this username exists; neither letter case nor compatibility forms tell two names apart."""

    code = "USERNAME_TAKEN"
    title = "Username already taken"


class LastAdmin(Conflict):
    """The last active administrator can't be demoted, disabled or deleted."""

    code = "LAST_ADMIN"
    title = "The last active admin must remain"


class IdempotencyInProgress(Conflict):
    """The first request with this `Idempotency-Key` is still running. Repeat this one in a moment."""

    code = "IDEMPOTENCY_IN_PROGRESS"
    title = "The first request with this Idempotency-Key is still running"


class PreconditionFailed(ServiceError):
    """The resource is not what `If-Match` says: somebody has changed it. Get it again, and decide."""

    status = 412
    code = "PRECONDITION_FAILED"
    title = "The resource has changed"


class PayloadTooLarge(ServiceError):
    """The body is larger than the service accepts."""

    status = 413
    code = "PAYLOAD_TOO_LARGE"
    title = "Payload too large"


class UriTooLong(ServiceError):
    """The path and query are longer than the service accepts."""

    status = 414
    code = "URI_TOO_LONG"
    title = "URI too long"


class UnsupportedMediaType(ServiceError):
    """Bodies have to be JSON, sent as `Content-Type: application/json`."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"
    title = "Content-Type must be application/json"


class IdempotencyKeyReused(ServiceError):
    """This `Idempotency-Key` came with another request before, and stands for that one until it has expired."""

    status = 422
    code = "IDEMPOTENCY_KEY_REUSED"
    title = "This Idempotency-Key came with another request before"


class RateLimited(ServiceError):
    """There were too many requests from this address, or too many failed logins. Wait as `Retry-After` says."""

    status = 429
    code = "RATE_LIMITED"
    title = "Too many requests"

    def __init__(self, title: str | None = None, *, retry_after_seconds: int = 1) -> None:
        super().__init__(title, headers={"Retry-After": str(retry_after_seconds)})


class HeadersTooLarge(ServiceError):
    """The header fields are more, or larger together, than the service accepts."""

    status = 431
    code = "HEADERS_TOO_LARGE"
    title = "Request header fields too large"


class InternalError(ServiceError):
    """A bug of the service. Please report it with the request id."""

    status = 500
    code = "INTERNAL_ERROR"
    title = "Internal server error"


class CodingNotImplemented(ServiceError):
    """The body is in a transfer coding other than `chunked` alone (RFC 9112 §6.1)."""

    status = 501
    code = "NOT_IMPLEMENTED"
    title = "Transfer coding not implemented"


class Unavailable(ServiceError):
    """The service can't answer now: its database is away, it is overloaded or stopping, or it took too long. Wait as
    `Retry-After` says. The outcome of a write is unknown.
    """

    status = 503
    code = "UNAVAILABLE"
    title = "Service unavailable"

    def __init__(self, title: str | None = None, *, retry_after_seconds: int = 1) -> None:
        super().__init__(title, headers={"Retry-After": str(retry_after_seconds)})
