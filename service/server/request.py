"""Heads of requests as they stand on the wire: RFC 9112, and RFC 9110 where it says what a field is.

A head is one regular expression without backtracking; what rules over the message is looked at field by field.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from service.server.bodies import Body, ChunkedBody, SizedBody
from service.server.grammar import END, FIELDS, LENGTH, TOKEN, Headers, Malformed, options_of

_HEAD = re.compile(rb"(" + TOKEN + rb") ([!\"$-~]++) HTTP/1\.([01])\r\n(" + FIELDS + rb")\r\n")
_NAME = rb"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
_HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|" + _NAME + rb"*+)(?::[0-9]{0,5})?")
_AUTHORITY_FORM = re.compile(rb"[^:].*:([0-9]{1,5})")
_ABSOLUTE_FORM = re.compile(rb"(https?)://([^/?:][^/?]*)/?", re.IGNORECASE)
_TOKEN_ALONE = re.compile(TOKEN)
_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}
_RULING = frozenset(
    b"host content-length transfer-encoding connection expect te"
    b" upgrade sec-websocket-key sec-websocket-version".split()
)


@dataclass(slots=True)
class Request:
    """A request's head. ``target`` is in origin form, or what OPTIONS and CONNECT have in its place."""

    method: str
    target: bytes
    version: str
    headers: Headers
    host: bytes | None
    body: Body
    closes: bool
    """Whether nothing behind this request is to be read."""
    awaits_continue: bool
    takes_trailers: bool
    asks_for_websocket: bool


def end_of_head(buffer: bytearray, begin: int) -> int | None:
    """Return where the head ends whose first ``begin`` bytes hold no end; None when it goes on."""
    end = END.search(buffer, max(0, begin - len(b"\n\r")))
    return end.end() if end else None


def parse(head: bytes) -> Request:
    """Read a head, from its first byte to the empty line.

    Raises:
        Malformed: it is none, or another reader could take it for another request.
    """
    match = _HEAD.fullmatch(head)
    if match is None:
        raise Malformed
    method, target, minor, fields = match.groups()
    if method != method.upper():  # RFC 9110 §9.1: methods are case-sensitive
        raise Malformed
    headers: Headers = []
    ruling: dict[bytes, list[bytes]] = {}  # what says how to read the message
    for line in fields.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if name in _RULING:
            ruling.setdefault(name, []).append(value)
        if name != b"upgrade":  # of which the app is to know nothing, since nothing comes of it
            headers.append((name, value))
    options = options_of(ruling.get(b"connection"))
    current = minor == b"1"
    expected = ruling.get(b"expect")
    host = _host(ruling.get(b"host"), current)
    return Request(
        method.decode(),
        _origin_form(method, target, host),
        "1.1" if current else "1.0",
        headers,
        host,
        _body(ruling, current),
        closes=b"close" in options or method == b"CONNECT" or not (current or b"keep-alive" in options),
        awaits_continue=expected is not None and current and expected[0].lower() == b"100-continue",
        takes_trailers=b"te" in ruling and b"trailers" in options_of(ruling[b"te"]),
        asks_for_websocket=b"upgrade" in ruling and current and _asks_for_websocket(method, options, ruling),
    )


def _host(hosts: list[bytes] | None, current: bool) -> bytes | None:
    """Return what `Host` says, which HTTP/1.1 has once, and HTTP/1.0 may do without."""
    if hosts is None:
        if current:
            raise Malformed
        return None
    if len(hosts) > 1:
        raise Malformed
    return _authority(hosts[0])


def _authority(found: bytes) -> bytes:
    """Return what is a host and perhaps a port (RFC 3986 §3.2), an address in brackets being one of IPv6."""
    match = _HOST.fullmatch(found)
    if match is None or (match[1] is not None and not _is_ipv6(match[1].decode())):
        raise Malformed
    return found


def _origin_form(method: bytes, target: bytes, host: bytes | None) -> bytes:
    """Return the target without an authority, which has to be `Host`'s: one of RFC 9112 §3.2's four forms."""
    if target.startswith(b"/") and method != b"CONNECT":
        return target
    if method == b"CONNECT":
        authority = _AUTHORITY_FORM.fullmatch(target)
        if authority is None or int(authority[1]) > 65535 or host is None or target.lower() != host.lower():
            raise Malformed
        return target
    if (method, target) == (b"OPTIONS", b"*"):
        return target
    absolute = _ABSOLUTE_FORM.match(target)
    if absolute is None:
        raise Malformed
    port = _DEFAULT_PORTS[absolute[1].lower()]
    if host is not None and _without(port, _authority(absolute[2])) != _without(port, host):
        raise Malformed
    return b"/" + target[absolute.end() :]


def _is_ipv6(address: str) -> bool:
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True


def _without(port: bytes, authority: bytes) -> bytes:
    """Return an authority in lower case, and without its port where that is the one it would have anyway."""
    return authority.lower().removesuffix(port).removesuffix(b":")


def _body(ruling: dict[bytes, list[bytes]], current: bool) -> Body:
    """Find the framing: RFC 9112 §6.3, with all refused that it lets a server refuse: two framings, two lengths."""
    lengths, codings = ruling.get(b"content-length"), ruling.get(b"transfer-encoding")
    if codings is not None:
        if lengths is not None or not current:
            raise Malformed
        return _coded(b",".join(codings))
    if lengths is None:
        return SizedBody(0)
    if len(lengths) > 1 or LENGTH.fullmatch(lengths[0]) is None:
        raise Malformed
    return SizedBody(int(lengths[0]))


def _coded(codings: bytes) -> ChunkedBody:
    """Return the body behind these codings: chunked as the only one, since others are not known here (§6.1)."""
    if codings.lower() == b"chunked":
        return ChunkedBody()
    *others, last = [coding.strip(b" \t").lower() for coding in codings.split(b",")]
    well_formed = last == b"chunked" and b"chunked" not in others and all(map(_TOKEN_ALONE.fullmatch, others))
    raise Malformed(501 if well_formed else 400)


def handshake_of(request: Request) -> bytes:
    """Return the head of a request for a WebSocket, written anew, so that whoever reads it next reads the same."""
    kept = [field for field in request.headers if field[0] != b"connection"]
    fields = b"".join([b"%b: %b\r\n" % field for field in kept])
    return b"GET %b HTTP/1.1\r\n%bconnection: upgrade\r\nupgrade: websocket\r\n\r\n" % (request.target, fields)


def _asks_for_websocket(method: bytes, options: list[bytes], ruling: dict[bytes, list[bytes]]) -> bool:
    """Tell whether it is the whole of a WebSocket's handshake (RFC 6455 §4.2.1): what else upgrades is ignored."""
    return (
        method == b"GET"
        and b"upgrade" in options
        and len(ruling[b"connection"]) == 1
        and [value.lower() for value in ruling[b"upgrade"]] == [b"websocket"]
        and ruling.get(b"sec-websocket-version") == [b"13"]
        and len(ruling.get(b"sec-websocket-key", ())) == 1
        and not ruling.keys() & {b"content-length", b"transfer-encoding", b"expect"}
    )
