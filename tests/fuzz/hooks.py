"""What schemathesis is told beside the document: who asks, and which values are good where a schema can't say it.

It is loaded by schemathesis, in its own environment (`python -m tests.fuzz`).
"""

from __future__ import annotations

import itertools
import os
import subprocess
import uuid
from typing import Any

import requests
import schemathesis
from hypothesis import strategies as st

URL = os.environ["FUZZ_URL"]
ROLE = os.environ["FUZZ_ROLE"]
PASSWORD = "correct horse battery"
SECONDS = 60

REFRESH = "/api/auth/refresh"
TOKEN = "/api/auth/token"
RULES = {
    "cursor",  # it has to be one that the service has made
    "page_with_cursor",
    "username",  # letters and digits of all scripts are more than one pattern can tell
    "password_common",
    "wrong_password",
}
"""Codes of faults that are beyond a schema."""
TOO_LARGE = {413, 414, 431}

# Any eight characters fit the schema of a password, and the commonest are refused all the same.
schemathesis.openapi.format("password", st.builds(lambda: uuid.uuid4().hex))


class Caller:
    """An account to ask with; another one when it is gone, or no longer what it was."""

    email = ""
    id = 0

    def tokens(self) -> Any:
        """Log in: whatever a request before has ended, this is a new session."""
        body = {"email": self.email, "password": PASSWORD}
        answer = requests.post(f"{URL}/api/auth/login", json=body, timeout=SECONDS) if self.email else None
        if answer is None or answer.status_code != 200 or answer.json()["user"]["role"] != ROLE:
            self._begin_anew()
            return self.tokens()
        self.id = answer.json()["user"]["id"]
        return answer.json()

    def _begin_anew(self) -> None:
        name = f"fuzz-{uuid.uuid4().hex[:12]}"
        self.email = f"{name}@example.com"
        if ROLE == "admin":
            command = [os.environ["FUZZ_POSTERN"], "create-admin", "--username", name, "--email", self.email]
            subprocess.run([*command, "--password", PASSWORD], check=True, capture_output=True, timeout=SECONDS)
        else:
            body = {"username": name, "email": self.email, "password": PASSWORD}
            requests.post(f"{URL}/api/users/", json=body, timeout=SECONDS).raise_for_status()


caller = Caller()
turns = itertools.count()


def bearer(case: Any, token: str) -> None:
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}


class Access:
    """The access token; another one once it is refused, since a request may have ended its session."""

    def get(self, case: Any, context: Any) -> str:
        return str(caller.tokens()["access_token"])

    def set(self, case: Any, data: str, context: Any) -> None:
        bearer(case, data)


class Refresh:
    """A refresh token that was not used before."""

    def get(self, case: Any, context: Any) -> str:
        return str(caller.tokens()["refresh_token"])

    def set(self, case: Any, data: str, context: Any) -> None:
        bearer(case, data)


if ROLE != "nobody":
    schemathesis.auth(refresh_interval=None).apply_to(path=REFRESH)(Refresh)
    schemathesis.auth(refresh_interval=600).skip_for(path=REFRESH)(Access)


@schemathesis.hook
def before_call(context: Any, case: Any, **kwargs: Any) -> None:
    """Let a user change and delete the account that is theirs, every other time; an admin may change all."""
    given = (case.path_parameters or {}).get("user_id")
    if ROLE == "user" and case.method != "GET" and isinstance(given, int) and next(turns) % 2:
        case.path_parameters["user_id"] = caller.id or given


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Drop what is refused by a rule that no schema can say, or taken because a standard says so."""
    kind = type(failure).__name__
    if kind == "RejectedPositiveData":
        return not refused_by_a_rule(response)
    if kind != "AcceptedNegativeData":
        return True
    if response.status_code in TOO_LARGE:  # refused, before anybody looked at what else was wrong with it
        return False
    # RFC 6749 section 3.2: a parameter without a value is as good as left out.
    return not (case.operation.path == TOKEN and "smaller than minLength" in str(failure))


def refused_by_a_rule(response: Any) -> bool:
    problem = response.json()
    if problem.get("code") in ("PRECONDITION_FAILED", "IDEMPOTENCY_KEY_REUSED"):
        return True
    if problem.get("error") == "invalid_grant":
        return True
    return {fault["code"] for fault in problem.get("errors", [{"code": ""}])} <= RULES
