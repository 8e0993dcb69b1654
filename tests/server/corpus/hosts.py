"""`Host`, which HTTP/1.1 has exactly once (RFC 9112 §3.2, RFC 9110 §7.2)."""

from tests.server.corpus.case import BAD, BOTH, OK, Case, host

INVALID = "A Host that is no host must be refused: RFC 9112 §3.2."
PORT = "No port has more than five digits, and a reader with small numbers would see another one."
ADDRESS = "Only an IPv6 address stands in brackets: RFC 3986 §3.2.2."

CASES = [
    # Values that are right
    Case("Host with a port", host(b"a.example:8080"), BOTH, BOTH, "9110 §7.2"),
    Case("Host with an empty port", host(b"a:"), BOTH, BOTH, "3986 §3.2.3"),
    Case("Host of an IPv4 address", host(b"127.0.0.1:80"), BOTH, BOTH, "3986 §3.2.2"),
    Case("Host of an IPv6 address", host(b"[::1]"), BOTH, BOTH, "3986 §3.2.2"),
    Case("Host of an IPv6 address with a port", host(b"[2001:DB8::1]:8080"), BOTH, BOTH, "3986 §3.2.2"),
    Case("Host of an IPv6 address that ends as IPv4", host(b"[::ffff:127.0.0.1]"), BOTH, BOTH, "3986 §3.2.2"),
    Case("Host that is empty", host(b""), BOTH, BOTH, "9112 §3.2"),
    Case("Host of white space", host(b" \t"), BOTH, BOTH, "9112 §3.2"),
    Case("Host of a port alone", host(b":80"), BOTH, BOTH, "3986 §3.2.2"),
    Case("Host in capitals", host(b"A.EXAMPLE"), BOTH, BOTH, "3986 §3.2.2"),
    Case("Host with a dot at its end", host(b"a.example."), BOTH, BOTH, "3986 §3.2.2"),
    Case("Host with an underscore", host(b"a_b"), BOTH, BOTH, "3986 §3.2.2"),
    Case("Host of all that a name may hold", host(b"-._~!$&'()*+;=%41"), BOTH, BOTH, "3986 §3.2.2"),
    Case("Host with white space around it", host(b"\t a \t"), BOTH, BOTH, "9112 §5"),
    Case("Host as the last field", b"GET / HTTP/1.1\r\nX: b\r\nhOST:a\r\n\r\n", OK, OK, "9110 §5.3"),
    Case("no Host in HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", OK, OK, "9112 §3.2"),
    # None, or more than one
    Case("no Host", b"GET / HTTP/1.1\r\n\r\n", BAD, BAD, "9112 §3.2"),
    Case("no Host but a field like it", b"GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", BAD, BAD, "9112 §3.2"),
    Case("Host twice", host(b"a\r\nHost: b"), BAD, BAD, "9112 §3.2"),
    Case("Host twice with the same value", host(b"a\r\nHost: a"), BAD, BAD, "9112 §3.2"),
    Case("Host twice in different case", host(b"a\r\nhOST: b"), BAD, BAD, "9112 §3.2"),
    Case("Host and an empty one", host(b"a\r\nHost:"), BAD, BAD, "9112 §3.2"),
    Case("Host twice in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", BAD, BAD, "9112 §3.2"),
    Case("Host of a list", host(b"a, b"), BAD, BOTH, "9112 §3.2", INVALID),
    # Values that are wrong
    Case("Host of two words", host(b"a b"), BAD, BOTH, "9112 §3.2", INVALID),
    Case("Host with a tab", host(b"a\tb"), BAD, BOTH, "9112 §3.2", INVALID),
    Case("Host with a user", host(b"b@a"), BAD, BOTH, "9112 §3.2", INVALID),
    Case("Host with a path", host(b"a/b"), BAD, BOTH, "9112 §3.2", INVALID),
    Case("Host with a query", host(b"a?b"), BAD, BOTH, "9112 §3.2", INVALID),
    Case("Host with a fragment", host(b"a#b"), BAD, BOTH, "9112 §3.2", INVALID),
    Case("Host with a backslash", host(b"a\\b"), BAD, BOTH, "9112 §3.2", INVALID),
    Case("Host of a URI", host(b"http://a"), BAD, BOTH, "9112 §3.2", INVALID),
    Case("Host in quotes", host(b'"a"'), BAD, BOTH, "9112 §3.2", INVALID),
    Case("Host of markup", host(b"<b>"), BAD, BOTH, "9112 §3.2", INVALID),
    Case("Host in UTF-8", host(b"\xc3\xa4"), BAD, BOTH, "9112 §3.2", INVALID),
    Case("Host with a NUL", host(b"a\0b"), BAD, BAD, "9110 §5.5"),
    Case("Host with a broken escape", host(b"a%zz"), BAD, BOTH, "3986 §2.1", INVALID),
    Case("Host in HTTP/1.0 with a path", b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", BAD, OK, "9112 §3.2", INVALID),
    # Ports
    Case("Host with a word for a port", host(b"a:http"), BAD, BOTH, "3986 §3.2.3", INVALID),
    Case("Host with a port below zero", host(b"a:-1"), BAD, BOTH, "3986 §3.2.3", INVALID),
    Case("Host with a sign before its port", host(b"a:+80"), BAD, BOTH, "3986 §3.2.3", INVALID),
    Case("Host with a space before its port", host(b"a: 80"), BAD, BOTH, "3986 §3.2.3", INVALID),
    Case("Host with two ports", host(b"a:80:81"), BAD, BOTH, "3986 §3.2.3", INVALID),
    Case("Host with a port of ten digits", host(b"a:4294967376"), BAD, BOTH, "3986 §3.2.3", PORT),
    # Brackets
    Case("Host of an IPv6 address without brackets", host(b"::1"), BAD, BOTH, "3986 §3.2.2", INVALID),
    Case("Host with a bracket that does not close", host(b"[::1"), BAD, BOTH, "3986 §3.2.2", INVALID),
    Case("Host with a bracket that does not open", host(b"a]"), BAD, BOTH, "3986 §3.2.2", INVALID),
    Case("Host with empty brackets", host(b"[]"), BAD, BOTH, "3986 §3.2.2", ADDRESS),
    Case("Host with a name in brackets", host(b"[a.example]"), BAD, BOTH, "3986 §3.2.2", ADDRESS),
    Case("Host with an IPv4 address in brackets", host(b"[127.0.0.1]"), BAD, BOTH, "3986 §3.2.2", ADDRESS),
    Case("Host with too few groups in brackets", host(b"[1:2]"), BAD, BOTH, "3986 §3.2.2", ADDRESS),
    Case("Host with two gaps in brackets", host(b"[1::2::3]"), BAD, BOTH, "3986 §3.2.2", ADDRESS),
    Case("Host of an IPv6 address with a zone", host(b"[fe80::1%25eth0]"), BAD, BOTH, "3986 §3.2.2", ADDRESS),
    Case("Host of an address of the future", host(b"[v1.a]"), BAD, BOTH, "3986 §3.2.2", ADDRESS),
    Case("Host with something behind its brackets", host(b"[::1]a"), BAD, BOTH, "3986 §3.2.2", INVALID),
]
