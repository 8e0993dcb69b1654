"""Time and failure: bodies that do not come, answers that do not start, readers that stop, bugs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import service.edge
from tests.support.asgi import WHOLE, Wire, fetch, serve, shape
from tests.support.edge import Answering, access_lines, edge_over, errors, never_asked, problem

START = {"type": "http.response.start", "status": 200, "headers": []}
SOON = 0.02
BODY_COMES: dict[str, Any] = {"headers": [(b"content-length", b"10")]}


@pytest.fixture(autouse=True)
async def no_task_is_left_behind() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    for _ in range(5):  # a task that has been cancelled ends in the loop's next turns
        await asyncio.sleep(0)
    assert asyncio.all_tasks() - before - {asyncio.current_task()} == set()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.edge, "LINGER_SECONDS", SOON)


def chunk(body: bytes, *, more: bool) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}


class Sleeping:
    """An application that reads the body and then does not answer; `ended_by` says what ended it."""

    def __init__(self) -> None:
        self.ended_by: type[BaseException] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            while (await receive())["more_body"]:
                pass
            await asyncio.sleep(60)
        except BaseException as error:
            self.ended_by = type(error)
            raise


# Deadlines


async def test_a_body_that_does_not_come_whole_in_time_is_a_408(impatient: None) -> None:
    app = Sleeping()
    wire = await serve(edge_over(app, body_seconds=SOON), Wire(b"half", complete=False), "POST", **BODY_COMES)
    problem(wire, 408, "REQUEST_TIMEOUT")
    assert wire.header(b"connection") == b"close"
    assert app.ended_by is asyncio.CancelledError


async def test_each_chunk_of_a_body_does_not_begin_its_time_anew(impatient: None) -> None:
    wire = Wire(b"x", complete=False)

    async def dribble() -> None:
        while True:
            await asyncio.sleep(0.01)
            wire.incoming.put_nowait({"type": "http.request", "body": b"x", "more_body": True})

    dribbling = asyncio.create_task(dribble())
    async with asyncio.timeout(5):
        await serve(edge_over(Sleeping(), body_seconds=0.1), wire, "POST", **BODY_COMES)
    dribbling.cancel()
    problem(wire, 408, "REQUEST_TIMEOUT")


async def test_an_answer_that_does_not_start_in_time_is_a_503() -> None:
    app = Sleeping()
    wire = await serve(edge_over(app, answer_seconds=SOON), Wire(b"whole"), "POST", **BODY_COMES)
    problem(wire, 503, "UNAVAILABLE")
    assert wire.header(b"connection") is None
    assert app.ended_by is asyncio.CancelledError


async def test_a_late_answer_is_no_bug_to_be_logged(caplog: pytest.LogCaptureFixture) -> None:
    await fetch(edge_over(Sleeping(), answer_seconds=SOON))
    assert errors(caplog) == []


async def test_the_time_to_answer_begins_with_the_whole_body() -> None:
    wire = Wire(b"half", complete=False)
    edge = edge_over(Answering(), body_seconds=5, answer_seconds=0.05)
    request = asyncio.create_task(serve(edge, wire, "POST", **BODY_COMES))
    await asyncio.sleep(0.1)
    wire.incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    await request
    assert wire.status == 200


async def test_an_answer_that_has_started_may_take_longer_than_its_start() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        await asyncio.sleep(0.1)
        await send(chunk(b"late", more=False))

    wire = await fetch(edge_over(app, answer_seconds=0.05))
    assert (wire.status, wire.body) == (200, b"late")


async def test_a_reader_that_stops_is_cut_off() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        while True:
            await send(chunk(b"x", more=True))
            await asyncio.sleep(0)

    wire = Wire()
    request = asyncio.create_task(serve(edge_over(app, stall_seconds=SOON), wire))
    await wire.until_sent(3)
    wire.writable.clear()
    async with asyncio.timeout(5):
        await request
    assert (wire.status, shape(wire)[-1]) == (200, ("body", True))


async def test_a_reader_that_goes_on_is_not_cut_off() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        for _ in range(10):
            await asyncio.sleep(0.01)
            await send(chunk(b"x", more=True))
        await send(chunk(b"", more=False))

    wire = await fetch(edge_over(app, stall_seconds=0.05))
    assert (wire.body, shape(wire)[-1]) == (b"x" * 10, ("body", False))


@pytest.mark.parametrize(
    ("app", "target", "settings"),
    [
        (never_asked, "/%00", {}),
        (Sleeping(), "/", {"answer_seconds": SOON}),
    ],
    ids=["refused at once", "too late"],
)
async def test_a_reader_that_does_not_take_a_refusal_is_cut_off(
    app: Any, target: str, settings: dict[str, object]
) -> None:
    wire = Wire()
    wire.writable.clear()
    async with asyncio.timeout(1):
        await serve(edge_over(app, stall_seconds=SOON, **settings), wire, "GET", target)
    assert wire.sent == []


async def test_an_application_that_takes_no_notice_may_still_answer() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        await send(START)
        await send(chunk(b"late", more=False))

    wire = await fetch(edge_over(app, answer_seconds=SOON))
    assert (wire.status, wire.body, len(wire.sent)) == (200, b"late", 2)


async def test_the_servers_own_cancellation_is_not_answered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "postern.access")
    wire = Wire()
    request = asyncio.create_task(serve(edge_over(Sleeping()), wire))
    await asyncio.sleep(SOON)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert (wire.sent, len(access_lines(caplog))) == ([], 1)


# Bugs


async def failing(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("password=hunter2")


async def test_an_exception_is_a_500_that_says_nothing_of_it() -> None:
    wire = await fetch(edge_over(failing))
    problem(wire, 500, "INTERNAL_ERROR")
    assert shape(wire) == WHOLE
    assert b"hunter2" not in wire.body
    assert b"RuntimeError" not in wire.body


async def test_an_exception_is_logged_once_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    await fetch(edge_over(failing))
    (record,) = errors(caplog)
    assert record.exc_info is not None
    assert record.exc_info[0] is RuntimeError


async def test_an_exception_on_head_is_answered_without_a_body() -> None:
    wire = await fetch(edge_over(failing), method="HEAD")
    assert (wire.status, wire.body) == (500, b"")


async def test_an_exception_after_the_start_leaves_the_answer_incomplete(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(chunk(b"half", more=True))
        raise RuntimeError("a bug")

    wire = await fetch(edge_over(app))
    assert shape(wire) == [("start", None), ("body", True)]
    assert len(errors(caplog)) == 1


async def test_a_timeout_of_the_applications_own_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        async with asyncio.timeout(SOON):
            await asyncio.sleep(60)

    problem(await fetch(edge_over(app)), 500, "INTERNAL_ERROR")
    assert len(errors(caplog)) == 1


async def test_an_application_that_ends_without_an_answer_is_a_500() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    problem(await fetch(edge_over(app)), 500, "INTERNAL_ERROR")


# Answers before the end of the request


@pytest.fixture
def early() -> Answering:
    """Answers without a look at the body."""
    return Answering(b"too ", b"large", status=413, reads=False)


async def test_an_early_answer_closes_the_connection(early: Answering) -> None:
    wire = await serve(edge_over(early), Wire(b"a", b"b"), "POST", **BODY_COMES)
    assert (wire.status, wire.header(b"connection")) == (413, b"close")


@pytest.mark.parametrize(
    "changes",
    [BODY_COMES, {"headers": [(b"transfer-encoding", b"chunked")]}],
    ids=["announced by its length", "chunked"],
)
async def test_the_rest_of_the_body_is_taken_before_an_early_answer_ends(
    early: Answering, changes: dict[str, Any]
) -> None:
    wire = Wire(b"a", b"b", b"c")
    await serve(edge_over(early), wire, "POST", **changes)
    assert (wire.received, wire.incoming.qsize()) == (3, 0)
    assert shape(wire) == [("start", None), ("body", True), ("body", True), ("body", False)]
    assert wire.body == b"too large"


async def test_the_client_has_the_whole_answer_while_it_still_sends(early: Answering) -> None:
    wire = Wire(b"a", complete=False)
    request = asyncio.create_task(serve(edge_over(early), wire, "POST", **BODY_COMES))
    await wire.until_sent(3)
    assert (wire.body, shape(wire)[-1]) == (b"too large", ("body", True))
    wire.incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    await request
    assert shape(wire)[-1] == ("body", False)


@pytest.mark.usefixtures("impatient")
async def test_a_client_that_never_sends_the_rest_is_waited_for_a_bounded_time(early: Answering) -> None:
    wire = Wire(b"a", complete=False)
    started = time.monotonic()
    await serve(edge_over(early), wire, "POST", **BODY_COMES)
    assert SOON <= time.monotonic() - started < 1
    assert shape(wire)[-1] == ("body", False)


async def test_a_client_that_leaves_is_not_waited_for(early: Answering) -> None:
    wire = Wire(b"a", complete=False)
    wire.leave()
    started = time.monotonic()
    await serve(edge_over(early), wire, "POST", **BODY_COMES)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "headers",
    [[], [(b"content-length", b"0")]],
    ids=["no body", "an empty one"],
)
async def test_an_unread_body_that_was_never_announced_closes_nothing(
    early: Answering, headers: list[tuple[bytes, bytes]]
) -> None:
    wire = await serve(edge_over(early), Wire(), "POST", headers=headers)
    assert (wire.header(b"connection"), wire.received) == (None, 0)


async def test_a_body_that_was_read_closes_nothing() -> None:
    wire = await serve(edge_over(Answering()), Wire(b"a", b"b"), "POST", **BODY_COMES)
    assert (wire.header(b"connection"), shape(wire)) == (None, WHOLE)


async def test_a_refusal_takes_the_body_off_the_connection_too() -> None:
    wire = await serve(edge_over(never_asked), Wire(b"a", b"b"), "POST", "/%00", **BODY_COMES)
    problem(wire, 400, "MALFORMED_REQUEST")
    assert (wire.header(b"connection"), wire.received) == (b"close", 2)


async def test_a_refusal_over_http_2_needs_no_closing() -> None:
    wire = await serve(edge_over(never_asked), Wire(b"a"), "POST", "/%00", http_version="2", **BODY_COMES)
    assert wire.header(b"connection") is None
