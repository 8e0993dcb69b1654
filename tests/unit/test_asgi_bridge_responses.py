"""How an answer leaves the bridge: its messages, its end, its close, and what makes it impossible to send."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, Response, got_request_exception, send_file
from service.asgi import ASGIBridge
from tests.support.asgi import WHOLE, ASGIApp, Wire, fetch, flask_app, serve, shape

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FILE_BYTES = bytes(range(256)) * 400
STREAMED_ONCE = [("start", None), ("body", True), ("body", False)]


class Closable:
    """Chunks that tell whether they were closed, and how far they were read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.taken = 0
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self.taken += 1
        return chunk

    def close(self) -> None:
        self.closed += 1


def answering(answer: Callable[[], Any], **config: object) -> ASGIBridge:
    app = flask_app(**config)
    app.add_url_rule("/", view_func=answer)
    return ASGIBridge(app)


def endless() -> Iterator[bytes]:
    while True:
        yield b"tick"


async def test_a_whole_answer_takes_a_start_and_one_body_message() -> None:
    wire = await fetch(answering(lambda: "whole"))
    assert (shape(wire), wire.body, wire.header(b"content-length")) == (WHOLE, b"whole", b"5")


async def test_an_empty_answer_takes_a_start_and_one_body_message() -> None:
    wire = await fetch(answering(lambda: ""))
    assert (shape(wire), wire.body) == (WHOLE, b"")


@pytest.mark.parametrize(
    ("chunks", "sent"),
    [
        pytest.param([b"a", b"b"], [b"a", b"b", b""], id="two chunks"),
        pytest.param([b"", b"a", b"", b"", b"b", b""], [b"a", b"b", b""], id="empty chunks are left out"),
        pytest.param([b"", b""], [b""], id="nothing but empty chunks"),
        pytest.param([], [b""], id="no chunk"),
    ],
)
@pytest.mark.parametrize("known", [False, True], ids=["of unknown length", "with content-length"])
async def test_a_stream_takes_one_message_for_each_chunk(chunks: list[bytes], sent: list[bytes], known: bool) -> None:
    headers = {"Content-Length": str(sum(map(len, chunks)))} if known else {}
    wire = await fetch(answering(lambda: Response((chunk for chunk in chunks), headers=headers)))
    assert wire.chunks == sent
    assert [message["more_body"] for message in wire.sent[1:]] == [True] * (len(sent) - 1) + [False]


async def test_a_stream_whose_first_chunk_is_the_announced_whole_takes_one_body_message() -> None:
    wire = await fetch(answering(lambda: Response((c for c in [b"", b"whole"]), headers={"Content-Length": "5"})))
    assert (shape(wire), wire.body) == (WHOLE, b"whole")


async def test_a_stream_ends_and_closes_once_the_announced_length_is_sent() -> None:
    content = Closable([b"whole", b"never taken"])
    wire = await fetch(answering(lambda: Response(content, headers={"Content-Length": "5"})))
    assert (wire.chunks, content.taken, content.closed) == ([b"whole"], 1, 1)


@pytest.mark.parametrize(
    ("method", "status", "streamed"),
    [("HEAD", 200, False), ("HEAD", 200, True), ("GET", 204, False), ("GET", 204, True), ("GET", 304, True)],
)
async def test_an_answer_that_may_have_no_body_has_none(method: str, status: int, streamed: bool) -> None:
    content = Closable([b"body"])
    wire = await fetch(answering(lambda: Response(content if streamed else b"body", status)), method=method)
    assert (wire.status, shape(wire), wire.body) == (status, WHOLE, b"")
    assert content.closed == int(streamed)


async def test_a_head_answer_keeps_the_length_of_the_body() -> None:
    wire = await fetch(answering(lambda: "whole"), method="HEAD")
    assert wire.header(b"content-length") == b"5"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    path.write_bytes(FILE_BYTES)
    return path


async def test_a_sent_file_arrives_byte_by_byte(file: Path) -> None:
    wire = await fetch(answering(lambda: send_file(file)))
    assert wire.body == FILE_BYTES


async def test_an_unchanged_file_is_a_304(file: Path) -> None:
    bridge = answering(lambda: send_file(file))
    etag = (await fetch(bridge)).header(b"etag")
    wire = await fetch(bridge, headers=[(b"if-none-match", etag)])
    assert (wire.status, shape(wire), wire.body) == (304, WHOLE, b"")


async def test_a_range_of_a_file_is_a_206(file: Path) -> None:
    wire = await fetch(answering(lambda: send_file(file)), headers=[(b"range", b"bytes=250-9999")])
    assert (wire.status, wire.body) == (206, FILE_BYTES[250:10000])


async def begun(app: ASGIApp, wire: Wire) -> asyncio.Task[Wire]:
    """Serve in a task of its own until the start and a first chunk were sent."""
    serving = asyncio.create_task(serve(app, wire))
    await wire.until_sent(2)
    return serving


async def test_a_generator_waits_while_the_client_does_not_read() -> None:
    content, wire = Closable([b"a", b"b", b"c"]), Wire()
    serving = await begun(answering(lambda: Response(content)), wire)
    wire.writable.clear()
    await asyncio.sleep(0.01)
    taken = content.taken
    await asyncio.sleep(0.01)
    assert (content.taken, taken) == (2, 2)
    wire.writable.set()
    await serving
    assert wire.chunks == [b"a", b"b", b"c", b""]


async def test_an_endless_stream_lets_other_requests_run() -> None:
    wire = Wire()
    serving = await begun(answering(lambda: Response(endless())), wire)
    assert (await fetch(answering(lambda: "meanwhile"))).body == b"meanwhile"
    wire.leave()
    await serving


async def test_a_client_that_leaves_ends_an_endless_stream_without_an_error() -> None:
    content, wire, others = Closable(endless()), Wire(), asyncio.all_tasks()
    serving = await begun(answering(lambda: Response(content)), wire)
    wire.leave()
    await asyncio.wait_for(serving, 5)
    await asyncio.sleep(0)
    assert (content.closed, asyncio.all_tasks()) == (1, others)


async def test_a_client_that_leaves_ends_a_generator_that_waits_forever() -> None:
    app, wire, steps = flask_app(), Wire(), list[str]()

    def waiting() -> Iterator[bytes]:
        yield b"first"
        try:
            app.ensure_sync(asyncio.Event().wait)()
        finally:
            app.ensure_sync(asyncio.sleep)(0)
            steps.append("finally")

    @app.get("/")
    def view() -> Response:
        response = Response(waiting())
        response.call_on_close(lambda: steps.append("closed"))
        return response

    serving = await begun(ASGIBridge(app), wire)
    wire.leave()
    await asyncio.wait_for(serving, 5)
    assert steps == ["finally", "closed"]


async def test_a_client_that_leaves_while_it_does_not_read_ends_the_stream() -> None:
    content, wire = Closable(endless()), Wire()
    serving = await begun(answering(lambda: Response(content)), wire)
    wire.writable.clear()
    wire.leave()
    await asyncio.wait_for(serving, 5)
    assert content.closed == 1


async def test_what_is_left_of_an_unread_body_does_not_end_a_stream() -> None:
    app = flask_app()
    app.add_url_rule("/", view_func=lambda: Response(c for c in [b"a", b"b"]), methods=["POST"])
    wire = await serve(ASGIBridge(app, max_body_bytes=1), Wire(b"12", b"34", b"56"), "POST")
    assert wire.chunks == [b"a", b"b", b""]


async def test_cancelling_the_serving_task_closes_its_stream() -> None:
    content, wire, others = Closable(endless()), Wire(), asyncio.all_tasks()
    serving = await begun(answering(lambda: Response(content)), wire)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    await asyncio.sleep(0)
    assert (content.closed, asyncio.all_tasks()) == (1, others)


@pytest.mark.parametrize("error", [LookupError("row"), TimeoutError("row")], ids=lambda error: type(error).__name__)
async def test_a_generator_that_raises_after_the_start_closes_and_raises(error: Exception) -> None:
    def failing() -> Iterator[bytes]:
        yield b"first"
        raise error

    content, wire = Closable(failing()), Wire()
    with pytest.raises(type(error), match="row"):
        await serve(answering(lambda: Response(content)), wire)
    assert (content.closed, shape(wire)) == (1, STREAMED_ONCE[:2])


async def test_a_close_callback_may_await() -> None:
    app, steps = flask_app(), list[str]()

    async def release() -> None:
        await asyncio.sleep(0)
        steps.append("released")

    @app.get("/")
    def view() -> Response:
        response = Response("whole")
        response.call_on_close(app.ensure_sync(release))
        return response

    await fetch(ASGIBridge(app))
    assert steps == ["released"]


def raw(wsgi: Callable[[Flask], WSGIApplication]) -> ASGIBridge:
    """Return a bridge whose app has the middleware `wsgi(app)` in place of its `wsgi_app`."""
    app = flask_app()
    app.wsgi_app = wsgi(app)  # type: ignore[method-assign,assignment]  # as Flask documents it for middleware
    return ASGIBridge(app)


def starting(*calls: Callable[[StartResponse], object], body: Iterable[bytes] = ()) -> ASGIBridge:
    """Return a bridge to a raw WSGI app that makes the calls in order, then returns the body."""

    def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        for call in calls:
            call(start_response)
        return body

    return raw(lambda app: wsgi)


async def test_the_write_callable_sends_before_the_returned_chunks() -> None:
    def write(start_response: StartResponse) -> None:
        send = start_response("200 OK", [("X-Raw", "yes")])
        send(b"one")
        send(b"two")

    wire = await fetch(starting(write, body=[b"three"]))
    assert (wire.header(b"x-raw"), wire.chunks) == (b"yes", [b"one", b"two", b"three", b""])


async def test_what_was_written_counts_towards_the_announced_length() -> None:
    wire = await fetch(starting(lambda start: start("200 OK", [("Content-Length", "3")])(b"one")))
    assert wire.chunks == [b"one", b""]


def start_again_after_an_error(start_response: StartResponse) -> None:
    try:
        raise LookupError("late")
    except LookupError:
        start_response("500 Error", [("X-Head", "second")], sys.exc_info())


async def test_exc_info_replaces_a_head_that_is_not_sent() -> None:
    wire = await fetch(starting(lambda start: start("200 OK", [("X-Head", "first")]), start_again_after_an_error))
    assert (wire.status, wire.header(b"x-head")) == (500, b"second")


async def test_exc_info_raises_once_the_head_is_sent() -> None:
    wire = Wire()
    with pytest.raises(LookupError, match="late"):
        await serve(starting(lambda start: start("200 OK", [])(b"one"), start_again_after_an_error), wire)
    assert shape(wire) == STREAMED_ONCE[:2]


@pytest.mark.parametrize("written", [False, True], ids=["before the head is sent", "after it"])
async def test_a_second_head_without_exc_info_is_an_error_as_in_pep_3333(written: bool) -> None:
    def first(start_response: StartResponse) -> None:
        write = start_response("200 OK", [])
        if written:
            write(b"one")

    with pytest.raises((AssertionError, RuntimeError)):
        await fetch(starting(first, lambda start: start("404 Not Found", []), body=[b"body"]))


async def test_a_body_without_a_head_is_an_error() -> None:
    content, wire = Closable([b"body"]), Wire()
    with pytest.raises(RuntimeError, match="before it called start_response"):
        await serve(starting(body=content), wire)
    assert (wire.sent, content.closed) == ([], 1)


async def test_a_generator_may_send_the_head_with_its_first_chunk() -> None:
    def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("201 Created", [])
        yield b"late"

    wire = await fetch(raw(lambda app: wsgi))
    assert (wire.status, wire.body) == (201, b"late")


UNSENDABLE = {"X-Name": "\N{SNOWMAN}"}


async def test_a_header_beyond_latin_1_is_answered_by_flasks_500_handler() -> None:
    app, events, content = flask_app(), list[str](), Closable([b"original"])

    @app.errorhandler(500)
    async def sorry(error: Exception) -> tuple[str, int]:
        await asyncio.sleep(0)
        return "sorry", 500

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        events.append("teardown")

    def receive(sender: Flask, exception: Exception) -> None:
        events.append(type(exception).__name__)

    app.add_url_rule("/", view_func=lambda: Response(content, headers=UNSENDABLE))
    with got_request_exception.connected_to(receive, app):
        wire = await fetch(ASGIBridge(app))
    assert (wire.status, wire.body, shape(wire)) == (500, b"sorry", WHOLE)
    assert (events, content.taken, content.closed) == (["UnicodeEncodeError", "teardown"], 0, 1)


async def test_a_header_beyond_latin_1_raises_where_flask_propagates() -> None:
    wire = Wire()
    with pytest.raises(UnicodeEncodeError):
        await serve(answering(lambda: Response("", headers=UNSENDABLE), PROPAGATE_EXCEPTIONS=True), wire)
    assert wire.sent == []


async def test_a_header_beyond_latin_1_on_the_error_page_too_raises() -> None:
    app, wire = flask_app(), Wire()

    @app.after_request
    def spoil(response: Response) -> Response:
        response.headers.update(UNSENDABLE)
        return response

    app.add_url_rule("/", view_func=lambda: "")
    with pytest.raises(UnicodeEncodeError):
        await serve(ASGIBridge(app), wire)
    assert wire.sent == []
