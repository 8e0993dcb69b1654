"""Clients that write all the time, and remember what was acknowledged."""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.members import Member
from tests.support.processes import Running

CLIENTS = 8
LIMIT_SECONDS = 15.0
"""For one answer."""


@dataclass
class Written:
    """What the writers have learnt; to be read under ``lock`` while they write."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    keyed: set[str] = field(default_factory=set)
    """Titles that were acknowledged to who repeated them under one Idempotency-Key until they were."""
    plain: set[str] = field(default_factory=set)
    """Titles that were acknowledged at once; others may be there, or not."""
    refused: Counter[str] = field(default_factory=Counter)
    answered_at: float = 0.0
    """When something was acknowledged last."""
    slowest_seconds: float = 0.0


class Writer(threading.Thread):
    """One client; ``keyed`` ones repeat what was not acknowledged, the others go on to the next."""

    def __init__(self, port: int, token: str, written: Written, *, keyed: bool) -> None:
        super().__init__(daemon=True)
        self._address = ("127.0.0.1", port)
        self._token = token
        self._written = written
        self._keyed = keyed
        self._ended = threading.Event()

    def end(self) -> None:
        """Begin no other post; a keyed one is repeated to its end."""
        self._ended.set()

    def run(self) -> None:
        """Write until told to end."""
        client = http.client.HTTPConnection(*self._address, timeout=LIMIT_SECONDS)
        while not self._ended.is_set():
            title, key = str(uuid.uuid4()), str(uuid.uuid4())
            while not self._write(client, title, key) and self._keyed:
                time.sleep(0.02)
            time.sleep(0.02)
        client.close()

    def _write(self, client: http.client.HTTPConnection, title: str, key: str) -> bool:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if self._keyed:
            headers["Idempotency-Key"] = key
        began = time.monotonic()
        try:
            client.request("POST", "/api/posts/", json.dumps({"title": title, "body": "written in a storm"}), headers)
            answer = client.getresponse()
            answer.read()
            outcome = str(answer.status)
            if answer.status == 503 and not answer.headers["Retry-After"]:
                outcome = "503 without Retry-After"
        except (OSError, http.client.HTTPException) as error:
            outcome = type(error).__name__
            client.close()
        now = time.monotonic()
        written = self._written
        with written.lock:
            written.slowest_seconds = max(written.slowest_seconds, now - began)
            if outcome == "201":
                (written.keyed if self._keyed else written.plain).add(title)
                written.answered_at = now
            else:
                written.refused[outcome] += 1
        return outcome == "201"


@contextmanager
def writing(server: Running, written: Written) -> Iterator[None]:
    """Have clients write meanwhile; at the end each gets its last answer."""
    writers = [
        Writer(server.port, Member(server).access_token, written, keyed=bool(number % 4)) for number in range(CLIENTS)
    ]
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        for writer in writers:
            writer.end()
        for writer in writers:
            writer.join()
