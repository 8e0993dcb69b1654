"""What heads, bodies and answers have in common on the wire (RFC 9112).

Whatever two readers could take for different things is malformed: this grammar allows what is listed and nothing else.
"""

from __future__ import annotations

import re

Headers = list[tuple[bytes, bytes]]
"""Names, in lower case when they were received, and values without the white space around them."""

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
FIELDS = rb"(?:" + TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n)*+"
LENGTH = re.compile(rb"[0-9]{1,20}")
# Lines that end in a bare LF are no end of a head, but there is nothing more to wait for.
END = re.compile(rb"\n\r?\n")


class Malformed(Exception):
    """What has come is no request of HTTP/1.1, or one of several readings; ``status`` is how to answer it."""

    def __init__(self, status: int = 400) -> None:
        self.status = status


def options_of(values: list[bytes] | None) -> list[bytes]:
    """Return the members of a list of tokens, as `Connection` has, in lower case."""
    return [option.strip(b" \t") for option in b",".join(values).lower().split(b",")] if values else []
