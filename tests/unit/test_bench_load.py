"""The client of the benchmarks, against a server that answers as it is told: it has to say what was."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from bench.counted_load import CountedLoad
from bench.load import Load, Outcome
from bench.open_load import OpenLoad, schedule
from bench.works import Request, Work

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ASKED = Work("small", "Small", tuple(Request(b"GET /%d HTTP/1.1\r\n\r\n" % number) for number in range(3)))
STALL_SECONDS = 0.2


class Server:
    """Answers each request, and keeps what was asked; from `stall` on, the next one makes all wait for a while."""

    def __init__(self, answer: bytes = ANSWER, *, closes: bool = False) -> None:
        self.port = 0
        self.asked: list[bytes] = []
        self._answer = answer
        self._closes = closes
        self._going = asyncio.Event()
        self._going.set()

    def stall(self) -> None:
        self._going.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                self.asked.append(await reader.readuntil(b"\r\n\r\n"))
                asyncio.get_running_loop().call_later(STALL_SECONDS, self._going.set)
                await self._going.wait()
                writer.write(self._answer)
                if self._closes:
                    writer.close()
        writer.close()


@contextlib.asynccontextmanager
async def served(server: Server) -> AsyncIterator[Server]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server


async def asked_once(server: Server) -> Outcome:
    async with served(server):
        with contextlib.closing(Load(server.port, ASKED)) as load:
            return await load.open(1)


async def test_requests_are_asked_in_turn() -> None:
    async with served(Server()) as server:
        with contextlib.closing(Load(server.port, ASKED)) as load:
            await load.open(4)
    assert sorted(asked[5:6] for asked in server.asked) == [b"0", b"0", b"1", b"2"]


@pytest.mark.parametrize("closes", [False, True], ids=["kept alive", "closed after each answer"])
async def test_a_closed_loop_counts_all_answers(closes: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok" if closes else ANSWER
    async with served(Server(head, closes=closes)) as server:
        with contextlib.closing(Load(server.port, ASKED)) as load:
            await load.open(3)
            outcome = await load.run(0.05)
    assert len(outcome.latencies) == len(server.asked) - 3 > 3
    assert outcome.seconds >= 0.05
    assert (outcome.errors, outcome.timeouts, bool(outcome.reconnections)) == (0, 0, closes)


@pytest.mark.parametrize("closes", [False, True], ids=["kept alive", "closed after each answer"])
@pytest.mark.parametrize("count", [1, 3, 50])
async def test_a_counted_loop_asks_so_often_and_no_more(count: int, closes: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok" if closes else ANSWER
    async with served(Server(head, closes=closes)) as server:
        with contextlib.closing(CountedLoad(server.port, ASKED)) as load:
            await load.open(3)
            for times in (1, 2):
                outcome = await load.ask(count)
                assert (len(outcome.latencies), len(server.asked)) == (count, 3 + times * count)
                assert (outcome.errors, outcome.timeouts) == (0, 0)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "status 503"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "no length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\noks", "more than was asked for"),
    ],
    ids=["another status", "chunked", "a byte too many"],
)
async def test_an_answer_that_was_not_expected_is_an_error(answer: bytes, fault: str) -> None:
    outcome = await asked_once(Server(answer))
    assert (outcome.faults, outcome.latencies) == ({fault: 1}, [])


async def test_no_answer_is_an_error() -> None:
    assert (await asked_once(Server(b"", closes=True))).faults == {"no answer": 1}


async def test_an_open_loop_counts_latency_from_when_a_request_was_due() -> None:
    async with served(Server()) as server:
        with contextlib.closing(OpenLoad(server.port, ASKED)) as load:
            await load.open(1)
            server.stall()
            outcome = await load.follow([0.0, 0.05, 0.1], 0.15)
    waited = [STALL_SECONDS, STALL_SECONDS - 0.05, STALL_SECONDS - 0.1]
    assert all(latency >= least - 0.01 for latency, least in zip(outcome.latencies, waited, strict=True))
    assert outcome.in_time == 0


async def test_an_open_loop_connects_when_something_is_due_to_a_server_that_closes() -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    async with served(Server(answer, closes=True)) as server:
        with contextlib.closing(OpenLoad(server.port, ASKED)) as load:
            await load.open(2)
            await load.run(0.01)
            asked_before = len(server.asked)
            outcome = await load.follow(schedule(100, 0.1, seed=1), 0.1)
    assert len(outcome.latencies) == len(schedule(100, 0.1, seed=1)) > 0
    assert len(server.asked) - asked_before >= len(outcome.latencies)  # one of the run before may come late
    assert (outcome.errors, outcome.timeouts) == (0, 0)


def test_requests_are_due_at_the_rate_and_at_the_same_moments_for_all() -> None:
    due = schedule(1000, 10, seed=1)
    assert due == sorted(due) == schedule(1000, 10, seed=1) != schedule(1000, 10, seed=2)
    assert 9_500 < len(due) < 10_500
