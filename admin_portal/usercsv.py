"""The list of people as CSV: all of it, a page at a time, in the memory of one page."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator
from dataclasses import replace

from activity.peoplelist import Listed
from admin_portal.userfacts import Person
from admin_portal.userlist import Asked, chunk

CHUNK = 500
COLUMNS = (
    "id",
    "email",
    "full_name",
    "is_active",
    "signed_up_at",
    "last_seen_at",
    "onboarding_status",
    "onboarding_step",
    "onboarding_step_at",
    "onboarding_stopped_by",
    "portfolios",
    "conversations",
    "errors_30d",
)
# A cell that begins so is a formula to a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Line:
    """Where the writer leaves a line."""

    def write(self, text: str) -> str:
        return text


def lines(wanted: Asked, found: Listed) -> Iterator[str]:
    """The head, and a line for each person, in the order asked for. Moments are ISO 8601, in UTC."""
    writer = csv.writer(_Line())
    yield writer.writerow(COLUMNS)
    following: str | None = ""
    while following is not None:
        people, following = chunk(replace(wanted, after=following), found, CHUNK)
        for person in people:
            yield writer.writerow([guarded(cell) for cell in _cells(person)])


def guarded(cell: object) -> object:
    """The cell, with an apostrophe before what a spreadsheet would calculate."""
    if isinstance(cell, dt.datetime):
        return cell.astimezone(dt.UTC).isoformat()
    if isinstance(cell, str) and cell.startswith(FORMULA):
        return f"'{cell}"
    return "" if cell is None else cell


def _cells(person: Person) -> tuple[object, ...]:
    user, came = person.user, person.onboarding
    return (
        user.pk,
        user.email,
        user.full_name,
        "yes" if user.is_active else "no",
        user.created_at,
        person.last_seen_at,
        came.status,
        came.step,
        came.reached_at,
        came.stopped_by,
        person.portfolios,
        person.conversations,
        person.errors_30d,
    )
