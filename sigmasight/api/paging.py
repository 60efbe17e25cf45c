"""Lists in pages: by `offset`, as clients always did, or by `cursor`, which costs the same on every page.

A cursor holds the values that the last row is ordered by, and the name of its list: one that was cut, changed or made
for another list is a 422.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from sigmasight.api.errors import Invalid
from sigmasight.api.params import no_nul
from sigmasight.lib.pagination import BadCursorError

Row = TypeVar("Row")
M = TypeVar("M", bound=Model)
Kind = type | UnionType
_INT8 = 2**63
_TOO_EARLY, _TOO_LATE = dt.datetime(1, 1, 2, tzinfo=dt.UTC), dt.datetime(9999, 12, 30, tzinfo=dt.UTC)
GONE = "This page of the list is gone: start from the top of it, without a cursor."


def cursor_of(name: str, *values: Any) -> str:
    """The cursor that stands after a row with these values, in the list of that name."""
    plain = [value.isoformat() if hasattr(value, "isoformat") else value for value in values]
    plain = [str(value) if isinstance(value, UUID) else value for value in plain]
    text = json.dumps([name, *plain], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(name: str, text: str | None, *kinds: Kind) -> tuple[Any, ...] | None:
    """A cursor's values, None where there is no cursor. `kinds`: their types, `X | None` for what may be null.

    Raises BadCursorError (a 422) for one that was not made by `cursor_of` with this name and these kinds.
    """
    if not text:
        return None
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(found, list) or len(found) != len(kinds) + 1 or found[0] != name:
            raise ValueError("another list")
        return tuple(_read(value, kind) for value, kind in zip(found[1:], kinds, strict=True))
    except (ValueError, OverflowError, RecursionError, binascii.Error) as error:
        raise BadCursorError(GONE) from error


def _read(value: Any, kind: Kind) -> Any:
    kinds = get_args(kind) or (kind,)
    if value is None:
        if NoneType not in kinds:
            raise ValueError("null")
        return None
    wanted = next(each for each in kinds if each is not NoneType)
    if wanted is int or wanted is float:
        if isinstance(value, bool) or not isinstance(value, int | wanted) or not -_INT8 <= value < _INT8:
            raise ValueError("no number")
        return value
    if not isinstance(value, str):
        raise ValueError("no text")
    if wanted is str:
        return no_nul(value)
    if wanted is UUID:
        return UUID(value)
    if wanted is dt.date:
        return dt.date.fromisoformat(value)
    if wanted is not dt.datetime:
        raise ValueError("no such kind")
    moment = dt.datetime.fromisoformat(value)
    if moment.tzinfo is None or not _TOO_EARLY < moment < _TOO_LATE:
        raise ValueError("no moment")
    return moment.astimezone(dt.UTC)


def cut(rows: Sequence[Row], limit: int, cursor: Callable[[Row], str]) -> tuple[list[Row], str | None]:
    """A page out of `limit + 1` rows, and the cursor of the next one: None where there is none."""
    page = list(rows[:limit])
    return page, cursor(page[-1]) if len(rows) > limit else None


def either(offset: int, cursor: str | None) -> None:
    """Refuses a call that asks for a place in two ways at once."""
    if offset and cursor:
        raise Invalid(("query", "offset"), "Send either a cursor or an offset, not both.")


def page_of(
    rows: QuerySet[M], name: str, ordering: Sequence[tuple[str, Kind]], limit: int, offset: int, cursor: str | None
) -> tuple[list[M], str | None]:
    """One page of a queryset, and the next one's cursor.

    `ordering`: Django's names of attributes that are never null, with their types, all in one direction and the last
    of them unique: `(("-created_at", datetime), ("-id", UUID))`.
    """
    either(offset, cursor)
    names = [each.removeprefix("-") for each, _ in ordering]
    if len({each.startswith("-") for each, _ in ordering}) != 1:
        raise ValueError("A list is ordered in one direction.")
    sign = "lt" if ordering[0][0].startswith("-") else "gt"
    rows = rows.order_by(*(each for each, _ in ordering))
    after = read_cursor(name, cursor, *(kind for _, kind in ordering))
    if after is not None:
        beyond, equal = Q(), Q()
        for each, value in zip(names, after, strict=True):
            beyond |= equal & Q(**{f"{each}__{sign}": value})
            equal &= Q(**{each: value})
        # The first condition says nothing new, but is the form that an index and the pruning of partitions can use.
        rows = rows.filter(Q(**{f"{names[0]}__{sign}e": after[0]}) & beyond)
    found = list(rows[offset : offset + limit + 1])
    return cut(found, limit, lambda row: cursor_of(name, *(getattr(row, each) for each in names)))
