"""What is too large, in an engine that takes heads of 4096 bytes and 64 fields."""

from tests.server.corpus.case import BAD, BOTH, NEXT, OK, Case, chunked, fields

WHOLE = "h11 limits what is incomplete, so a head that comes at once may be of any size."
UNENDING = "A request line that is too long has a status of its own: RFC 9112 §3."
COUNT = "h11 limits bytes and no fields, though each field costs something of its own."
DROPPED = "Trailers are dropped, so there is no use for many."


def head(size_bytes: int) -> bytes:
    """Return a head of this size."""
    begin, end = b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"\r\n\r\n"
    return begin + b"b" * (size_bytes - len(begin + end)) + end


def line(size_bytes: int) -> bytes:
    """Return a request line of this size."""
    begin, end = b"GET /", b" HTTP/1.1\r\n"
    return begin + b"b" * (size_bytes - len(begin + end)) + end


CASES = [
    Case("head of 4096 bytes", head(4096) + NEXT, BOTH, BOTH, "6585 §5"),
    Case("head of 4097 bytes", head(4097) + NEXT, (431,), BOTH, "6585 §5", WHOLE),
    Case("second head of 4097 bytes", NEXT + head(4097), (200, 431), BOTH, "6585 §5", WHOLE),
    Case("second head of 4096 bytes", NEXT + head(4096), BOTH, BOTH, "6585 §5"),
    Case("field without an end", head(5000)[:-4], (431,), (431,), "6585 §5"),
    Case("field name without an end", b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X" * 5000, (431,), (431,), "6585 §5"),
    Case("request line of 4000 bytes", line(4000) + b"Host: a\r\n\r\n", OK, OK, "9112 §3"),
    Case("request line of 4096 bytes", line(4096) + b"Host: a\r\n\r\n", (431,), OK, "6585 §5", WHOLE),
    Case("request line of 4097 bytes", line(4097) + b"Host: a\r\n\r\n", (414,), OK, "9112 §3", WHOLE),
    Case("request line without an end", line(5000)[:-2], (414,), (431,), "9112 §3", UNENDING),
    Case("method without an end", b"G" * 5000, (414,), (431,), "9112 §3", UNENDING),
    Case("64 fields", fields(b"\r\n".join([b"X: b"] * 63)), BOTH, BOTH, "6585 §5"),
    Case("65 fields", fields(b"\r\n".join([b"X: b"] * 64)), (431,), BOTH, "6585 §5", COUNT),
    Case("65 fields without an end", b"GET / HTTP/1.1\r\n" + b"X: b\r\n" * 66, (431,), BAD, "6585 §5", COUNT),
    Case("trailers of 2000 bytes", chunked(b"0\r\nX: " + b"b" * 1993 + b"\r\n\r\n"), BOTH, BOTH, "9112 §7.1.2"),
    Case(
        "trailers of 20000 bytes",
        chunked(b"0\r\nX: " + b"b" * 19_993 + b"\r\n\r\n"),
        (431,),
        BOTH,
        "9112 §7.1.2",
        DROPPED,
    ),
    Case("content of 20000 bytes", fields(b"Content-Length: 20000", b"b" * 20_000), BOTH, BOTH, "9110 §8.6"),
    Case("chunk of 20000 bytes", chunked(b"4e20\r\n" + b"b" * 20_000 + b"\r\n0\r\n\r\n"), BOTH, BOTH, "9112 §7.1"),
]
