"""The corpus of odd streams: what our engine makes of each, what h11 does, and why they differ where they do."""

from __future__ import annotations

import re

import h11
import pytest
from tests.server.corpus import CASES, Case, Verdict
from tests.support.http1 import HEAD_LIMIT, Seen, exchange

SHORT_BYTES = 1000
"""So much of a stream comes byte by byte with time for the app behind each one."""
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")
LENGTH = re.compile(rb"^content-length: (\d+)\r$", re.MULTILINE)
RULE = re.compile(r"\d{4} §\d+(\.\d+)*")
EACH = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def statuses_of(seen: Seen) -> Verdict:
    """Return the final statuses of what was sent, which has to be answers and nothing else."""
    statuses: list[int] = []
    at = 0
    while at < len(seen.sent):
        answer = ANSWER.match(seen.sent, at)
        assert answer is not None, seen.sent[at:]
        at, status = answer.end(), int(answer[1])
        if status < 200:
            continue
        answers_head = status == 200 and seen.requests[statuses.count(200)][0] == "HEAD"
        length = LENGTH.search(answer[2])
        assert length is not None, answer[2]
        at += 0 if answers_head else int(length[1])
        statuses.append(status)
    assert at == len(seen.sent)
    assert statuses.count(200) == len(seen.requests)
    return tuple(statuses)


def verdict_of_h11(sent: bytes) -> Verdict:
    """Return the final statuses of a server that reads with h11 and answers each request with 200."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
    connection.receive_data(sent)
    connection.receive_data(b"")
    statuses: list[int] = []
    try:
        while not isinstance(event := connection.next_event(), h11.ConnectionClosed):
            if isinstance(event, h11.EndOfMessage):
                statuses.append(200)
                if not answer(connection):
                    break
    except h11.RemoteProtocolError as error:
        statuses.append(error.error_status_hint)
    return tuple(statuses)


def answer(connection: h11.Connection) -> bool:
    """Answer with 200; tell whether there may be a next request."""
    connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
    if connection.our_state is h11.SWITCHED_PROTOCOL:  # CONNECT: nothing behind it is HTTP
        return False
    connection.send(h11.EndOfMessage())
    if set(connection.states.values()) != {h11.DONE}:
        return False
    connection.start_next_cycle()
    return True


def accepted(verdict: Verdict) -> tuple[int, bool]:
    """Return how much a reader accepts: the requests that reach the app, and whether nothing was refused."""
    return verdict.count(200), set(verdict) <= {200}


@EACH
async def test_our_verdict_holds_for_the_whole(case: Case) -> None:
    seen = await exchange([case.sent])
    assert statuses_of(seen) == case.ours
    assert seen.closed


@EACH
async def test_our_verdict_holds_byte_by_byte(case: Case) -> None:
    pieces = [bytes([byte]) for byte in case.sent]
    seen = await exchange(pieces, patient=len(pieces) <= SHORT_BYTES)
    assert statuses_of(seen) == case.ours
    assert seen.closed


@EACH
def test_the_verdict_of_h11_holds(case: Case) -> None:
    assert verdict_of_h11(case.sent) == case.h11


@EACH
def test_a_difference_has_a_reason_and_is_stricter_unless_it_says_so(case: Case) -> None:
    assert bool(case.reason) == (case.ours != case.h11)
    assert case.laxer == (accepted(case.ours) > accepted(case.h11))


def test_each_verdict_has_a_rule() -> None:
    assert [case.name for case in CASES if RULE.fullmatch(case.rule) is None] == []


def test_the_corpus_is_large_and_names_each_case_once() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({case.sent for case in CASES}) == len(CASES)
