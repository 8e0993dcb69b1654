"""Field lines: names, values, white space and what ends them (RFC 9112 §5, RFC 9110 §5)."""

from tests.server.corpus.case import BAD, BOTH, NEXT, OK, THEN_BAD, Case, fields

LF = "A bare LF ends a line for some readers only."
FOLD = "A folded line is one field to some readers and two to others."
CONTROL = "A control character is no part of a value, and not all readers keep it."
VISIBLE = bytes(range(0x20, 0x7F))

CASES = [
    # Names and values that are right
    Case("field name of all token characters", fields(b"!#$%&'*+-.^_`|~09azAZ: b"), BOTH, BOTH, "9110 §5.6.2"),
    Case("field name of a digit", fields(b"1: b"), BOTH, BOTH, "9110 §5.1"),
    Case("field name with an underscore", fields(b"X_Y: b"), BOTH, BOTH, "9110 §5.1"),
    Case("field that comes twice", fields(b"X: b\r\nX: c\r\nx: b"), BOTH, BOTH, "9110 §5.3"),
    Case("value of all visible characters", fields(b"X:" + VISIBLE), BOTH, BOTH, "9110 §5.5"),
    Case("value of all bytes beyond ASCII", fields(b"X: " + bytes(range(0x80, 0x100))), BOTH, BOTH, "9110 §5.5"),
    Case("value that is empty", fields(b"X:"), BOTH, BOTH, "9110 §5.5"),
    Case("value of white space", fields(b"X: \t \t"), BOTH, BOTH, "9112 §5"),
    Case("value without a space before it", fields(b"X:b"), BOTH, BOTH, "9112 §5"),
    Case("value with much white space around it", fields(b"X:\t\t  b  \t"), BOTH, BOTH, "9112 §5"),
    Case("value with tabs within", fields(b"X: b\tc\t\td"), BOTH, BOTH, "9110 §5.5"),
    Case("value with colons", fields(b"X: : b: c:"), BOTH, BOTH, "9110 §5.5"),
    Case("value with a quote that does not close", fields(b'X: "b'), BOTH, BOTH, "9110 §5.5"),
    Case("value like a request line", fields(b"X: GET / HTTP/1.1"), BOTH, BOTH, "9110 §5.5"),
    # Names that are wrong
    *(
        Case(f"field name with {mark}", fields(b"X" + mark.encode() + b"Y: b"), BAD, BAD, "9110 §5.6.2")
        for mark in '()[]{}<>@,;\\"/?='
    ),
    Case("field name that is empty", fields(b": b"), BAD, BAD, "9112 §5"),
    Case("field name of HTTP/2", fields(b":path: /b"), BAD, BAD, "9112 §5"),
    Case("field name with a space", fields(b"X Y: b"), BAD, BAD, "9112 §5"),
    Case("field name with a NUL", fields(b"X\0: b"), BAD, BAD, "9110 §5.1"),
    Case("field name with a control character", fields(b"X\x1f: b"), BAD, BAD, "9110 §5.1"),
    Case("field name with a DEL", fields(b"X\x7f: b"), BAD, BAD, "9110 §5.1"),
    Case("field name in UTF-8", fields(b"\xc3\xa4: b"), BAD, BAD, "9110 §5.1"),
    Case("field name with a byte order mark", fields(b"\xef\xbb\xbfX: b"), BAD, BAD, "9110 §5.1"),
    Case("field without a colon", fields(b"X"), BAD, BAD, "9112 §5"),
    Case("field without a colon but with a value", fields(b"X b"), BAD, BAD, "9112 §5"),
    Case("field with an equals sign for a colon", fields(b"X=b"), BAD, BAD, "9112 §5"),
    # White space where none may be
    Case("space before a colon", fields(b"X : b"), BAD, BAD, "9112 §5.1"),
    Case("tab before a colon", fields(b"X\t: b"), BAD, BAD, "9112 §5.1"),
    Case("space before the colon of Host", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", BAD, BAD, "9112 §5.1"),
    Case("space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", BAD, BAD, "9112 §2.2"),
    Case("tab before the first field", b"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", BAD, BAD, "9112 §2.2"),
    Case("folded line before the first field", b"GET / HTTP/1.1\r\n b\r\nHost: a\r\n\r\n", BAD, BAD, "9112 §2.2"),
    # Folded lines
    Case("value that is folded by a space", fields(b"X: b\r\n c"), BAD, BOTH, "9112 §5.2", FOLD),
    Case("value that is folded by a tab", fields(b"X: b\r\n\tc"), BAD, BOTH, "9112 §5.2", FOLD),
    Case("value that begins on a folded line", fields(b"X:\r\n b"), BAD, BOTH, "9112 §5.2", FOLD),
    Case("folded line of white space", fields(b"X: b\r\n \r\nY: c"), BAD, BOTH, "9112 §5.2", FOLD),
    Case("folded line of white space at the end", fields(b"X: b\r\n "), BAD, BOTH, "9112 §5.2", FOLD),
    Case("folded line like a field", fields(b"X: b\r\n Host: c"), BAD, BOTH, "9112 §5.2", FOLD),
    Case("Host that is folded", b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", BAD, OK, "9112 §5.2", FOLD),
    # Control characters in values
    Case("value with a NUL", fields(b"X: b\0c"), BAD, BAD, "9110 §5.5"),
    Case("value of a NUL", fields(b"X: \0"), BAD, BAD, "9110 §5.5"),
    Case("value with a control character", fields(b"X: b\x01c"), BAD, BOTH, "9110 §5.5", CONTROL),
    Case("value with a backspace", fields(b"X: b\x08c"), BAD, BOTH, "9110 §5.5", CONTROL),
    Case("value with an escape character", fields(b"X: \x1b[0m"), BAD, BOTH, "9110 §5.5", CONTROL),
    Case("value with a DEL", fields(b"X: b\x7f"), BAD, BOTH, "9110 §5.5", CONTROL),
    Case("value with a vertical tab", fields(b"X: b\x0bc"), BAD, BAD, "9110 §5.5"),
    Case("value with a form feed before it", fields(b"X:\x0cb"), BAD, BAD, "9110 §5.5"),
    # Ends of lines
    Case("value with a bare CR", fields(b"X: b\rc"), BAD, BAD, "9112 §2.2"),
    Case("value with a bare CR and a field behind it", fields(b"X: b\rHost: c"), BAD, BAD, "9112 §2.2"),
    Case("value with two CRs behind it", fields(b"X: b\r"), BAD, BAD, "9112 §2.2"),
    Case("value with a CR before it", fields(b"X:\r b"), BAD, BAD, "9112 §2.2"),
    Case("bare LF behind a field", fields(b"X: b\nY: c"), BAD, BOTH, "9112 §2.2", LF),
    Case("bare LF behind the last field", b"GET / HTTP/1.1\r\nHost: a\n\r\n" + NEXT, BAD, BOTH, "9112 §2.2", LF),
    Case("bare LF for the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\n" + NEXT, BAD, BOTH, "9112 §2.2", LF),
    Case("bare LF before an end of a head", fields(b"X: b\n\r\nY: c"), BAD, THEN_BAD, "9112 §2.2", LF),
    Case("two CRs in the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", BAD, BAD, "9112 §2.2"),
    Case("space in the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", BAD, OK, "9112 §5.2", FOLD),
]
