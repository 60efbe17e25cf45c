"""Parameters that many calls take, with their bounds. A default stands in the signature: `days: Days = 30`."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import AfterValidator, Field

# A page further in costs as much as everything before it: there the cursor takes over.
LARGEST_OFFSET = 100_000
# PostgreSQL's `timestamptz` goes further, what people record does not.
FIRST_DAY, LAST_DAY = dt.date(2000, 1, 1), dt.date(2100, 1, 1)


def no_nul(text: str) -> str:
    """The text, as PostgreSQL takes it: ValueError for the one character that it does not, and for half of one."""
    if "\x00" in text:
        raise ValueError("There is a NUL character in it: leave it out.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("There is half a character (a lone surrogate) in it: leave it out.") from None
    return text


def _known_day(day: dt.date) -> dt.date:
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"Must be a day from {FIRST_DAY} to {LAST_DAY}.")
    return day


NO_NUL = {"pattern": r"^[^\u0000]*$"}
Clean = AfterValidator(no_nul)

Days = Annotated[int, Field(ge=1, le=90, description="The last so many times 24 hours, up to now.", examples=[30])]
DaysYear = Annotated[int, Field(ge=1, le=365, description="The last so many times 24 hours, up to now.", examples=[30])]
Limit = Annotated[int, Field(ge=1, le=200, description="How many rows at most.", examples=[50])]
Offset = Annotated[
    int,
    Field(
        ge=0,
        le=LARGEST_OFFSET,
        description="How many rows to leave out first. `cursor` is quicker, and goes as far as the list does.",
        examples=[0],
    ),
]
# One that holds a title of 500 characters, of whatever script, is 2,800 long; a request's first line may be 4,094.
Cursor = Annotated[
    str,
    Field(max_length=3000, description="The `next_cursor` of the page before, instead of `offset`.", examples=[""]),
]
# A filter or search text of the query.
Text = Annotated[str, Field(max_length=200, json_schema_extra=NO_NUL), Clean]
# A piece of a path that is not a UUID.
PathText = Annotated[str, Field(min_length=1, max_length=255, json_schema_extra={"pattern": r"^[^\u0000/]+$"}), Clean]
Day = Annotated[dt.date, AfterValidator(_known_day), Field(description="A UTC day.", examples=["2026-11-22"])]
