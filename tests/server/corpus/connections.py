"""Requests one after another: what keeps a connection open, what ends it, and where its client stops in the middle."""

from tests.server.corpus.case import BAD, BOTH, NEXT, OK, THEN_BAD, Case, fields, old

KEPT = "HTTP/1.0 may ask for the connection to be kept, and is told that it is: RFC 9112 §9.3."
READ_ON = "A kept connection of HTTP/1.0 is read on, and what is wrong on it refused."
EMPTY_LINES = "A server should ignore empty lines before a request: RFC 9112 §2.2."
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
KEEP = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
JUNK = b"\0\r\n\r\n"


def options(value: bytes) -> bytes:
    return fields(b"Connection: " + value)


CASES = [
    # One after another
    Case("two requests at once", GET + NEXT, BOTH, BOTH, "9112 §9.3.2"),
    Case("five requests at once", GET + POST + CHUNKED + GET + NEXT, (200,) * 5, (200,) * 5, "9112 §9.3.2"),
    Case("twenty requests at once", GET * 20, (200,) * 20, (200,) * 20, "9112 §9.3.2"),
    Case("HEAD before a request", GET.replace(b"GET", b"HEAD") + NEXT, BOTH, BOTH, "9112 §9.3.2"),
    Case("bad request behind a good one", GET + b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", THEN_BAD, THEN_BAD, "9112 §3"),
    Case("bad request between good ones", GET + b"GET / HTTP/1.1\r\n\r\n" + NEXT, THEN_BAD, THEN_BAD, "9112 §3.2"),
    Case("bad request before a good one", b"GET / HTTP/1.1\r\n\r\n" + NEXT, BAD, BAD, "9112 §3.2"),
    Case("bad chunk behind a good request", GET + CHUNKED.replace(b"hello", b"hell"), THEN_BAD, THEN_BAD, "9112 §7.1"),
    Case("junk behind content", POST + JUNK, THEN_BAD, THEN_BAD, "9112 §2.1"),
    Case("space between requests", GET + b" " + NEXT, THEN_BAD, THEN_BAD, "9112 §2.2"),
    Case("bare LF between requests", GET + b"\n" + NEXT, THEN_BAD, THEN_BAD, "9112 §2.2"),
    Case("bare CR between requests", GET + b"\r" + NEXT, THEN_BAD, THEN_BAD, "9112 §2.2"),
    # Empty lines
    Case("empty line before a request", b"\r\n" + GET, OK, BAD, "9112 §2.2", EMPTY_LINES, laxer=True),
    Case("16 empty lines before a request", b"\r\n" * 16 + GET, OK, BAD, "9112 §2.2", EMPTY_LINES, laxer=True),
    Case("17 empty lines before a request", b"\r\n" * 17 + GET, BAD, BAD, "9112 §2.2"),
    Case("thousands of empty lines", b"\r\n" * 2000, BAD, BAD, "9112 §2.2"),
    Case("empty line behind content", POST + b"\r\n" + NEXT, BOTH, THEN_BAD, "9112 §2.2", EMPTY_LINES, laxer=True),
    Case("empty line behind chunks", CHUNKED + b"\r\n" + NEXT, BOTH, THEN_BAD, "9112 §2.2", EMPTY_LINES, laxer=True),
    Case(
        "16 empty lines before each request", (b"\r\n" * 16 + GET) * 2, BOTH, BAD, "9112 §2.2", EMPTY_LINES, laxer=True
    ),
    Case("empty line alone", b"\r\n", (), BAD, "9112 §2.2", EMPTY_LINES, laxer=True),
    Case("bare LF before a request", b"\n" + GET, BAD, BAD, "9112 §2.2"),
    Case("bare CR before a request", b"\r" + GET, BAD, BAD, "9112 §2.2"),
    Case("empty line of a space before a request", b" \r\n" + GET, BAD, BAD, "9112 §2.2"),
    # Close
    Case("request behind close", options(b"close"), OK, OK, "9112 §9.6"),
    Case("junk behind close", options(b"close") + JUNK, OK, OK, "9112 §9.6"),
    Case("close in mixed case", options(b"cLOSE"), OK, OK, "9110 §7.6.1"),
    Case("close in a list", options(b"X-Y , close,\tz"), OK, OK, "9110 §7.6.1"),
    Case("close beside empty elements", options(b", ,close,"), OK, OK, "9110 §5.6.1"),
    Case("close on its second line", options(b"X-Y\r\nConnection: close"), OK, OK, "9110 §5.3"),
    Case("close and keep-alive", options(b"keep-alive, close"), OK, OK, "9112 §9.3"),
    Case("close behind content", fields(b"Connection: close\r\nContent-Length: 5", b"hello"), OK, OK, "9112 §9.6"),
    Case("close of the second request", GET + options(b"close"), BOTH, BOTH, "9112 §9.6"),
    Case("word that begins with close", options(b"closed"), BOTH, BOTH, "9110 §7.6.1"),
    Case("keep-alive in HTTP/1.1", options(b"keep-alive"), BOTH, BOTH, "9112 §9.3"),
    Case(
        "keep-alive with parameters",
        fields(b"Connection: keep-alive\r\nKeep-Alive: timeout=5"),
        BOTH,
        BOTH,
        "9112 §9.3",
    ),
    Case("Host named in Connection", options(b"Host"), BOTH, BOTH, "9110 §7.6.1"),
    Case(
        "length named in Connection",
        fields(b"Connection: Content-Length\r\nContent-Length: 5", b"hello"),
        BOTH,
        BOTH,
        "9110 §7.6.1",
    ),
    Case("close in the field of proxies", fields(b"Proxy-Connection: close"), BOTH, BOTH, "9112 §9.3"),
    # HTTP/1.0
    Case("request behind HTTP/1.0", OLD + NEXT, OK, OK, "9112 §9.3"),
    Case("junk behind HTTP/1.0", OLD + JUNK, OK, OK, "9112 §9.3"),
    Case("request behind keep-alive in HTTP/1.0", KEEP + NEXT, BOTH, OK, "9112 §9.3", KEPT, laxer=True),
    Case("three requests in HTTP/1.0", KEEP + KEEP + OLD + NEXT, (200,) * 3, OK, "9112 §9.3", KEPT, laxer=True),
    Case(
        "keep-alive in mixed case in HTTP/1.0", KEEP.replace(b"k", b"K") + NEXT, BOTH, OK, "9112 §9.3", KEPT, laxer=True
    ),
    Case(
        "content behind keep-alive in HTTP/1.0",
        KEEP[:-2] + b"Content-Length: 5\r\n\r\nhello" + NEXT,
        BOTH,
        OK,
        "9112 §9.3",
        KEPT,
        laxer=True,
    ),
    Case("junk behind keep-alive in HTTP/1.0", KEEP + JUNK, THEN_BAD, OK, "9112 §9.3", READ_ON),
    Case("close and keep-alive in HTTP/1.0", KEEP.replace(b"keep", b"close, keep") + NEXT, OK, OK, "9112 §9.3"),
    Case("HTTP/1.0 behind HTTP/1.1", GET + OLD + NEXT, BOTH, BOTH, "9112 §9.3"),
    Case("content without a length in HTTP/1.0", OLD.replace(b"GET", b"POST") + b"hello", OK, OK, "9112 §6.3"),
    # Upgrade and Expect
    Case(
        "upgrade to HTTP/2",
        fields(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"),
        BOTH,
        BOTH,
        "9110 §7.8",
    ),
    Case(
        "upgrade to HTTP/2 with content",
        fields(b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5", b"hello"),
        BOTH,
        BOTH,
        "9110 §7.8",
    ),
    Case("upgrade to TLS", fields(b"Connection: Upgrade\r\nUpgrade: TLS/1.0"), BOTH, BOTH, "9110 §7.8"),
    Case("upgrade to nothing", fields(b"Connection: Upgrade\r\nUpgrade:"), BOTH, BOTH, "9110 §7.8"),
    Case("upgrade that Connection does not name", fields(b"Upgrade: h2c"), BOTH, BOTH, "9110 §7.8"),
    Case(
        "expectation of 100", fields(b"Expect: 100-Continue\r\nContent-Length: 5", b"hello"), BOTH, BOTH, "9110 §10.1.1"
    ),
    Case(
        "expectation of 100 before chunks",
        fields(b"Expect: 100-continue\r\nTransfer-Encoding: chunked", b"1\r\nb\r\n0\r\n\r\n"),
        BOTH,
        BOTH,
        "9110 §10.1.1",
    ),
    Case("expectation of 100 without content", fields(b"Expect: 100-continue"), BOTH, BOTH, "9110 §10.1.1"),
    Case(
        "expectation of 100 in HTTP/1.0",
        old(b"Expect: 100-continue\r\nContent-Length: 5", b"hello"),
        OK,
        OK,
        "9110 §10.1.1",
    ),
    Case("expectation of 100 in vain", POST.replace(b"5", b"9\r\nExpect: 100-continue"), BAD, BAD, "9112 §8"),
    Case(
        "expectation of another kind",
        fields(b"Expect: 200-ok\r\nContent-Length: 5", b"hello"),
        BOTH,
        BOTH,
        "9110 §10.1.1",
    ),
    Case("expectation of nothing", fields(b"Expect:\r\nContent-Length: 5", b"hello"), BOTH, BOTH, "9110 §10.1.1"),
    # Where the client stops
    Case("nothing at all", b"", (), (), "9112 §9.6"),
    Case("method that breaks off", b"GE", BAD, BAD, "9112 §8"),
    Case("request line that breaks off", b"GET / HTT", BAD, BAD, "9112 §8"),
    Case("request line alone", b"GET / HTTP/1.1\r\n", BAD, BAD, "9112 §8"),
    Case("field that breaks off", b"GET / HTTP/1.1\r\nHost: a", BAD, BAD, "9112 §8"),
    Case("head without its empty line", b"GET / HTTP/1.1\r\nHost: a\r\n", BAD, BAD, "9112 §8"),
    Case("head without its last byte", GET[:-1], BAD, BAD, "9112 §8"),
    Case("head that breaks off in HTTP/1.0", OLD[:-2], BAD, BAD, "9112 §8"),
    Case("second head that breaks off", GET + NEXT[:-1], THEN_BAD, THEN_BAD, "9112 §8"),
    Case("one byte behind a request", GET + b"G", THEN_BAD, THEN_BAD, "9112 §8"),
    Case("CR behind a request", GET + b"\r", THEN_BAD, THEN_BAD, "9112 §8"),
]
