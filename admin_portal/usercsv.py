"""The list of people as CSV: all of it, a page at a time, in the memory of one page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from activity.peoplelist import Listed
from admin_portal.userasked import Asked
from admin_portal.userfacts import Person
from admin_portal.userlist import chunk

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
    "ai_requests_30d",
    "thumbs_up",
    "thumbs_down",
)


def rows(wanted: Asked, found: Listed) -> Iterator[tuple[object, ...]]:
    """A row for each person, in the order asked for."""
    following: str | None = ""
    while following is not None:
        people, following = chunk(replace(wanted, after=following), found, CHUNK)
        yield from map(_cells, people)


def _cells(person: Person) -> tuple[object, ...]:
    user, came = person.user, person.onboarding
    return (
        user.pk,
        user.email,
        user.full_name,
        user.is_active,
        user.created_at,
        person.last_seen_at,
        came.status,
        came.step,
        came.reached_at,
        came.stopped_by,
        person.portfolios,
        person.conversations,
        person.errors_30d,
        person.asked_30d,
        person.thumbs_up,
        person.thumbs_down,
    )
