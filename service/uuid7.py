"""Ids that rise with time: UUIDs of version 7 (RFC 9562 §5.7)."""

from __future__ import annotations

from uuid import UUID


def uuid7(moment: int, bits: int) -> UUID:
    """Return the UUID of a moment, in microseconds since 1970; of ``bits``, which are random, 62 are used.

    What is below the millisecond is in the twelve bits after the version (§6.2, method 3), so that ids rise with the
    moments they belong to.
    """
    milliseconds, microseconds = divmod(moment, 1000)
    part = microseconds * 4096 // 1000
    return UUID(int=milliseconds << 80 | 0x7 << 76 | part << 64 | 0b10 << 62 | bits & (1 << 62) - 1)
