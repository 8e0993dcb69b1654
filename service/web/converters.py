"""URL converters. What does not match is no such path: 404, whatever the method."""

from __future__ import annotations

from werkzeug.routing import BaseConverter


def _up_to(largest: str) -> str:
    """Return a pattern for the numbers 1 to ``largest``, as it is written.

    The pattern itself has to say it: when a converter refuses a value later, werkzeug may answer 405.
    """
    shorter = [f"[1-9][0-9]{{0,{len(largest) - 2}}}"]
    smaller = [
        f"{largest[:place]}[{'0' if place else '1'}-{int(digit) - 1}][0-9]{{{len(largest) - place - 1}}}"
        for place, digit in enumerate(largest)
        if int(digit) > (0 if place else 1)
    ]
    return "0*(?:" + "|".join([*shorter, *smaller, largest]) + ")"


class RowIdConverter(BaseConverter):
    """An id as the database has it: 1 to 2^63-1, in ASCII digits."""

    regex = _up_to(str(2**63 - 1))

    def to_python(self, value: str) -> int:
        """Return the id."""
        return int(value[-19:])
