"""`Transfer-Encoding`: codings that are unknown, doubled or hidden, and lengths beside them (RFC 9112 §6.1, §6.3)."""

from tests.server.corpus.case import BAD, BOTH, NEXT, OK, THEN_BAD, Case, fields, old

NOT_LAST = "Where chunked is not the last coding the end is unknown, which RFC 9112 §6.3 answers with 400."
TWICE = "RFC 9112 §6.1 forbids to apply chunked twice, so it is malformed, and no unknown coding."
MALFORMED = "That is a malformed field, and not a coding that happens to be unknown."
EMPTY = "An empty element is to be ignored, but readers differ, and nobody sends one but to use that."
PARAMETER = "No coding with parameters is registered, so none is read."
TWO = "Two framings are an attack more often than a mistake, and ought to be an error: RFC 9112 §6.3."
OLD = "HTTP/1.0 has no Transfer-Encoding, so its framing is faulty: RFC 9112 §6.1."
FOLD = "A folded line is one field to some readers and two to others."
LF = "A bare LF ends a line for some readers only."
HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def coding(value: bytes) -> bytes:
    return fields(b"Transfer-Encoding: " + value, HELLO)


def hidden(lines: bytes) -> bytes:
    """Return a request whose content is empty to who sees a coding, and whose next one is to who does not."""
    return fields(b"Content-Length: 5\r\n" + lines, b"0\r\n\r\n")


CASES = [
    # Chunked
    Case("chunked", coding(b"chunked"), BOTH, BOTH, "9112 §7.1"),
    Case("chunked in mixed case", coding(b"cHUNKED"), BOTH, BOTH, "9112 §7"),
    Case("chunked with white space around it", coding(b" \tchunked \t"), BOTH, BOTH, "9112 §5"),
    Case("chunked in another case of its field", fields(b"tRANSFER-eNCODING:chunked", HELLO), BOTH, BOTH, "9110 §5.1"),
    Case("chunked in a GET", coding(b"chunked").replace(b"POST", b"GET"), BOTH, BOTH, "9112 §6"),
    Case("chunked in a HEAD", coding(b"chunked").replace(b"POST", b"HEAD"), BOTH, BOTH, "9112 §6"),
    Case(
        "chunked as something to accept", fields(b"TE: chunked, trailers\r\nConnection: TE"), BOTH, BOTH, "9110 §10.1.4"
    ),
    # Codings that are not known
    Case("coding before chunked", coding(b"gzip, chunked"), (501,), (501,), "9112 §6.1"),
    Case("coding before chunked without a space", coding(b"gzip,chunked"), (501,), (501,), "9112 §6.1"),
    Case("two codings before chunked", coding(b"gzip, x-y, chunked"), (501,), (501,), "9112 §6.1"),
    Case("identity before chunked", coding(b"identity, chunked"), (501,), (501,), "9112 §7"),
    Case(
        "coding before chunked on two lines", coding(b"gzip\r\nTransfer-Encoding: chunked"), (501,), (501,), "9110 §5.3"
    ),
    # Chunked that is not the last coding, or not once
    Case("coding alone", coding(b"gzip"), BAD, (501,), "9112 §6.3", NOT_LAST),
    Case("identity alone", coding(b"identity"), BAD, (501,), "9112 §6.3", NOT_LAST),
    Case("coding behind chunked", coding(b"chunked, gzip"), BAD, (501,), "9112 §6.3", NOT_LAST),
    Case("identity behind chunked", coding(b"chunked, identity"), BAD, (501,), "9112 §6.3", NOT_LAST),
    Case(
        "coding behind chunked on two lines",
        coding(b"chunked\r\nTransfer-Encoding: gzip"),
        BAD,
        (501,),
        "9112 §6.3",
        NOT_LAST,
    ),
    Case("chunked twice", coding(b"chunked, chunked"), BAD, (501,), "9112 §6.1", TWICE),
    Case(
        "chunked twice on two lines", coding(b"chunked\r\nTransfer-Encoding: chunked"), BAD, (501,), "9112 §6.1", TWICE
    ),
    Case("chunked twice around another", coding(b"chunked, gzip, chunked"), BAD, (501,), "9112 §6.1", TWICE),
    # Codings that are none
    Case("coding that is empty", coding(b""), BAD, (501,), "9112 §6.1", MALFORMED),
    Case("coding of a comma", coding(b","), BAD, (501,), "9110 §5.6.1", EMPTY),
    Case("comma behind chunked", coding(b"chunked,"), BAD, (501,), "9110 §5.6.1", EMPTY),
    Case("comma before chunked", coding(b", chunked"), BAD, (501,), "9110 §5.6.1", EMPTY),
    Case("empty coding on a second line", coding(b"chunked\r\nTransfer-Encoding:"), BAD, (501,), "9110 §5.6.1", EMPTY),
    Case("word that touches chunked", coding(b"xchunked"), BAD, (501,), "9112 §6.3", NOT_LAST),
    Case("word that goes on behind chunked", coding(b"chunkedx"), BAD, (501,), "9112 §6.3", NOT_LAST),
    Case("word behind chunked", coding(b"chunked x"), BAD, (501,), "9112 §6.1", MALFORMED),
    Case("word before chunked", coding(b"x chunked"), BAD, (501,), "9112 §6.1", MALFORMED),
    Case("parameter of chunked", coding(b"chunked;q=1"), BAD, (501,), "9112 §7.1", MALFORMED),
    Case("semicolon behind chunked", coding(b"chunked;"), BAD, (501,), "9112 §7.1", MALFORMED),
    Case("parameter of another coding", coding(b"gzip;q=1, chunked"), BAD, (501,), "9112 §7", PARAMETER),
    Case("chunked in double quotes", coding(b'"chunked"'), BAD, (501,), "9112 §6.1", MALFORMED),
    Case("chunked in single quotes", coding(b"'chunked'"), BAD, (501,), "9112 §6.3", NOT_LAST),
    Case("chunked behind a colon", coding(b": chunked"), BAD, (501,), "9112 §6.1", MALFORMED),
    Case("chunked behind a no-break space", coding(b"\xa0chunked"), BAD, (501,), "9112 §6.1", MALFORMED),
    Case(
        "chunked with the Kelvin sign for its k", coding("chun\u212aed".encode()), BAD, (501,), "9112 §6.1", MALFORMED
    ),
    Case("chunked with a control character behind it", coding(b"chunked\x01"), BAD, (501,), "9110 §5.5", MALFORMED),
    Case("chunked with a NUL behind it", coding(b"chunked\0"), BAD, BAD, "9110 §5.5"),
    Case("chunked behind a vertical tab", coding(b"\x0bchunked"), BAD, BAD, "9110 §5.5"),
    Case("chunked behind a form feed", coding(b"\x0cchunked"), BAD, BAD, "9110 §5.5"),
    # Chunked and a length
    Case("chunked beside a length", hidden(b"Transfer-Encoding: chunked"), BAD, BOTH, "9112 §6.3", TWO),
    Case(
        "chunked before a length",
        fields(b"Transfer-Encoding: chunked\r\nContent-Length: 15", HELLO),
        BAD,
        BOTH,
        "9112 §6.3",
        TWO,
    ),
    Case(
        "chunked beside a length of zero",
        fields(b"Content-Length: 0\r\nTransfer-Encoding: chunked", HELLO),
        BAD,
        BOTH,
        "9112 §6.3",
        TWO,
    ),
    Case(
        "request that a length hides and chunked does not",
        fields(b"Content-Length: %d\r\nTransfer-Encoding: chunked" % (5 + len(NEXT)), b"0\r\n\r\n" + NEXT),
        BAD,
        (200, 200, 200),
        "9112 §6.3",
        TWO,
    ),
    Case(
        "request that chunked hides and a length does not",
        fields(b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(NEXT), NEXT)),
        BAD,
        BOTH,
        "9112 §6.3",
        TWO,
    ),
    Case("unknown coding beside a length", hidden(b"Transfer-Encoding: gzip, chunked"), BAD, (501,), "9112 §6.3", TWO),
    Case("identity beside a length", hidden(b"Transfer-Encoding: identity"), BAD, (501,), "9112 §6.3", TWO),
    Case("empty coding beside a length", hidden(b"Transfer-Encoding:"), BAD, (501,), "9112 §6.3", TWO),
    Case(
        "chunked beside a length that is none",
        fields(b"Content-Length: x\r\nTransfer-Encoding: chunked", HELLO),
        BAD,
        BAD,
        "9112 §6.3",
    ),
    # Chunked that only some readers see
    Case("space before the coding's colon", hidden(b"Transfer-Encoding : chunked"), BAD, BAD, "9112 §5.1"),
    Case("tab before the coding's colon", hidden(b"Transfer-Encoding\t: chunked"), BAD, BAD, "9112 §5.1"),
    Case("NUL before the coding's colon", hidden(b"Transfer-Encoding\0: chunked"), BAD, BAD, "9110 §5.1"),
    Case("space within the coding's name", hidden(b"Transfer Encoding: chunked"), BAD, BAD, "9110 §5.1"),
    Case(
        "coding with another hyphen in its name",
        hidden("Transfer\u2010Encoding: chunked".encode()),
        BAD,
        BAD,
        "9110 §5.1",
    ),
    Case("coding with an underscore", hidden(b"Transfer_Encoding: chunked"), BOTH, BOTH, "9110 §5.1"),
    Case(
        "coding with an underscore alone", fields(b"Transfer_Encoding: chunked", HELLO), THEN_BAD, THEN_BAD, "9110 §5.1"
    ),
    Case("coding as the value of another field", hidden(b"X: Transfer-Encoding: chunked"), BOTH, BOTH, "9110 §5.5"),
    Case("coding of content", hidden(b"Content-Encoding: chunked"), BOTH, BOTH, "9110 §8.4"),
    Case("coding on a folded line", hidden(b"X: b\r\n Transfer-Encoding: chunked"), BAD, BOTH, "9112 §5.2", FOLD),
    Case(
        "coding whose value is folded", fields(b"Transfer-Encoding:\r\n chunked", HELLO), BAD, BOTH, "9112 §5.2", FOLD
    ),
    Case("coding behind a bare CR", hidden(b"X: b\rTransfer-Encoding: chunked"), BAD, BAD, "9112 §2.2"),
    Case("coding behind a bare LF", fields(b"X: b\nTransfer-Encoding: chunked", HELLO), BAD, BOTH, "9112 §2.2", LF),
    Case(
        "coding behind a space as the first field",
        b"POST / HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a\r\n\r\n" + HELLO,
        BAD,
        BAD,
        "9112 §2.2",
    ),
    # HTTP/1.0
    Case("chunked in HTTP/1.0", old(b"Transfer-Encoding: chunked", HELLO), BAD, OK, "9112 §6.1", OLD),
    Case(
        "chunked in HTTP/1.0 that is kept alive",
        old(b"Connection: keep-alive\r\nTransfer-Encoding: chunked", HELLO),
        BAD,
        OK,
        "9112 §6.1",
        OLD,
    ),
    Case("unknown coding in HTTP/1.0", old(b"Transfer-Encoding: gzip, chunked"), BAD, (501,), "9112 §6.1", OLD),
]
