"""URL converters. What does not convert is no such path: 404."""

from __future__ import annotations

from werkzeug.routing import BaseConverter, ValidationError


class RowIdConverter(BaseConverter):
    """An id as the database has it: 1 to 2^63-1, in ASCII digits."""

    regex = "[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        """Return the id.

        Raises:
            ValidationError: it is 0, or over 2^63-1.
        """
        row_id = int(value)
        if not 0 < row_id < 2**63:
            raise ValidationError
        return row_id
