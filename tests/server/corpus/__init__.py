"""Malformed, ambiguous and uncommon streams of HTTP/1.1 and HTTP/1.0, written from RFC 9112, 9110 and 3986.

Where our engine and h11 differ, the stricter is right unless the case says why not.
"""

from tests.server.corpus import chunks, codings, connections, fields, hosts, lengths, limits, lines, strangers, targets
from tests.server.corpus.case import Case, Verdict

__all__ = ["CASES", "Case", "Verdict"]

CASES: list[Case] = [
    *lines.CASES,
    *targets.CASES,
    *hosts.CASES,
    *fields.CASES,
    *lengths.CASES,
    *codings.CASES,
    *chunks.CASES,
    *connections.CASES,
    *limits.CASES,
    *strangers.CASES,
]
