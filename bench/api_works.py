"""What clients of the API ask, on the rows of the data set: the same requests for every system, in the same order."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass

from bench.dataset import Dataset
from bench.works import FIELDS, Request, Work

READS = ("me", "list", "post")
LOGINS_OF_1000, WRITES_OF_1000 = 2, 100
"""Of a mixed day. A login takes 19 ms of argon2, hence so few."""
MIXED_REQUESTS = 20_000
SEED = 1
PARAGRAPH = "The morning was quiet, and the harbour lay open to the north. Nobody had thought of the bridge by then. "
POST = {"title": "A post of the benchmark", "body": PARAGRAPH * 4}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of work, and with how many connections it is asked for unless somebody wants less."""

    title: str
    connections: tuple[int, ...]


KINDS: Mapping[str, Kind] = {
    "me": Kind("GET /api/auth/me", (1, 32, 256, 1000, 2000)),
    "list": Kind("GET /api/users/?per_page=20", (1, 32, 256, 2000)),
    "post": Kind("GET /api/posts/<id>", (1, 32, 256, 2000)),
    "create": Kind("POST /api/posts/", (1, 32, 256, 2000)),
    "login": Kind("POST /api/auth/login", (1, 32)),
    "mixed": Kind("A mixed day", (32, 256)),
    "wait": Kind("A view that waits 10 ms", (32, 2000)),
}


def works(dataset: Dataset) -> dict[str, Work]:
    """Return all kinds of work, by name."""
    asked = {
        "me": tuple(_get("/api/auth/me", token) for token in dataset.tokens),
        "list": tuple(_get("/api/users/?per_page=20", token) for token in dataset.tokens),
        "post": tuple(_get(f"/api/posts/{post_id}") for post_id in dataset.post_ids),
        "create": tuple(_post("/api/posts/", POST, status=b"201", token=token) for token in dataset.tokens),
        "login": tuple(
            _post("/api/auth/login", {"email": email, "password": password}) for email, password in dataset.credentials
        ),
        "wait": (_get("/wait"),),
    }
    asked["mixed"] = _mixed(asked)
    return {name: Work(name, kind.title, asked[name]) for name, kind in KINDS.items()}


def reads(dataset: Dataset) -> Work:
    """Return the reads of a mixed day alone, of each kind as many."""
    asked = works(dataset)
    drawn = _drawn({name: asked[name].requests for name in READS}, dict.fromkeys(READS, 1.0))
    return Work("reads", "The reads of a day", drawn)


def _mixed(asked: Mapping[str, tuple[Request, ...]]) -> tuple[Request, ...]:
    """Draw the requests of a day: nine of ten are reads, of each kind as many."""
    weights = dict.fromkeys(READS, (1000 - WRITES_OF_1000) / len(READS))
    weights["create"] = WRITES_OF_1000 - LOGINS_OF_1000
    weights["login"] = LOGINS_OF_1000
    return _drawn(asked, weights)


def _drawn(asked: Mapping[str, tuple[Request, ...]], weights: Mapping[str, float]) -> tuple[Request, ...]:
    chance = random.Random(SEED)
    drawn = chance.choices(list(weights), list(weights.values()), k=MIXED_REQUESTS)
    return tuple(chance.choice(asked[name]) for name in drawn)


def _get(target: str, token: str = "") -> Request:
    return Request(f"GET {target} HTTP/1.1\r\n{FIELDS}{_authorization(token)}\r\n".encode())


def _post(target: str, document: dict[str, str], *, status: bytes = b"200", token: str = "") -> Request:
    body = json.dumps(document).encode()
    fields = f"{_authorization(token)}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return Request(f"POST {target} HTTP/1.1\r\n{FIELDS}{fields}\r\n".encode() + body, status)


def _authorization(token: str) -> str:
    return f"Authorization: Bearer {token}\r\n" if token else ""
