"""`Content-Length` and the content it measures (RFC 9110 §8.6, RFC 9112 §6)."""

from tests.server.corpus.case import BAD, BOTH, NEXT, OK, THEN_BAD, Case, fields, old

TWICE = "RFC 9110 §8.6 allows to refuse what is said twice, and not all readers make one length of it."
FOLD = "A folded line is one field to some readers and two to others."
LF = "A bare LF ends a line for some readers only."
START = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"


def length(value: bytes) -> bytes:
    return fields(b"Content-Length: " + value, b"hello")


CASES = [
    # Lengths that are right
    Case("content of its length", length(b"5"), BOTH, BOTH, "9112 §6.3"),
    Case("content of no length at all", fields(b"X: b"), BOTH, BOTH, "9112 §6.3"),
    Case("length of zero", fields(b"Content-Length: 0"), BOTH, BOTH, "9110 §8.6"),
    Case("length of many zeros", fields(b"Content-Length: 00000000000000000000"), BOTH, BOTH, "9110 §8.6"),
    Case("length with leading zeros", length(b"0005"), BOTH, BOTH, "9110 §8.6"),
    Case(
        "length with leading zeros is not octal", fields(b"Content-Length: 010", b"0123456789"), BOTH, BOTH, "9110 §8.6"
    ),
    Case("length with white space around it", length(b"\t 5 \t"), BOTH, BOTH, "9112 §5"),
    Case("length in another case of its name", fields(b"cONTENT-lENGTH:5", b"hello"), BOTH, BOTH, "9110 §5.1"),
    Case("content of a GET", length(b"5").replace(b"POST", b"GET"), BOTH, BOTH, "9110 §9.3.1"),
    Case("content of a HEAD", length(b"5").replace(b"POST", b"HEAD"), BOTH, BOTH, "9110 §9.3.2"),
    Case("content of a DELETE", length(b"5").replace(b"POST", b"DELETE"), BOTH, BOTH, "9110 §9.3.5"),
    Case("content of an OPTIONS", length(b"5").replace(b"POST", b"OPTIONS"), BOTH, BOTH, "9110 §9.3.7"),
    Case("content like a request", fields(b"Content-Length: %d" % len(NEXT), NEXT), BOTH, BOTH, "9112 §6.3"),
    Case("content of line ends", fields(b"Content-Length: 4", b"\r\n\r\n"), BOTH, BOTH, "9112 §6.3"),
    Case("content of all bytes", fields(b"Content-Length: 256", bytes(range(256))), BOTH, BOTH, "9112 §6.3"),
    Case("content in HTTP/1.0", old(b"Content-Length: 5", b"hello"), OK, OK, "9112 §6.3"),
    # Content of another length
    Case("content shorter than its length", START + b"hello", BAD, BAD, "9112 §8"),
    Case("content that never comes", START, BAD, BAD, "9112 §8"),
    Case("content shorter than its length in HTTP/1.0", old(b"Content-Length: 9", b"hello"), BAD, BAD, "9112 §8"),
    Case("content longer than its length", fields(b"Content-Length: 3", b"hello "), THEN_BAD, THEN_BAD, "9112 §6.3"),
    Case("content behind a length of zero", fields(b"Content-Length: 0", b"hello "), THEN_BAD, THEN_BAD, "9112 §6.3"),
    Case("content without a length", fields(b"X: b", b"hello "), THEN_BAD, THEN_BAD, "9112 §6.3"),
    Case("length of 20 digits", length(b"99999999999999999999"), BAD, BAD, "9110 §8.6"),
    Case("length of five and two to the 64th", length(b"18446744073709551621"), BAD, BAD, "9110 §8.6"),
    # Lengths that are none
    Case("length that is empty", length(b""), BAD, BAD, "9110 §8.6"),
    Case("length of a word", length(b"five"), BAD, BAD, "9110 §8.6"),
    Case("length with a plus", length(b"+5"), BAD, BAD, "9110 §8.6"),
    Case("length below zero", length(b"-5"), BAD, BAD, "9110 §8.6"),
    Case("length of minus zero", length(b"-0"), BAD, BAD, "9110 §8.6"),
    Case("length of two numbers", length(b" 5 5"), BAD, BAD, "9110 §8.6"),
    Case("length in hexadecimal", length(b"0x5"), BAD, BAD, "9110 §8.6"),
    Case("length with an underscore", length(b"0_5"), BAD, BAD, "9110 §8.6"),
    Case("length with a fraction", length(b"5.0"), BAD, BAD, "9110 §8.6"),
    Case("length with an exponent", length(b"5e0"), BAD, BAD, "9110 §8.6"),
    Case("length with a parameter", length(b"5;x=y"), BAD, BAD, "9110 §8.6"),
    Case("length with a unit", length(b"5 bytes"), BAD, BAD, "9110 §8.6"),
    Case("length in quotes", length(b'"5"'), BAD, BAD, "9110 §8.6"),
    Case("length in Arabic digits", length("\u0665".encode()), BAD, BAD, "9110 §8.6"),
    Case("length of a superscript digit", length(b"\xb2"), BAD, BAD, "9110 §8.6"),
    Case("length behind a no-break space", length(b"\xa05"), BAD, BAD, "9110 §8.6"),
    Case("length behind a vertical tab", length(b"\x0b5"), BAD, BAD, "9110 §5.5"),
    Case("length with a NUL behind it", length(b"5\0"), BAD, BAD, "9110 §5.5"),
    Case("length of 21 digits", length(b"000000000000000000005"), BAD, BAD, "9110 §8.6"),
    Case("length of thousands of digits", length(b"9" * 4000), BAD, BAD, "9110 §8.6"),
    Case("length in HTTP/1.0 that is none", old(b"Content-Length: -5", b"hello"), BAD, BAD, "9110 §8.6"),
    # More than one length
    Case("two lengths", length(b"5\r\nContent-Length: 6"), BAD, BAD, "9110 §8.6"),
    Case("two lengths that are equal", length(b"5\r\nContent-Length: 5"), BAD, BOTH, "9110 §8.6", TWICE),
    Case("two lengths of the same value", length(b"5\r\nContent-Length: 05"), BAD, BAD, "9110 §8.6"),
    Case("two lengths in different case of the name", length(b"5\r\ncontent-length: 6"), BAD, BAD, "9110 §8.6"),
    Case("two lengths of which one is zero", length(b"0\r\nContent-Length: 5"), BAD, BAD, "9110 §8.6"),
    Case("two lengths of which one is empty", length(b"5\r\nContent-Length:"), BAD, BAD, "9110 §8.6"),
    Case("list of lengths", length(b"5, 6"), BAD, BAD, "9110 §8.6"),
    Case("list of equal lengths", length(b"5, 5"), BAD, BOTH, "9110 §8.6", TWICE),
    Case("list of equal lengths without spaces", length(b"5,5"), BAD, BOTH, "9110 §8.6", TWICE),
    Case("list of a length and nothing", length(b"5,"), BAD, BAD, "9110 §8.6"),
    Case("list of nothing and a length", length(b",5"), BAD, BAD, "9110 §8.6"),
    # Lengths that only some readers see
    Case("space before a length's colon", fields(b"Content-Length : 5", b"hello"), BAD, BAD, "9112 §5.1"),
    Case("tab before a length's colon", fields(b"Content-Length\t: 5", b"hello"), BAD, BAD, "9112 §5.1"),
    Case("NUL before a length's colon", fields(b"Content-Length\0: 5", b"hello"), BAD, BAD, "9110 §5.1"),
    Case("no-break space before a length's colon", fields(b"Content-Length\xa0: 5", b"hello"), BAD, BAD, "9110 §5.1"),
    Case("length with an underscore in its name", fields(b"Content_Length: %d" % len(NEXT)), BOTH, BOTH, "9110 §5.1"),
    Case("length in a name that goes on", fields(b"Content-Length-X: %d" % len(NEXT)), BOTH, BOTH, "9110 §5.1"),
    Case("length on a folded line", fields(b"X: b\r\n Content-Length: %d" % len(NEXT)), BAD, BOTH, "9112 §5.2", FOLD),
    Case("length whose value is folded", fields(b"Content-Length:\r\n 5", b"hello"), BAD, BOTH, "9112 §5.2", FOLD),
    Case("length that goes on on a folded line", fields(b"Content-Length: 1\r\n 5", b"hello"), BAD, BAD, "9112 §5.2"),
    Case("length behind a bare CR", fields(b"X: b\rContent-Length: 5", b"hello"), BAD, BAD, "9112 §2.2"),
    Case("length behind a bare LF", fields(b"X: b\nContent-Length: 5", b"hello"), BAD, BOTH, "9112 §2.2", LF),
]
