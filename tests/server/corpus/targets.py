"""Request targets: the characters in them, and their four forms (RFC 9112 §3.2)."""

from tests.server.corpus.case import BAD, BOTH, NEXT, OK, Case, line

FORM = "It is in none of the four forms, so readers would guess at its path."
FRAGMENT = "A fragment is never sent, and readers differ on whether it ends the path."
TWO = "Readers differ on which of two hosts holds; who routes by the other one is misled."
USER = "User information makes an authority look like another host's."
SCHEME = "No other scheme is served here, and its authority means nothing."
NO_HOST = "An http URI without a host is invalid."
CONNECT = "CONNECT names its host and port and nothing else."
ALL_OF_A_PATH = b"/az09-._~!$&'()*+,;=:@/%c3%a4?az09-._~!$&'()*+,;=:@/?%20"


def about(target: bytes, host: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n" + NEXT


CASES = [
    # Origin form
    Case("target of all that one may hold", line(b"GET " + ALL_OF_A_PATH + b" HTTP/1.1"), BOTH, BOTH, "3986 §3.3"),
    Case("target with an empty query", line(b"GET /? HTTP/1.1"), BOTH, BOTH, "3986 §3.4"),
    Case("target with dot segments", line(b"GET /../a/./.. HTTP/1.1"), BOTH, BOTH, "3986 §3.3"),
    Case("target with an empty first segment", line(b"GET //b/c HTTP/1.1"), BOTH, BOTH, "9110 §4.1"),
    Case("target with an escaped NUL", line(b"GET /%00 HTTP/1.1"), BOTH, BOTH, "3986 §2.1"),
    Case("target with an escaped line end", line(b"GET /%0d%0aHost:%20b HTTP/1.1"), BOTH, BOTH, "3986 §2.1"),
    Case("target with another URI in its query", line(b"GET /?http://b/ HTTP/1.1"), BOTH, BOTH, "3986 §3.4"),
    Case("target with brackets and bars", line(b"GET /?a[]={b|c} HTTP/1.1"), BOTH, BOTH, "9112 §3.2"),
    Case("target with a broken escape", line(b"GET /%zz% HTTP/1.1"), BOTH, BOTH, "9112 §3.2"),
    Case("target with a fragment", line(b"GET /b#c HTTP/1.1"), BAD, BOTH, "9112 §3.2", FRAGMENT),
    Case("target with an empty fragment", line(b"GET /# HTTP/1.1"), BAD, BOTH, "9112 §3.2", FRAGMENT),
    Case("target with a space", line(b"GET /b c HTTP/1.1"), BAD, BAD, "9112 §3.2"),
    Case("target with a tab", line(b"GET /b\tc HTTP/1.1"), BAD, BAD, "9112 §3.2"),
    Case("target with a NUL", line(b"GET /b\0c HTTP/1.1"), BAD, BAD, "9112 §3.2"),
    Case("target with an escape character", line(b"GET /b\x1b[c HTTP/1.1"), BAD, BAD, "9112 §3.2"),
    Case("target with a DEL", line(b"GET /b\x7fc HTTP/1.1"), BAD, BAD, "9112 §3.2"),
    Case("target with a bare CR", line(b"GET /b\rc HTTP/1.1"), BAD, BAD, "9112 §2.2"),
    Case("target with a bare LF", line(b"GET /b\nc HTTP/1.1"), BAD, BAD, "9112 §2.2"),
    Case("target in UTF-8", line(b"GET /\xc3\xa4 HTTP/1.1"), BAD, BAD, "9112 §3.2"),
    Case("target in Latin-1", line(b"GET /\xe4 HTTP/1.1"), BAD, BAD, "9112 §3.2"),
    Case("target without a slash", line(b"GET b/c HTTP/1.1"), BAD, BOTH, "9112 §3.2", FORM),
    Case("target of a query alone", line(b"GET ?b HTTP/1.1"), BAD, BOTH, "9112 §3.2", FORM),
    Case("target of a fragment alone", line(b"GET #b HTTP/1.1"), BAD, BOTH, "9112 §3.2", FORM),
    Case("target that begins with a backslash", line(b"GET \\b HTTP/1.1"), BAD, BOTH, "9112 §3.2", FORM),
    Case("target that begins with an escaped slash", line(b"GET %2Fb HTTP/1.1"), BAD, BOTH, "9112 §3.2", FORM),
    Case("target that begins with a dot", line(b"GET ./b HTTP/1.1"), BAD, BOTH, "9112 §3.2", FORM),
    # Asterisk form
    Case("OPTIONS about the server as a whole", line(b"OPTIONS * HTTP/1.1"), BOTH, BOTH, "9112 §3.2.4"),
    Case("GET of an asterisk", line(b"GET * HTTP/1.1"), BAD, BOTH, "9112 §3.2.4", FORM),
    Case("OPTIONS about two asterisks", line(b"OPTIONS ** HTTP/1.1"), BAD, BOTH, "9112 §3.2.4", FORM),
    Case("OPTIONS about an asterisk with a query", line(b"OPTIONS *?b HTTP/1.1"), BAD, BOTH, "9112 §3.2.4", FORM),
    # Absolute form that agrees with Host
    Case("absolute form", about(b"http://a/b?c", b"a"), BOTH, BOTH, "9112 §3.2.2"),
    Case("absolute form without a path", about(b"http://a", b"a"), BOTH, BOTH, "9112 §3.2.2"),
    Case("absolute form of a query without a path", about(b"http://a?b", b"a"), BOTH, BOTH, "9112 §3.2.2"),
    Case("absolute form of https", about(b"https://a/", b"a"), BOTH, BOTH, "9112 §3.2.2"),
    Case("absolute form in capitals", about(b"HTTP://A/", b"a"), BOTH, BOTH, "3986 §6.2.2.1"),
    Case("absolute form with the port that http has", about(b"http://a:80/", b"a"), BOTH, BOTH, "9110 §4.2.3"),
    Case("absolute form with the port that https has", about(b"https://a:443/", b"a"), BOTH, BOTH, "9110 §4.2.3"),
    Case("absolute form beside a Host with its port", about(b"http://a/", b"a:80"), BOTH, BOTH, "9110 §4.2.3"),
    Case("absolute form with an empty port", about(b"http://a:/", b"a"), BOTH, BOTH, "9110 §4.2.3"),
    Case("absolute form with an IPv6 address", about(b"http://[::1]:8080/", b"[::1]:8080"), BOTH, BOTH, "3986 §3.2.2"),
    Case("absolute form in OPTIONS", about(b"http://a", b"a", b"OPTIONS"), BOTH, BOTH, "9112 §3.2.4"),
    Case("absolute form in HTTP/1.0 without Host", b"GET http://a/ HTTP/1.0\r\n\r\n", OK, OK, "9112 §3.2.2"),
    # Absolute form that does not
    Case("absolute form of another host", about(b"http://b/", b"a"), BAD, BOTH, "9112 §3.2.2", TWO),
    Case("absolute form of a host below", about(b"http://b.a/", b"a"), BAD, BOTH, "9112 §3.2.2", TWO),
    Case("absolute form with another port", about(b"http://a:81/", b"a"), BAD, BOTH, "9112 §3.2.2", TWO),
    Case("absolute form with the port of https in http", about(b"http://a:443/", b"a"), BAD, BOTH, "9112 §3.2.2", TWO),
    Case("absolute form of https with the port of http", about(b"https://a:80/", b"a"), BAD, BOTH, "9112 §3.2.2", TWO),
    Case("absolute form with an escaped host", about(b"http://%61/", b"a"), BAD, BOTH, "9112 §3.2.2", TWO),
    Case("absolute form with a dot behind its host", about(b"http://a./", b"a"), BAD, BOTH, "9112 §3.2.2", TWO),
    Case("absolute form beside an empty Host", about(b"http://a/", b""), BAD, BOTH, "9112 §3.2.2", TWO),
    Case("another host in HTTP/1.0", b"GET http://b/ HTTP/1.0\r\nHost: a\r\n\r\n", BAD, OK, "9112 §3.2.2", TWO),
    Case("absolute form without Host", b"GET http://a/ HTTP/1.1\r\n\r\n" + NEXT, BAD, BAD, "9112 §3.2"),
    Case("absolute form beside two Hosts", about(b"http://a/", b"a\r\nHost: b"), BAD, BAD, "9112 §3.2"),
    Case("absolute form with a user", about(b"http://b@a/", b"a"), BAD, BOTH, "9110 §4.2.4", USER),
    Case("absolute form with a user and a password", about(b"http://a:80@b/", b"a"), BAD, BOTH, "9110 §4.2.4", USER),
    Case("absolute form without a host", about(b"http:///b", b"a"), BAD, BOTH, "9110 §4.2.1", NO_HOST),
    Case("absolute form of a port alone", about(b"http://:80/", b":80"), BAD, BOTH, "9110 §4.2.1", NO_HOST),
    Case("absolute form with a port that is no number", about(b"http://a:b/", b"a"), BAD, BOTH, "3986 §3.2.3", TWO),
    Case("absolute form with a backslash behind its host", about(b"http://a\\@b/", b"a"), BAD, BOTH, "3986 §3.2", TWO),
    Case("absolute form with a fragment", about(b"http://a/#b", b"a"), BAD, BOTH, "9112 §3.2.2", FRAGMENT),
    Case("absolute form of ftp", about(b"ftp://a/", b"a"), BAD, BOTH, "9110 §4.2", SCHEME),
    Case("absolute form of a web socket", about(b"ws://a/", b"a"), BAD, BOTH, "9110 §4.2", SCHEME),
    Case("absolute form of a file", about(b"file:///etc/passwd", b"a"), BAD, BOTH, "9110 §4.2", SCHEME),
    Case("absolute form without its slashes", about(b"http:a/b", b"a"), BAD, BOTH, "9110 §4.2.1", FORM),
    Case("absolute form with one slash", about(b"http:/a/b", b"a"), BAD, BOTH, "9110 §4.2.1", FORM),
    # Authority form
    Case("CONNECT to the host and port of Host", about(b"a:443", b"a:443", b"CONNECT"), OK, OK, "9112 §3.2.3"),
    Case("CONNECT to an IPv6 address", about(b"[::1]:443", b"[::1]:443", b"CONNECT"), OK, OK, "9112 §3.2.3"),
    Case("CONNECT with content", about(b"a:443", b"a:443\r\nContent-Length: 5", b"CONNECT"), OK, OK, "9110 §9.3.6"),
    Case("CONNECT to another host", about(b"b:443", b"a:443", b"CONNECT"), BAD, OK, "9112 §3.2", TWO),
    Case("CONNECT to another port", about(b"a:22", b"a:443", b"CONNECT"), BAD, OK, "9112 §3.2", TWO),
    Case("CONNECT beside a Host without the port", about(b"a:443", b"a", b"CONNECT"), BAD, OK, "9112 §3.2", TWO),
    Case("CONNECT without a port", about(b"a", b"a", b"CONNECT"), BAD, OK, "9110 §9.3.6", CONNECT),
    Case("CONNECT with an empty port", about(b"a:", b"a:", b"CONNECT"), BAD, OK, "9110 §9.3.6", CONNECT),
    Case(
        "CONNECT with a port that is none", about(b"a:65536", b"a:65536", b"CONNECT"), BAD, OK, "9110 §9.3.6", CONNECT
    ),
    Case("CONNECT without a host", about(b":443", b":443", b"CONNECT"), BAD, OK, "9112 §3.2.3", CONNECT),
    Case("CONNECT to a path", about(b"/b", b"a", b"CONNECT"), BAD, OK, "9112 §3.2.3", CONNECT),
    Case("CONNECT to a URI", about(b"http://a:80/", b"a:80", b"CONNECT"), BAD, OK, "9112 §3.2.3", CONNECT),
    Case("CONNECT to an asterisk", about(b"*", b"a", b"CONNECT"), BAD, OK, "9112 §3.2.3", CONNECT),
    Case("CONNECT with a user", about(b"b@a:443", b"a:443", b"CONNECT"), BAD, OK, "9112 §3.2.3", USER),
    Case("CONNECT in HTTP/1.0 without Host", b"CONNECT a:443 HTTP/1.0\r\n\r\n", BAD, OK, "9112 §3.2", CONNECT),
    Case("GET of an authority", about(b"a:443", b"a:443"), BAD, BOTH, "9112 §3.2.3", FORM),
    Case("OPTIONS about an authority", about(b"a:443", b"a:443", b"OPTIONS"), BAD, BOTH, "9112 §3.2.3", FORM),
]
