"""What is no HTTP/1.1 at all: other protocols, and bytes that came to the wrong port."""

from tests.server.corpus.case import BAD, NEXT, THEN_BAD, Case

PREFACE = "The preface of HTTP/2 is made to be no request of HTTP/1.1, and has to be refused as one."
CLIENT_HELLO = (
    b"\x16\x03\x01\x00\x31\x01\x00\x00\x2d\x03\x03" + bytes(range(32)) + b"\x00\x00\x02\x13\x01\x01\x00\x00\x02\x00\x2b"
)
PROXY = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 80\r\n"
PROXY_V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xdc\x04\0\x50"

CASES = [
    Case("TLS", CLIENT_HELLO, BAD, BAD, "9112 §2.1"),
    Case("TLS that holds a request", CLIENT_HELLO + NEXT, BAD, BAD, "9112 §2.1"),
    Case("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD, THEN_BAD, "9113 §3.4", PREFACE),
    Case(
        "preface of HTTP/2 behind a request",
        NEXT + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        THEN_BAD,
        (200, 200, 400),
        "9113 §3.4",
        PREFACE,
    ),
    Case("PROXY protocol in text", PROXY + NEXT, BAD, BAD, "9112 §3"),
    Case("PROXY protocol in bytes", PROXY_V2 + NEXT, BAD, BAD, "9112 §2.2"),
    Case("HTTP/0.9", b"GET /\r\n", BAD, BAD, "9112 §3"),
    Case("HTTP/0.9 with an empty line", b"GET /\r\n\r\n", BAD, BAD, "9112 §3"),
    Case("answer for a request", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", BAD, BAD, "9112 §2.1"),
    Case("SSH", b"SSH-2.0-OpenSSH_9.9\r\n", BAD, BAD, "9112 §2.1"),
    Case("SMTP", b"EHLO a.example\r\nMAIL FROM:<b@a.example>\r\n\r\n", BAD, BAD, "9112 §3"),
    Case("RTSP", b"DESCRIBE rtsp://a/ RTSP/1.0\r\nCSeq: 1\r\n\r\n", BAD, BAD, "9112 §2.3"),
    Case("SIP", b"OPTIONS sip:b@a SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n", BAD, BAD, "9112 §2.3"),
    Case("SOCKS 4", b"\x04\x01\0\x50\xc0\0\x02\x01\0", BAD, BAD, "9112 §2.1"),
    Case("SOCKS 5", b"\x05\x01\0", BAD, BAD, "9112 §2.1"),
    Case("Redis", b"*1\r\n$4\r\nPING\r\n", BAD, BAD, "9112 §3"),
    Case("frame of a web socket", b"\x81\x85\0\0\0\0hello", BAD, BAD, "9112 §2.1"),
    Case("JSON", b'{"jsonrpc": "2.0"}\r\n\r\n', BAD, BAD, "9112 §3"),
    Case("words", b"Hello, is anybody there?\r\n\r\n", BAD, BAD, "9112 §3"),
    Case("zeros", b"\0" * 32, BAD, BAD, "9112 §2.1"),
    Case("bytes without a line", bytes(range(0xFF, 0x7F, -1)), BAD, BAD, "9112 §2.1"),
    Case("byte order mark before a request", b"\xef\xbb\xbf" + NEXT, BAD, BAD, "9112 §3"),
    Case("NUL before a request", b"\0" + NEXT, BAD, BAD, "9112 §3"),
    Case("request in UTF-16", NEXT.decode().encode("utf-16-le"), BAD, BAD, "9112 §2.2"),
    Case("request that is compressed", b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + NEXT, BAD, BAD, "9112 §2.1"),
    Case("fields without a request line", b"Host: a\r\n\r\n", BAD, BAD, "9112 §3"),
]
