from __future__ import annotations

import pytest
from service.errors import (
    EmailTaken,
    FieldFault,
    Forbidden,
    InvalidCredentials,
    InvalidToken,
    ServiceError,
    TokenMissing,
    Unauthorized,
    Unavailable,
    ValidationFailed,
)
from service.web.problems import explanation, kinds

ALL = list(kinds())
TITLES = {
    "TOKEN_MISSING": "Missing access token",
    "TOKEN_EXPIRED": "Token has expired",
    "INVALID_TOKEN": "Invalid token",
    "TOKEN_REVOKED": "Token has been revoked",
    "INVALID_CREDENTIALS": "Invalid credentials",
    "ACCOUNT_DISABLED": "Account disabled",
    "ADMIN_REQUIRED": "Admin access required",
    "EMAIL_TAKEN": "Email already registered",
    "USERNAME_TAKEN": "Username already taken",
}
STATUSES = {
    400: {"MALFORMED_REQUEST", "VALIDATION_ERROR"},
    401: {
        "TOKEN_MISSING",
        "TOKEN_EXPIRED",
        "INVALID_TOKEN",
        "WRONG_TOKEN_TYPE",
        "TOKEN_REVOKED",
        "TOKEN_REUSED",
        "INVALID_CREDENTIALS",
    },
    403: {"ACCOUNT_DISABLED", "FORBIDDEN", "ADMIN_REQUIRED"},
    404: {"NOT_FOUND"},
    405: {"METHOD_NOT_ALLOWED"},
    406: {"NOT_ACCEPTABLE"},
    408: {"REQUEST_TIMEOUT"},
    409: {"EMAIL_TAKEN", "USERNAME_TAKEN", "LAST_ADMIN"},
    413: {"PAYLOAD_TOO_LARGE"},
    414: {"URI_TOO_LONG"},
    415: {"UNSUPPORTED_MEDIA_TYPE"},
    431: {"HEADERS_TOO_LARGE"},
    500: {"INTERNAL_ERROR"},
    429: {"RATE_LIMITED"},
    503: {"UNAVAILABLE"},
}


def code_of(kind: type[ServiceError]) -> str:
    return kind.code


@pytest.mark.parametrize("status", STATUSES)
def test_every_code_of_the_contract_has_its_status(status: int) -> None:
    assert STATUSES[status] <= {kind.code for kind in ALL if kind.status == status}


@pytest.mark.parametrize(("code", "title"), TITLES.items(), ids=TITLES)
def test_titles_are_the_contracts(code: str, title: str) -> None:
    assert [kind.title for kind in ALL if kind.code == code] == [title]


def test_no_two_errors_have_one_code() -> None:
    assert len({kind.code for kind in ALL}) == len(ALL)


@pytest.mark.parametrize("kind", ALL, ids=code_of)
def test_every_error_explains_itself_in_one_line(kind: type[ServiceError]) -> None:
    assert len(explanation(kind)) > 20
    assert "\n" not in explanation(kind)


@pytest.mark.parametrize("kind", ALL, ids=code_of)
def test_a_document_has_the_members_of_rfc_9457_and_the_guides(kind: type[ServiceError]) -> None:
    document = kind().document("some-request")

    assert document == {
        "type": "/problems/" + kind.code.lower().replace("_", "-"),
        "title": kind.title,
        "status": kind.status,
        "code": kind.code,
        "error": kind.title,
        "request_id": "some-request",
    }


def test_a_title_can_be_made_more_precise() -> None:
    document = Forbidden("Cannot update another user").document("x")

    assert document["title"] == document["error"] == "Cannot update another user"


def test_faults_say_where_and_why() -> None:
    document = ValidationFailed(faults=(FieldFault("/email", "value_error", "An email is needed"),)).document("x")

    assert document["errors"] == [{"pointer": "/email", "code": "value_error", "message": "An email is needed"}]


@pytest.mark.parametrize(
    ("kind", "challenge"),
    [
        (TokenMissing, "Bearer"),
        (InvalidCredentials, "Bearer"),
        (InvalidToken, 'Bearer error="invalid_token"'),
    ],
)
def test_a_challenge_names_the_error_only_when_a_token_was_sent(kind: type[Unauthorized], challenge: str) -> None:
    assert kind().headers == {"WWW-Authenticate": challenge}


def test_unavailable_says_when_to_come_again() -> None:
    assert Unavailable(retry_after_seconds=7).headers == {"Retry-After": "7"}


def test_an_error_reads_as_its_title() -> None:
    assert str(EmailTaken()) == "Email already registered"
