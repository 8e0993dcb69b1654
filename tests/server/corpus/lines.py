"""Request lines: their parts, what separates them, and where they end."""

from tests.server.corpus.case import BAD, BOTH, NEXT, OK, Case, line

FOLDS_CASE = "Methods are case-sensitive, and a reader that folds their case would see GET."
NO_VERSION = "There is no such version of HTTP/1, and the framing of another is not known."
LF = "A bare LF ends a line for some readers only."

CASES = [
    # Methods
    Case("method of all token characters", line(b"!#$%&'*+-.^_`|~09AZ / HTTP/1.1"), BOTH, BOTH, "9110 §5.6.2"),
    Case("method nobody has registered", line(b"BREW / HTTP/1.1"), BOTH, BOTH, "9110 §9.1"),
    Case("method of one letter", line(b"X / HTTP/1.1"), BOTH, BOTH, "9110 §9.1"),
    Case("method in lower case", line(b"get / HTTP/1.1"), BAD, BOTH, "9110 §9.1", FOLDS_CASE),
    Case("method in mixed case", line(b"Get / HTTP/1.1"), BAD, BOTH, "9110 §9.1", FOLDS_CASE),
    Case("method with a parenthesis", line(b"G(T / HTTP/1.1"), BAD, BAD, "9110 §5.6.2"),
    Case("method with a colon", line(b"GET: / HTTP/1.1"), BAD, BAD, "9110 §5.6.2"),
    Case("method in quotes", line(b'"GET" / HTTP/1.1'), BAD, BAD, "9110 §5.6.2"),
    Case("method with a NUL", line(b"GE\0T / HTTP/1.1"), BAD, BAD, "9110 §5.6.2"),
    Case("method with a letter beyond ASCII", line(b"G\xc3\x8aT / HTTP/1.1"), BAD, BAD, "9110 §5.6.2"),
    # White space
    Case("space before the method", line(b" GET / HTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("tab before the method", line(b"\tGET / HTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("two spaces behind the method", line(b"GET  / HTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("two spaces behind the target", line(b"GET /  HTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("tab behind the method", line(b"GET\t/ HTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("tab behind the target", line(b"GET /\tHTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("vertical tab behind the method", line(b"GET\x0b/ HTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("form feed behind the target", line(b"GET /\x0cHTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("bare CR behind the method", line(b"GET\r/ HTTP/1.1"), BAD, BAD, "9112 §2.2"),
    Case("no-break space behind the method", line(b"GET\xa0/ HTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("space behind the version", line(b"GET / HTTP/1.1 "), BAD, BAD, "9112 §3"),
    Case("tab behind the version", line(b"GET / HTTP/1.1\t"), BAD, BAD, "9112 §3"),
    Case("request line that is folded", line(b"GET\r\n / HTTP/1.1"), BAD, BAD, "9112 §3"),
    # Parts that are missing, or too many
    Case("method alone", line(b"GET"), BAD, BAD, "9112 §3"),
    Case("target that is missing", line(b"GET HTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("target that is empty", line(b"GET  HTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("method that is missing", line(b"/ HTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("version that is missing", line(b"GET /"), BAD, BAD, "9112 §3"),
    Case("version that is empty", line(b"GET / "), BAD, BAD, "9112 §3"),
    Case("two versions", line(b"GET / HTTP/1.1 HTTP/1.1"), BAD, BAD, "9112 §3"),
    Case("two versions that differ", line(b"GET / HTTP/1.0 HTTP/1.1"), BAD, BAD, "9112 §3"),
    # Versions
    Case("version 2.0", line(b"GET / HTTP/2.0"), BAD, BOTH, "9112 §2.3", NO_VERSION),
    Case("version 3.0", line(b"GET / HTTP/3.0"), BAD, BOTH, "9112 §2.3", NO_VERSION),
    Case("version 1.2", line(b"GET / HTTP/1.2"), BAD, BOTH, "9112 §2.3", NO_VERSION),
    Case("version 1.9", line(b"GET / HTTP/1.9"), BAD, BOTH, "9112 §2.3", NO_VERSION),
    Case("version 0.9", line(b"GET / HTTP/0.9"), BAD, OK, "9112 §2.3", NO_VERSION),
    Case("version with a leading zero", line(b"GET / HTTP/01.1"), BAD, BAD, "9112 §2.3"),
    Case("version of two minor digits", line(b"GET / HTTP/1.10"), BAD, BAD, "9112 §2.3"),
    Case("version of three parts", line(b"GET / HTTP/1.1.1"), BAD, BAD, "9112 §2.3"),
    Case("version without a minor part", line(b"GET / HTTP/1"), BAD, BAD, "9112 §2.3"),
    Case("version that ends in its dot", line(b"GET / HTTP/1."), BAD, BAD, "9112 §2.3"),
    Case("version with a comma", line(b"GET / HTTP/1,1"), BAD, BAD, "9112 §2.3"),
    Case("version with a sign", line(b"GET / HTTP/+1.1"), BAD, BAD, "9112 §2.3"),
    Case("version with a superscript digit", line(b"GET / HTTP/1.\xb9"), BAD, BAD, "9112 §2.3"),
    Case("version in lower case", line(b"GET / http/1.1"), BAD, BAD, "9112 §2.3"),
    Case("version in mixed case", line(b"GET / Http/1.1"), BAD, BAD, "9112 §2.3"),
    Case("version with a space before its slash", line(b"GET / HTTP /1.1"), BAD, BAD, "9112 §2.3"),
    Case("version with a space behind its slash", line(b"GET / HTTP/ 1.1"), BAD, BAD, "9112 §2.3"),
    Case("version of another protocol", line(b"GET / HTTPS/1.1"), BAD, BAD, "9112 §2.3"),
    Case("junk that touches the version", line(b"GET / HTTP/1.1x"), BAD, BAD, "9112 §2.3"),
    Case("junk behind the version", line(b"GET / HTTP/1.1 x"), BAD, BAD, "9112 §3"),
    # Ends of lines
    Case("bare LF behind the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", BAD, OK, "9112 §2.2", LF),
    Case("bare CR behind the request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n", BAD, BAD, "9112 §2.2"),
    Case("two CRs behind the request line", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", BAD, BAD, "9112 §2.2"),
    Case("bare LFs throughout a head", b"GET / HTTP/1.1\nHost: a\n\n" + NEXT, BAD, BOTH, "9112 §2.2", LF),
    Case("LF and CR in the wrong order", b"GET / HTTP/1.1\n\rHost: a\n\r\n\r", BAD, BAD, "9112 §2.2"),
]
