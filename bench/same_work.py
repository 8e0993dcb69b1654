"""The proof that all systems do the same work, to be had before any is timed: `python -m bench.same_work [SYSTEM ...]`.

Each is asked for the five kinds of work on the same rows, and has to answer what the service answers: the same status
and the same JSON, but for ids, times and tokens that are made by the answer, and for `next_cursor`, which only the
service seals. What it says that it has stored has to be there; its tokens have to be good for the service, and say what
the service's say. And it has to refuse what is to be refused: so it has looked.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import http.client
import json
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from bench.dataset import ACCESS_SECONDS, USERS, Dataset, dataset
from bench.peers import Server, install_peers
from bench.systems import OURS, SYSTEMS, started
from service.paging import COUNTED_ROWS
from service.tokens import TokenType, generation, new_jti

TIMEOUT_SECONDS = 10
NEW_POST = {"title": "Ünder one löop", "body": "It is what it is, “quoted”, and not what it was. 🦉\n" * 6}
OF_NEW_ROWS = frozenset({"id", "created_at", "updated_at"})
OF_A_LIBRARY = {"type", "fresh", "csrf"}
"""Claims that Flask-JWT-Extended writes beside those that are asked for."""
SESSION = """
    SELECT user_id, access_jti, refresh_jti, parent_jti, kid, ended_at, ip, user_agent,
        access_expires_at - date_trunc('second', issued_at) AS access,
        expires_at - date_trunc('second', issued_at) AS refresh,
        ends_at - date_trunc('second', issued_at) AS longest
    FROM sessions WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and what it is for."""

    what: str
    method: str
    target: str
    token: str = ""
    body: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and what was said in JSON, or as it was if it was not JSON."""

    status: int
    document: Any


def prove(servers: Sequence[Server], rows: Dataset) -> None:
    """Ask each server for all the work, and compare it with the service, which has to be among them.

    Posts and sessions are made by it.

    Raises:
        SystemExit: one answers, stores or refuses something else; the message says who and what.
    """
    ours = next((server for server in servers if server.system.name == OURS), None)
    if ours is None:
        raise SystemExit(f"bench: {OURS} has to be among the systems: it says what is right")
    for server in servers:
        _check_reads(server, ours, rows)
        _check_post(server, ours, rows)
        _check_login(server, ours, rows)
        _check_refusals(server, rows)


def ask(server: Server, asked: Asked) -> Answer:
    """Ask one thing, over a connection of its own.

    Raises:
        SystemExit: there is no answer.
    """
    headers = {"Authorization": f"Bearer {asked.token}"} if asked.token else {}
    body = None if asked.body is None else json.dumps(asked.body)
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request(asked.method, asked.target, body, headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise _fault(server, asked.what, f"there is no answer: {error!r}") from None
    try:
        return Answer(answer.status, json.loads(said))
    except ValueError:
        return Answer(answer.status, said)


def _check_reads(server: Server, ours: Server, rows: Dataset) -> None:
    newest, other = rows.tokens[0], rows.tokens[-1]
    for asked in (
        Asked("the caller's account", "GET", "/api/auth/me", newest),
        Asked("another caller's account", "GET", "/api/auth/me", other),
        Asked("a list with the caller in it", "GET", "/api/users/?per_page=20", newest),
        Asked("a list", "GET", "/api/users/?per_page=20", other),
        Asked("a later page", "GET", "/api/users/?per_page=7&page=9", other),
        *(Asked("a post", "GET", f"/api/posts/{post_id}") for post_id in rows.post_ids[:3]),
    ):
        given, expected = ask(server, asked), ask(ours, asked)
        _compare(server, asked.what, _uncounted(given), _uncounted(expected), but={"next_cursor"})


def _uncounted(answer: Answer) -> Answer:
    """Return the answer without its count, if that is beyond what the service counts: others may go on."""
    if isinstance(answer.document, dict) and answer.document.get("total", 0) >= COUNTED_ROWS:
        beyond = {"total", "pages", "total_capped"}
        return Answer(answer.status, {name: answer.document[name] for name in answer.document.keys() - beyond})
    return answer


def _check_post(server: Server, ours: Server, rows: Dataset) -> None:
    asked = Asked("a new post", "POST", "/api/posts/", rows.tokens[0], NEW_POST)
    given, expected = ask(server, asked), ask(ours, asked)
    _compare(server, asked.what, given, expected, but=OF_NEW_ROWS)
    stored = Asked("the new post, as stored", "GET", f"/api/posts/{given.document['id']}")
    _compare(server, stored.what, ask(ours, stored), Answer(200, given.document))


def _check_login(server: Server, ours: Server, rows: Dataset) -> None:
    email, password = rows.credentials[1]
    asked = Asked("a login", "POST", "/api/auth/login", body={"email": f" {email.upper()}", "password": password})
    given, expected = ask(server, asked), ask(ours, asked)
    _compare(server, asked.what, given, expected, but={"access_token", "refresh_token"})
    used = Asked("the token of a login", "GET", "/api/auth/me", given.document["access_token"])
    _compare(server, used.what, ask(ours, used), Answer(200, expected.document["user"]))
    what = "a login's tokens, and what is stored of them"
    try:
        made, as_ours = _said_and_stored(rows, given.document), _said_and_stored(rows, expected.document)
    except (LookupError, TypeError, ValueError) as error:
        raise _fault(server, what, f"something is missing: {error!r}") from error
    _compare(server, what, Answer(200, made), Answer(200, as_ours))


def _said_and_stored(rows: Dataset, login: Any) -> dict[str, object]:
    """Return what two logins of one account have in common: of their tokens, and of their sessions.

    Raises:
        LookupError: the session is not there, or a token lacks what it should say.
    """
    found: dict[str, object] = {}
    session_ids, jtis = set(), {}
    for kind in ("access", "refresh"):
        header, claims = (_decoded(part) for part in login[f"{kind}_token"].split(".")[:2])
        session_ids.add(claims["sid"])
        jtis[kind] = uuid.UUID(claims["jti"])
        seconds = {name: claims[name] - claims["iat"] for name in ("exp", "nbf")}
        whose = {name: claims[name] for name in ("iss", "aud", "sub")}
        names = sorted(claims.keys() - OF_A_LIBRARY)
        found[kind] = {"header": header, "claims": whose, "seconds": seconds, "names": names}
    found["one generation"] = generation(jtis["access"]) == generation(jtis["refresh"])
    stored = dict(_run(rows, SESSION, session_ids.pop())[0])
    found["jtis as stored"] = jtis == {kind: stored.pop(f"{kind}_jti") for kind in jtis}
    return found | {"one session": not session_ids, "stored": stored}


def _check_refusals(server: Server, rows: Dataset) -> None:
    for why, token in _bad_tokens(rows):
        for asked in (
            Asked(f"the account behind {why}", "GET", "/api/auth/me", token),
            Asked(f"a list for {why}", "GET", "/api/users/?per_page=20", token),
            Asked(f"a post by {why}", "POST", "/api/posts/", token, NEW_POST),
        ):
            _expect(server, asked, 401)
    _expect(server, Asked("a post that is not there", "GET", f"/api/posts/{uuid.uuid4()}"), 404)
    email, password = rows.credentials[2]
    for asked in (
        Asked("a wrong password", "POST", "/api/auth/login", body={"email": email, "password": password + "?"}),
        Asked("nobody's email", "POST", "/api/auth/login", body={"email": "nobody@example.com", "password": password}),
    ):
        _expect(server, asked, 401)


def _bad_tokens(rows: Dataset) -> Iterator[tuple[str, str]]:
    """Give tokens with what is wrong about them; while it is taken, the database has it so."""
    user_id, jti, sids = rows.user_ids[3], new_jti(), [uuid.uuid4() for _ in range(4)]
    good = rows.token(user_id, sids[0])
    yield "a bad signature", good[:-2] + ("AA" if good[-2:-1] != "A" else "EA")
    yield "an expired token", rows.token(user_id, sids[0], age_seconds=ACCESS_SECONDS + 1)
    yield "a refresh token", rows.token(user_id, sids[0], kind=TokenType.REFRESH)
    yield "another service's token", rows.token(user_id, sids[0], issuer="another")
    yield "a token for another service", rows.token(user_id, sids[0], audience="another")
    yield "nobody's token", rows.token(2**40, sids[0])
    block = "INSERT INTO token_blocklist (id, expires_at) VALUES ($1, now() + interval '1 day')"
    _run(rows, block, sids[1])
    yield "a revoked session's token", rows.token(user_id, sids[1])
    _run(rows, block, generation(jti))
    yield "a token from before a change of the password", rows.token(user_id, sids[2], jti=jti)
    switch = "UPDATE users SET is_active = $1 WHERE id = $2"
    _run(rows, switch, False, user_id)
    try:
        yield "a disabled user's token", rows.token(user_id, sids[3])
    finally:
        _run(rows, switch, True, user_id)


def _expect(server: Server, asked: Asked, status: int) -> None:
    given = ask(server, asked).status
    if given != status:
        raise _fault(server, asked.what, f"the status is {given}, and should be {status}")


def _compare(server: Server, what: str, given: Answer, expected: Answer, but: Set[str] = frozenset()) -> None:
    """Compare two answers, but for what stands for these members, which both have to have.

    Raises:
        SystemExit: they differ.
    """
    if given.status != expected.status:
        raise _fault(server, what, f"the status is {given.status}, and should be {expected.status}: {given.document}")
    if not isinstance(given.document, dict) or given.document.keys() != expected.document.keys():
        raise _fault(server, what, f"the members are {given.document}, and should be those of {expected.document}")
    for name in sorted(expected.document.keys() - but):
        if given.document[name] != expected.document[name]:
            said = f"`{name}` is {given.document[name]!r}, and should be {expected.document[name]!r}"
            raise _fault(server, what, said)


def _fault(server: Server, what: str, fault: str) -> SystemExit:
    return SystemExit(f"bench: {server.system.title} does not do the same work: {what}: {fault}")


def _decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def _run(rows: Dataset, statement: str, *values: object) -> list[Any]:
    async def run() -> list[Any]:
        connection = await asyncpg.connect(rows.superuser_url())
        try:
            found: list[Any] = await connection.fetch(statement, *values)
        finally:
            await connection.close()
        return found

    return asyncio.run(run())


def main() -> None:
    parser = argparse.ArgumentParser(description="Do all systems do the same work?")
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"of {', '.join(SYSTEMS)}; all without")
    parser.add_argument("--users", type=int, default=USERS)
    asked = parser.parse_args()
    if unknown := set(asked.systems) - SYSTEMS.keys():
        parser.error(f"{unknown.pop()} is none of {', '.join(SYSTEMS)}")
    names = dict.fromkeys([OURS, *(asked.systems or SYSTEMS)])
    install_peers()
    with dataset(asked.users) as rows, tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        servers = [stack.enter_context(started(SYSTEMS[name], rows, Path(folder))) for name in names]
        prove(servers, rows)
        print(f"The same work, by {len(servers)} systems: {', '.join(server.system.title for server in servers)}")


if __name__ == "__main__":
    main()
