"""Keyset paging: a cursor names the last row seen, so page 1,000 costs what page 1 does and no row is seen twice."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from dataclasses import dataclass
from uuid import UUID


class BadCursorError(ValueError):
    """A cursor that was not made here, or was cut."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after one row in a list ordered by time and id."""

    at: dt.datetime
    id: UUID

    def __str__(self) -> str:
        """The cursor as it stands in a URL."""
        return base64.urlsafe_b64encode(f"{self.at.isoformat()}|{self.id}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor | None:
    """The cursor a URL carries, None where it carries none. Raises BadCursorError for one that can't be read."""
    if not text:
        return None
    try:
        at, _, identifier = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition("|")
        moment = dt.datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("no offset")
        # In UTC, as PostgreSQL refuses offsets that Python takes.
        return Cursor(moment.astimezone(dt.UTC), UUID(identifier))
    except (ValueError, OverflowError, binascii.Error) as error:
        raise BadCursorError("This page of the list is gone: start from the top of it.") from error
