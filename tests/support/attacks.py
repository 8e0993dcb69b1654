"""What holds whatever an attacker sends: `attacking` lends an `Attack` to a case, and checks all of it at the end.

Nothing here is asynchronous: cases are plain functions on blocking sockets, and their database has a loop of its own.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import itertools
import json
import re
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote_plus

from tests.support.accounts import PASSWORD, PASSWORD_HASH, Account
from tests.support.instances import connect
from tests.support.processes import Running, wait_until
from tests.support.sockets import Answer, Connection, ask

SECRET_KEY = "attacked-0123456789-abcdefghijklmnopqrstuvwxyz"
CASE_SECONDS = 300
"""More than any case takes."""
WAIT_SECONDS = 8
"""For the access lines of a case."""
QUIET_SECONDS = 3
"""For the service to leave its transactions."""
SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
CODES = {
    400: {"MALFORMED_REQUEST", "VALIDATION_ERROR"},
    401: {
        *("TOKEN_MISSING", "TOKEN_EXPIRED", "INVALID_TOKEN", "WRONG_TOKEN_TYPE", "TOKEN_REVOKED", "TOKEN_REUSED"),
        "INVALID_CREDENTIALS",
    },
    403: {"ACCOUNT_DISABLED", "FORBIDDEN", "ADMIN_REQUIRED"},
    404: {"NOT_FOUND"},
    405: {"METHOD_NOT_ALLOWED"},
    406: {"NOT_ACCEPTABLE"},
    408: {"REQUEST_TIMEOUT"},
    409: {"EMAIL_TAKEN", "USERNAME_TAKEN", "LAST_ADMIN", "IDEMPOTENCY_IN_PROGRESS"},
    412: {"PRECONDITION_FAILED"},
    413: {"PAYLOAD_TOO_LARGE"},
    414: {"URI_TOO_LONG"},
    415: {"UNSUPPORTED_MEDIA_TYPE"},
    422: {"IDEMPOTENCY_KEY_REUSED"},
    429: {"RATE_LIMITED"},
    431: {"HEADERS_TOO_LARGE"},
}
"""The contract's table of errors, less those of 5xx: no attack may bring one about."""
OAUTH_ERRORS = {
    *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
    "invalid_scope",
}
"""RFC 6749 §5.2."""

_REQUEST_LINE = re.compile(rb"[A-Z]+ (\S+) HTTP/1")
_SENT_SECRETS = re.compile(
    rb'Authorization:[ \t]*[^ \t\r\n]+[ \t]+([^ \t\r\n]{8,})|"[a-z_]*(?:password|_token)"\s*:\s*"([^"\\]{8,})"',
    re.IGNORECASE,
)
_SENT_IN_FORMS = re.compile(rb"(?:^|[?&])[a-z_]*(?:password|_token)=([^&\s]{8,})", re.IGNORECASE)


_TABLES = (
    "SELECT relname::text, NULL FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    " AND relpersistence = 'p' AND relname NOT IN ('alembic_version', 'login_failures')"
)


class Database:
    """SQL beside the service's, for tests that are no coroutines; transactions are the statements' own."""

    def __init__(self, url: str, *, application_name: str = "tests") -> None:
        self._loop = asyncio.new_event_loop()
        self._connection = self._loop.run_until_complete(connect(url))
        self._asking = _TABLES
        self._tables: Set[str] = set()
        self.execute("SELECT set_config('application_name', $1, false)", application_name)

    def fetch(self, query: str, *values: object) -> list[Any]:
        """Return the rows of a query."""
        rows: list[Any] = self._loop.run_until_complete(self._connection.fetch(query, *values))
        return rows

    def execute(self, query: str, *values: object) -> Any:
        """Run one statement and return the first value of its first row; None without one."""
        rows = self.fetch(query, *values)
        return rows[0][0] if rows else None

    def rows(self) -> dict[str, Counter[str]]:
        """Return all rows of all tables, as text, by table; but for those that say nothing of a user's things."""
        while True:  # until it has asked for all the tables that there are, which it mostly has at once
            found: dict[str, Counter[str]] = {}
            for table, row in self.fetch(self._asking):
                rows = found.setdefault(table, Counter())
                if row is not None:
                    rows[row] += 1
            if found.keys() == self._tables:
                return found
            self._tables = found.keys()
            every = (f"SELECT '{name}', t::text FROM public.\"{name}\" AS t" for name in found)
            self._asking = " UNION ALL ".join([_TABLES, *every])

    def at_work(self) -> list[str]:
        """Return what the service's connections to this database are doing; idle ones do nothing."""
        return [
            f"{state}: {query}"
            for state, query in self.fetch(
                "SELECT state, query FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'postern' AND state IS DISTINCT FROM 'idle'"
            )
        ]

    def close(self) -> None:
        """Leave."""
        self._loop.run_until_complete(self._connection.close())
        self._loop.close()


class Log:
    """What a server says, in pieces: each reading gives the whole lines that came since the one before."""

    def __init__(self, said: Path) -> None:
        self._said = said
        self._offset = said.stat().st_size

    def read(self) -> str:
        """Return the new lines."""
        with self._said.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        self._offset += len(new)
        return new.decode(errors="replace")


@dataclass(frozen=True)
class Arena:
    """Servers under attack, their database, a client who must never notice, and what the servers were started with."""

    servers: tuple[Running, ...]
    logs: tuple[Log, ...]
    database: Database
    witness: Account
    environment: Mapping[str, str] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))


@dataclass(frozen=True)
class Seen:
    """One final answer, and what was asked."""

    method: str
    target: str
    answer: Answer


class Attack:
    """One case's way to the servers: it writes down what went over the wire, to be checked at the end."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.seen: list[Seen] = []
        self.secrets = {SECRET_KEY, PASSWORD, "$argon2"}
        self._connections: list[WatchedConnection] = []
        self._changing: set[str] = set()
        self._broken_off: list[Answer | None] = []
        self._rows = arena.database.rows()

    # What a case does

    def connect(self, server: int = 0) -> WatchedConnection:
        """Open a connection that lasts until the end of the case, unless the case closes it."""
        connection = WatchedConnection(self.arena.servers[server], self)
        self._connections.append(connection)
        return connection

    def request(self, method: str, target: str, *lines: str, body: bytes | None = None, server: int = 0) -> Answer:
        """Send one request over a connection of its own."""
        with self.connect(server) as connection:
            return connection.request(method, target, *lines, body=body)

    def call(self, method: str, target: str, document: Any = None, token: str = "", server: int = 0) -> Answer:
        """Send one request of the API over a connection of its own."""
        with self.connect(server) as connection:
            return connection.call(method, target, document, token)

    def member(self, *, role: str = "user", is_active: bool = True) -> Account:
        """Make an account of a new name, by SQL as an operator may write it."""
        username = f"member{next(self.arena.numbers)}"
        email = f"{username}@example.com"
        user_id = self.sql(
            "INSERT INTO users (username, email, password_hash, role, is_active)"
            " VALUES ($1, $2, $3, $4, $5) RETURNING id",
            *(username, email, PASSWORD_HASH, role, is_active),
        )
        return Account(user_id, username, email)

    def log_in(self, account: Account) -> Account:
        """Return the account with the tokens of a new session."""
        with self.arranged():
            answer = self.call("POST", "/api/auth/login", {"email": account.email, "password": PASSWORD})
        return with_pair(account, answer)

    def refreshed(self, account: Account) -> Account:
        """Return the account with the next pair of its session."""
        with self.arranged():
            answer = self.call("POST", "/api/auth/refresh", token=account.refresh_token)
        return with_pair(account, answer)

    def signed_in(self, *, role: str = "user") -> Account:
        """Make an account with a session."""
        return self.log_in(self.member(role=role))

    def sql(self, query: str, *values: object) -> Any:
        """Arrange something behind the service's back."""
        with self.arranged():
            return self.arena.database.execute(query, *values)

    # What a case declares

    @contextlib.contextmanager
    def arranged(self) -> Iterator[None]:
        """Let what happens in here change rows: it is the case's own doing. What came before is checked first."""
        self.check_rows()
        yield
        self._rows = self.arena.database.rows()

    def may_change(self, *tables: str) -> None:
        """Let the rows of these tables be others at the end."""
        self._changing.update(tables)

    def keeps_secret(self, *secrets: str) -> None:
        """Name what no log may hold; tokens and passwords that were sent as such are known already."""
        self.secrets.update(secrets)

    def breaks_off(self, answer: Answer | None = None) -> None:
        """Say that a request's body never ends: its line says 499, or 400 if that was clear before the app was asked.

        The id of its answer, if any, need be in no line.
        """
        self._broken_off.append(answer)

    # What holds for every case

    def check(self) -> None:
        """Check everything, after the client who must not notice has asked once more."""
        for connection in self._connections:
            connection.__exit__()
        ids = [seen.answer.headers.get("x-request-id", "") for seen in self.seen] + self._served_as_ever()
        for seen in self.seen:
            check_answer(seen)
        for answer in self._broken_off:
            if answer is not None:
                ids.remove(answer.headers["x-request-id"])
        check_log(self._log_of(ids), ids, left=len(self._broken_off), secrets=self.secrets)
        self.check_quiet()
        self.check_rows()

    def check_rows(self) -> None:
        """Check that no row is another than it was, but for what the case declared."""
        assert not (found := changes(self._rows, self.arena.database.rows(), but=self._changing)), found

    def check_quiet(self) -> None:
        """Check that no connection of the service works, or is in a transaction, once all answers are there."""
        deadline = time.monotonic() + QUIET_SECONDS
        while (busy := self.arena.database.at_work()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not busy, busy

    def _served_as_ever(self) -> list[str]:
        """Check that each server still serves a client of good will; return the ids of those requests."""
        witness, ids = self.arena.witness, []
        for server in self.arena.servers:
            answer = ask(server, "GET", "/api/auth/me", token=witness.access_token)
            assert answer.status == 200, answer
            said = answer.json()
            expected = {"id": witness.id, "username": witness.username, "email": witness.email, "role": "user"}
            assert said == said | expected | {"is_active": True}, said
            ids.append(answer.headers["x-request-id"])
        return ids

    def _log_of(self, ids: Sequence[str]) -> str:
        """Return what the servers logged during the case, once it has the access lines that it should, or is late."""
        text, deadline = "", time.monotonic() + WAIT_SECONDS
        wanted = len(ids) + len(self._broken_off)
        while True:
            text += "".join(log.read() for log in self.arena.logs)
            whole = text.count('"logger": "postern.access"') >= wanted and all(id_ in text for id_ in ids)
            if whole or time.monotonic() > deadline:
                return text
            time.sleep(0.005)


class WatchedConnection(Connection):
    """A connection that tells its attack of every answer, and of the secrets that go over it."""

    def __init__(self, server: Running, attack: Attack) -> None:
        super().__init__(server)
        # A head and its body go out as they are written, and not once the server has acknowledged the former.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._attack = attack
        self._target = ""

    def send(self, data: bytes) -> Self:
        """Send some bytes."""
        for found in _SENT_SECRETS.findall(data):
            self._attack.secrets.update(part.decode("latin-1") for part in found if part)
        for value in _SENT_IN_FORMS.findall(data):
            self._attack.secrets.update({value.decode("latin-1"), unquote_plus(value.decode("latin-1"))})
        if line := _REQUEST_LINE.match(data):
            self._target = line[1].decode("latin-1")
        return super().send(data)

    def answer(self, method: str = "GET") -> Answer:
        """Read one answer, interim ones (100) as well."""
        answer = super().answer(method)
        if answer.status >= 200:
            self._attack.seen.append(Seen(method, self._target, answer))
        if b'"access_token"' in answer.body:
            self._attack.secrets.update(value for name, value in answer.json().items() if name.endswith("h_token"))
            self._attack.secrets.add(answer.json()["access_token"])
        return answer


def with_pair(account: Account, answer: Answer) -> Account:
    """Return the account with the tokens of an answer."""
    assert answer.status == 200, answer
    pair = answer.json()
    return replace(account, access_token=pair["access_token"], refresh_token=pair["refresh_token"])


@contextlib.contextmanager
def attacking(arena: Arena) -> Iterator[Attack]:
    """Lend an attack, and check at the end what holds for all of them.

    Raises:
        AssertionError: something does not hold.
    """
    arena = with_a_token_that_lasts(arena)
    for log in arena.logs:
        log.read()
    attack = Attack(arena)
    with contextlib.ExitStack() as stack:
        stack.callback(settle, arena)
        yield attack
        attack.check()
        stack.pop_all()


def with_a_token_that_lasts(arena: Arena) -> Arena:
    """Return the arena with its witness logged in anew if need be: a suite may outlast an access token."""
    _, *claims = arena.witness.access_token.split(".")[:2]
    if not claims or json.loads(base64.urlsafe_b64decode(claims[0] + "=="))["exp"] > time.time() + CASE_SECONDS:
        return arena
    server = arena.servers[0]
    answer = ask(server, "POST", "/api/auth/login", {"email": "witness@example.com", "password": PASSWORD})
    wait_until(lambda: server.access_lines(answer.headers["x-request-id"]))  # or the case would find it
    return replace(arena, witness=with_pair(arena.witness, answer))


def settle(arena: Arena) -> None:
    """Wait for the last access lines of a case that failed, so that the next one does not find them."""
    for server in arena.servers:
        wait_until(functools.partial(server.access_lines, ask(server, "GET", "/livez").headers["x-request-id"]))


def check_answer(seen: Seen) -> None:
    """Check that an answer is no fault of the service, is hardened and, if a refusal, one of the contract's."""
    answer = seen.answer
    assert answer.status < 500, seen
    assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY, seen
    assert "server" not in answer.headers, seen
    assert re.fullmatch(r"[A-Za-z0-9_.-]{8,64}", answer.headers.get("x-request-id", "")), seen
    if answer.status < 400:
        return
    if seen.target.partition("?")[0] == "/api/auth/token" and answer.status in (400, 401):
        assert answer.headers["content-type"] == "application/json", seen
        assert answer.json()["error"] in OAUTH_ERRORS, seen
        return
    assert answer.headers["content-type"] == "application/problem+json", seen
    assert ("www-authenticate" in answer.headers) == (answer.status == 401), seen
    assert ("allow" in answer.headers) == (answer.status == 405), seen
    assert ("retry-after" in answer.headers) == (answer.status == 429), seen
    if seen.method != "HEAD":
        check_problem(answer)


def check_problem(answer: Answer) -> None:
    """Check that the body is a problem document whose members agree with one another and with the answer."""
    document = answer.json()
    code = document["code"]
    assert code in CODES[answer.status], document
    assert document["status"] == answer.status, document
    assert document["type"] == "/problems/" + code.lower().replace("_", "-"), document
    assert document["error"] == document["title"], document
    assert document["request_id"] == answer.headers["x-request-id"], document
    assert ("errors" in document) == (code == "VALIDATION_ERROR"), document


def check_log(text: str, ids: Iterable[str], *, left: int = 0, secrets: Iterable[str] = ()) -> None:
    """Check that each of the ids has exactly one access line, that there are `left` more, all 499 or 400, and that
    neither an error nor a secret is among the lines.
    """
    lines = [json.loads(line) for line in text.splitlines()]
    faults = [line for line in lines if line["level"] in ("error", "critical") or "exception" in line]
    assert not faults, faults
    assert "Traceback" not in text
    told = [secret for secret in secrets if secret in text or json.dumps(secret)[1:-1] in text]
    assert not told, told
    access = [line for line in lines if line["logger"] == "postern.access"]
    counted, wanted = Counter(line["request_id"] for line in access), Counter(ids)
    assert max(wanted.values(), default=1) == 1, f"sent twice: {wanted.most_common(3)}"
    assert not (missing := wanted - counted), f"no access line: {missing}"
    others = [line for line in access if (counted - wanted)[line["request_id"]]]
    assert len(others) == left, f"more access lines: {others}"
    assert {line["status"] for line in others} <= {499, 400}, others


def changes(before: dict[str, Counter[str]], after: dict[str, Counter[str]], *, but: Iterable[str] = ()) -> list[str]:
    """Return the rows that are gone (-) or new (+), in all tables but these."""
    found = []
    for table in sorted((before.keys() | after.keys()) - set(but)):
        old, new = before.get(table, Counter()), after.get(table, Counter())
        found += [f"- {table} {row}" for row in (old - new).elements()]
        found += [f"+ {table} {row}" for row in (new - old).elements()]
    return found
