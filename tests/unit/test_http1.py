"""The HTTP/1.1 engine: what it reads, however it is cut; what it refuses; and what it sends."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service.server.doorkeeper import Doorkeeper
from service.server.request import parse
from tests.support.http1 import FIELD_LIMIT, HEAD_LIMIT, App, exchange, read_body

GET = b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b'3\r\nabc\r\nA;x="y"\r\n0123456789\r\n0\r\nT: t\r\n\r\n'
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

FRAGMENTS = [
    *(GET, POST, CHUNKED, LAST, b"GET", b" ", b"/", b"HTTP/1.1", b"HTTP/1.0", b"\r", b"\n", b"\r\n", b"\r\n\r\n"),
    *(b"Host: a", b": ", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"\0", b"\xff", b"\t", b"a", b"0", b"5"),
    *(b"POST / HTTP/1.1\r\nHost: a\r\n", b";", b"x=y", b"http://b/c", b"Connection: close\r\n", b'"'),
]
STREAMS = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=4), max_size=10).map(b"".join)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted({place % (len(stream) + 1) for place in places}), len(stream)]
    return [stream[begin:end] for begin, end in itertools.pairwise(bounds)]


@settings(max_examples=1500, deadline=None)
@given(STREAMS, st.lists(st.integers(0, 2000), max_size=12), st.booleans())
async def test_any_bytes_cut_anywhere_give_what_the_whole_gives(
    stream: bytes, places: list[int], patient: bool
) -> None:
    whole, pieces = await exchange([stream]), await exchange(cut(stream, places), patient=patient)
    assert (pieces.requests, pieces.sent, pieces.closed) == (whole.requests, whole.sent, whole.closed)


@pytest.mark.parametrize("stream", [GET + POST + CHUNKED + LAST, b"\r\n" + POST + b"\r\n\r\n" + GET + GET])
async def test_requests_in_single_bytes_are_answered_in_order(stream: bytes) -> None:
    whole = await exchange([stream])
    pieces = await exchange([bytes([byte]) for byte in stream])
    assert pieces.requests == whole.requests
    assert pieces.sent == whole.sent
    assert len(whole.requests) == stream.count(b"HTTP/1.1")


async def test_a_request_reaches_the_app_as_it_was_sent() -> None:
    fields = b"Host:a\r\nX-One: \t 1 \t\r\nX-Two:\r\nX-One: \xe4;2\r\nContent-Length: 2\r\n"
    sent = b"PUT http://a/b%20c?d=e HTTP/1.1\r\n" + fields + b"\r\nhi"
    seen = await exchange([sent])
    headers = [(b"host", b"a"), (b"x-one", b"1"), (b"x-two", b""), (b"x-one", b"\xe4;2"), (b"content-length", b"2")]
    assert seen.requests == [("PUT", b"/b%20c", headers, b"hi")]


@pytest.mark.parametrize("target", [b"/a?next=http://b/c", b"/ahttp://b/c", b"/a?b=https://c:443", b'/?a|b^{c}<d>"e'])
def test_a_target_is_changed_at_its_beginning_alone(target: bytes) -> None:
    assert parse(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n").target == target


async def test_a_chunked_body_is_its_content() -> None:
    seen = await exchange([CHUNKED])
    assert seen.requests[0][3] == b"abc0123456789"
    assert seen.sent.endswith(b"\r\n\r\nabc0123456789")


async def test_a_small_answer_is_one_write() -> None:
    assert (await exchange([POST])).writes == 1


async def test_nothing_is_read_behind_the_last_request() -> None:
    seen = await exchange([LAST + GET + b"\0"])
    assert [request[1] for request in seen.requests] == [b"/last"]
    assert seen.sent.count(b"HTTP/1.1") == 1
    assert seen.closed


@pytest.mark.parametrize("tail", [b"x", b"GET /", GET[:-1]])
async def test_a_head_that_breaks_off_is_malformed(tail: bytes) -> None:
    seen = await exchange([GET + tail])
    assert seen.sent.count(b"HTTP/1.1 400 ") == 1
    assert len(seen.requests) == 1
    assert seen.closed


@pytest.mark.parametrize("sent", [POST[:-1], CHUNKED[:-1], CHUNKED[:-8], CHUNKED[:70]])
async def test_a_body_that_breaks_off_never_reaches_the_app_as_whole(sent: bytes) -> None:
    seen = await exchange([sent])
    assert (seen.requests, seen.closed) == ([], True)
    assert seen.sent.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * HEAD_LIMIT, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_LIMIT, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * HEAD_LIMIT + b"\r\n\r\n", 431),
        (CHUNKED.removesuffix(b"\r\n") + b"X: " + b"a" * 20_000, 431),
    ],
    ids=["target", "field", "whole", "trailer"],
)
async def test_what_is_too_large_is_refused_before_it_is_whole(sent: bytes, status: int) -> None:
    seen = await exchange([sent[:3000], sent[3000:]], hang_up=False)
    assert seen.sent.startswith(b"HTTP/1.1 %d " % status)
    assert seen.closed


async def test_tls_on_the_clear_port_is_refused_at_once() -> None:
    seen = await exchange([b"\x16\x03\x01\x02\x00"], hang_up=False)
    assert seen.sent.startswith(b"HTTP/1.1 400 ")


async def test_a_refusal_of_a_head_request_has_no_body() -> None:
    seen = await exchange([b"HEAD / HTTP/1.1\r\n\r\n" + GET])
    assert seen.sent.startswith(b"HTTP/1.1 400 ")
    assert seen.sent.endswith(b"\r\n\r\n")


async def test_who_waits_is_told_to_continue_and_who_does_not_is_not() -> None:
    waiting = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n"
    assert (await exchange([waiting, b"hi"], patient=True)).sent.startswith(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
    )
    assert (await exchange([waiting + b"hi"])).sent.startswith(b"HTTP/1.1 200 OK\r\n")


class Listing(Doorkeeper):
    """Lets everybody in, and remembers who stood in which line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[bytes] = []

    async def enter(self, line: bytes) -> None:
        self.lines.append(line)


async def test_who_is_inside_and_reads_stands_in_no_line() -> None:
    doorkeeper = Listing()
    delete = GET.replace(b"GET", b"DELETE")
    await exchange([GET + GET + POST + delete + GET.replace(b"GET", b"HEAD") + LAST], doorkeeper=doorkeeper)
    assert doorkeeper.lines == [b"GET /a", b"POST ", b"DELETE /a"]


async def test_all_spellings_of_a_path_stand_in_one_line() -> None:
    doorkeeper = Listing()
    for target in (b"/a/b", b"/a/%62", b"/a/b/", b"/a/b?c", b"http://h/a/b"):
        await exchange([b"POST " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"], doorkeeper=doorkeeper)
    assert set(doorkeeper.lines) == {b"POST /a/b"}


# What the app sends


def answering(*messages: dict[str, Any], status: int = 200, headers: list[tuple[bytes, bytes]] | None = None) -> App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        await send({"type": "http.response.start", "status": status, "headers": headers or []})
        for message in messages:
            await send({"type": "http.response.body", **message})

    return app


PARTS = ({"body": b"ab", "more_body": True}, {"body": b"", "more_body": True}, {"body": b"c"})


async def test_an_answer_without_a_length_is_chunked() -> None:
    seen = await exchange([GET + GET], answering(*PARTS))
    one = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    assert seen.sent == one + one


async def test_to_http_1_0_the_end_of_the_connection_is_the_answers() -> None:
    seen = await exchange([b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + GET], answering(*PARTS))
    assert seen.sent == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc"
    assert seen.closed


async def test_http_1_0_that_asks_for_it_is_kept_where_the_answer_has_a_length() -> None:
    kept = b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
    seen = await exchange([kept + kept.replace(b"Connection: Keep-Alive\r\n", b"") + GET])
    first = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n"
    assert seen.sent == first + first.replace(b"keep-alive", b"close")
    assert seen.closed


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_content_has_none(status: int) -> None:
    seen = await exchange([GET + GET], answering({"body": b"never"}, status=status))
    assert seen.sent.count(b"\r\n\r\n") == 2
    assert seen.sent.endswith(b"\r\n\r\n")


async def test_head_has_the_head_alone() -> None:
    app = answering({"body": b"abc"}, headers=[(b"content-length", b"3")])
    seen = await exchange([GET.replace(b"GET", b"HEAD") + LAST], app)
    first, second = seen.sent.split(b"HTTP/1.1")[1:]
    assert first == b" 200 OK\r\ncontent-length: 3\r\n\r\n"
    assert second.endswith(b"\r\n\r\nabc")


async def test_the_apps_connection_close_closes() -> None:
    seen = await exchange([GET + GET], answering({"body": b""}, headers=[(b"connection", b"close")]))
    assert seen.sent.count(b"HTTP/1.1") == 1
    assert seen.sent.count(b"connection: close") == 1
    assert seen.closed


@pytest.mark.parametrize(
    "field", [(b"x", b"a\r\nset-cookie: b"), (b"x", b"a\nb"), (b"x", b"a\rb"), (b"x\r\ny", b"a"), (b"x", b"a\0b")]
)
async def test_a_header_that_would_not_stay_on_its_line_is_never_sent(field: tuple[bytes, bytes]) -> None:
    seen = await exchange([GET + GET], answering({"body": b"abc"}, headers=[field]))
    assert seen.sent == b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    assert seen.closed


@pytest.mark.parametrize("content", [b"ab", b"abcd"], ids=["too little", "too much"])
async def test_another_length_than_announced_ends_the_connection(content: bytes) -> None:
    app = answering({"body": content}, headers=[(b"content-length", b"3")])
    seen = await exchange([GET + GET], app)
    assert seen.sent.count(b"HTTP/1.1") <= 1
    assert b"abcd" not in seen.sent
    assert seen.closed


async def test_an_app_that_breaks_off_leaves_no_end_behind_its_answer() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        raise RuntimeError

    seen = await exchange([GET + GET], app)
    assert seen.sent.endswith(b"2\r\nab\r\n")
    assert seen.closed


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


FAR = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n"
FOREVER = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


async def test_the_rest_of_a_body_that_an_app_leaves_is_dropped_where_it_is_small() -> None:
    seen = await exchange([POST[:-3], b"llo" + LAST], refusing, patient=True)
    assert seen.sent.count(b"HTTP/1.1 413 ") == 2
    assert seen.sent.count(b"connection: close") == 1


@pytest.mark.parametrize("sent", [FAR, FOREVER, FAR.replace(b"70000", b"7\r\nExpect: 100-continue")])
async def test_an_answer_before_a_body_whose_end_is_far_says_that_it_closes(sent: bytes) -> None:
    seen = await exchange([sent, b"0\r\n\r\n" + b"x" * 70_000 + GET], refusing, patient=True)
    assert seen.sent.startswith(b"HTTP/1.1 413 ")
    assert seen.sent.count(b"connection: close") == seen.sent.count(b"HTTP/1.1") == 1
    assert seen.closed


async def test_an_app_may_answer_while_it_reads() -> None:
    async def duplex(scope: Any, receive: Any, send: Any) -> None:
        more = True
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    seen = await exchange([FOREVER, b"0\r\n\r\n" + GET], duplex, patient=True)
    assert seen.sent.count(b"HTTP/1.1 200 OK") == 2
    assert b"close" not in seen.sent


# Trailers and interim answers


def trailing(*messages: dict[str, Any]) -> App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        trailers = "http.response.trailers" in scope["extensions"]
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": trailers})
        await send({"type": "http.response.body", "body": b"ab"})
        for message in messages if trailers else ():
            await send({"type": "http.response.trailers", **message})

    return app


TRAILING = GET.replace(b"\r\n\r\n", b"\r\nTE: deflate, trailers\r\n\r\n")


async def test_trailers_go_to_whom_they_are_welcome() -> None:
    digest, more = {"headers": [(b"digest", b"x")], "more_trailers": True}, {"headers": [(b"Y", b"z")]}
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"
    seen = await exchange([TRAILING + GET + TRAILING], trailing(digest, more))
    with_trailers = head + b"digest: x\r\nY: z\r\n\r\n"
    assert seen.sent == with_trailers + head + b"\r\n" + with_trailers


async def test_a_trailer_that_would_not_stay_on_its_line_ends_the_connection() -> None:
    seen = await exchange([TRAILING + GET], trailing({"headers": [(b"x", b"a\r\ny: b")]}))
    assert seen.sent.endswith(b"0\r\n")
    assert seen.closed


@pytest.mark.parametrize("sent", [TRAILING.replace(b"GET", b"HEAD"), GET])
async def test_trailers_that_nobody_takes_are_no_fault_of_the_app(sent: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"ab"})
        await send({"type": "http.response.trailers", "headers": [(b"x", b"y")]})
        ended.append(scope["method"])

    ended: list[str] = []
    seen = await exchange([sent], app)
    assert b"x: y" not in seen.sent
    assert len(ended) == 1


@pytest.mark.parametrize("kind", ["http.response.trailers", "http.response.body"])
async def test_what_comes_before_or_behind_its_turn_is_not_sent(kind: str) -> None:
    late = {"type": kind, "headers": [(b"x", b"y")], "body": b"cd", "more_trailers": True}

    async def early(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        if kind == "http.response.body":
            await send({"type": "http.response.body", "body": b"ab"})
        await send(late)

    seen = await exchange([TRAILING + GET], early)
    assert b"x: y" not in seen.sent
    assert b"cd" not in seen.sent
    assert seen.closed


async def test_tasks_of_an_app_that_send_at_once_do_not_mix_their_parts() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        parts = [{"type": "http.response.body", "body": letter * 300_000, "more_body": True} for letter in (b"a", b"b")]
        await asyncio.gather(*map(send, parts))
        await send({"type": "http.response.body"})

    seen = await exchange([GET + LAST], app)
    assert seen.sent.count(b"HTTP/1.1 200 OK") == 2
    assert seen.sent.index(b"b" * 60_000) > seen.sent.index(b"a" * 37_000 + b"\r\n")


async def test_a_part_that_is_cancelled_ends_its_connection() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"900000")]})
        sending = asyncio.create_task(send({"type": "http.response.body", "body": b"a" * 900_000}))
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    seen = await exchange([GET + GET], app)
    assert seen.sent.count(b"HTTP/1.1") == 1
    assert len(seen.sent) < 900_000
    assert seen.closed


async def test_of_two_that_wait_for_the_body_one_may_stop_waiting() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        stopped = asyncio.create_task(receive())
        reading = asyncio.create_task(read_body(receive))
        await asyncio.sleep(0)
        stopped.cancel()
        body = await reading or b""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    assert b"hello" in (await exchange([POST[:-5], b"hello"], app, patient=True)).sent


async def hinting(scope: Any, receive: Any, send: Any) -> None:
    if "http.response.early_hint" in scope["extensions"]:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


async def test_early_hints_go_before_the_answer_but_not_to_http_1_0() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\n\r\n"
    assert (await exchange([GET], hinting)).sent == hints + b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    old = await exchange([GET.replace(b"1.1", b"1.0")], hinting)
    assert old.sent == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


# What an app must not do


@pytest.mark.parametrize("status", [99, 100, 101, 199, 1000])
async def test_what_is_no_final_status_is_a_500(status: int) -> None:
    seen = await exchange([GET], answering({"body": b""}, status=status))
    assert seen.sent.startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize("lengths", [[b"3", b"3"], [b"+3"], [b"3, 3"], [b""], [b"-1"]])
async def test_an_apps_length_that_is_none_is_a_500(lengths: list[bytes]) -> None:
    headers = [(b"Content-Length", length) for length in lengths]
    seen = await exchange([GET], answering({"body": b"abc"}, headers=headers))
    assert seen.sent.startswith(b"HTTP/1.1 500 ")


async def test_an_apps_framing_is_the_servers_whatever_the_case_of_its_names() -> None:
    headers = [(b"Content-Length", b"3"), (b"Transfer-Encoding", b"chunked"), (b"Connection", b"Close")]
    seen = await exchange([GET + GET], answering({"body": b"abc"}, headers=headers))
    assert seen.sent == b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: Close\r\n\r\nabc"


async def test_204_has_no_length() -> None:
    seen = await exchange([GET], answering({"body": b""}, status=204, headers=[(b"content-length", b"0")]))
    assert seen.sent == b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.body", "body": b"early"}],
        [{"type": "http.response.start", "status": 200}, {"type": "http.response.start", "status": 201}],
        [{"type": "http.response.start", "status": 200}, {"type": "http.response.trailers", "headers": []}],
        [{"type": "http.disconnect"}],
        [],
    ],
    ids=["a body first", "two heads", "trailers unasked", "not its message", "nothing"],
)
async def test_an_answer_out_of_turn_is_a_500(messages: list[dict[str, Any]]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    seen = await exchange([GET + GET], app)
    assert seen.sent == b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


async def test_an_app_may_work_on_behind_its_answer_while_the_next_request_is_served() -> None:
    done: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})
        assert (await receive())["type"] == "http.disconnect"
        await asyncio.sleep(0)
        done.append(scope["raw_path"])

    seen = await exchange([GET + LAST], app)
    assert seen.sent.count(b"HTTP/1.1 200 OK") == 2
    assert done == [b"/a", b"/last"]


# Limits


async def test_more_fields_than_allowed_are_refused_before_the_head_is_whole() -> None:
    fields = b"X: y\r\n" * (FIELD_LIMIT - 1)
    assert (await exchange([GET[:-2] + fields + b"\r\n"])).sent.startswith(b"HTTP/1.1 200 ")
    assert (await exchange([GET[:-2] + fields + b"X: y\r\n" * 2], hang_up=False)).sent.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("length", [10, 200_000])
async def test_a_sender_waits_while_the_app_does_not_read(length: int) -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        body = await read_body(receive)
        assert body is not None
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-length", b"%d" % len(body))]})
        await send({"type": "http.response.body"})

    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length
    pieces = [head, *[b"x" * 10_000] * (length // 10_000), b"x" * (length % 10_000)]
    assert b"x-length: %d" % length in (await exchange(pieces, late)).sent


async def test_requests_that_wait_for_the_answer_of_another_are_not_all_read() -> None:
    seen = await exchange([(GET + POST) * 2000 + LAST])
    assert seen.sent.count(b"HTTP/1.1 200 OK") == 4001


async def test_nothing_is_left_of_what_was_under_way_when_its_client_goes() -> None:
    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    seen = await exchange([POST[:-1]], waiting, hang_up=False)
    assert (seen.left_over, seen.sent) == (0, b"")


async def test_another_host_than_the_servers_is_not_found() -> None:
    other = GET.replace(b"Host: a", b"Host: b")
    seen = await exchange([GET + other + GET], server_names=["a"])
    assert [line[:3] for line in seen.sent.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404"]
    assert (await exchange([GET.replace(b"1.1", b"1.0").replace(b"Host: a\r\n", b"")], server_names=["a"])).closed
