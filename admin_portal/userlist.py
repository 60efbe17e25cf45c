"""The page of all people, put together: what was asked, who answers to it, and how many they are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.core.cache import cache
from django.db.models import F
from django.http import QueryDict

from activity import funnel, peoplelist, persons
from activity.funnels.definition import Definition
from activity.headcount import headcount
from activity.onboarding import UNCOUNTED
from activity.peoplelist import WINDOW, Listed, PeopleFilter, Status
from activity.totals import Total, counted
from admin_portal.userasked import (
    AI_USE,
    ERRORS,
    MANY,
    ORDERS,
    RECENT,
    SPANS,
    STATUSES,
    THUMBS,
    Asked,
    span_in_words,
    steps_to_be_stuck_at,
)
from admin_portal.userfacts import Person
from admin_portal.userfacts import persons as persons_of
from ai_tuning.conversations import identifier_in
from sigmasight.api.paging import page_of
from sigmasight.lib.format import NBSP, count, duration
from sigmasight.lib.pagination import BadCursorError
from sigmasight.lib.periods import PAGE_KEYS

# Orders that `person_facts` has.
FACTS = ("seen_at", "conversations")
PAGE = 50
# Counting people by status reads thousands of rows: so often only.
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Digest:
    """How many people there are, counted at `at`, of those who signed up in a span, or of all.

    `joined`: in that span; where it is all, in the last 7 days. `steps`: the onboarding's, by name. `window`: after it
    who has not completed is stalled. `as_of`: onboarding is known until then; None: never counted.
    """

    at: dt.datetime
    everybody: int
    joined: int
    by_status: dict[Status, Total]
    steps: dict[str, str]
    window: dt.timedelta
    as_of: dt.datetime | None

    @property
    def last_step(self) -> str:
        return list(self.steps.values())[-1]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the list. `number`: of the step they reached; 0 where it is none of today's. `dots`: reached or not."""

    person: Person
    number: int
    dots: tuple[bool, ...]

    @property
    def stuck_at(self) -> str:
        return f"stuck at {self.person.onboarding.label}"

    @property
    def has_badges(self) -> bool:
        person = self.person
        return bool(person.onboarding.status == "stalled" or person.thumbs_down or person.thumbs_up or person.asked_30d)


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a filter, as a link. `count`: of whom it would show, "" where that is not known."""

    text: str
    href: str
    is_on: bool
    count: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A filter and its values, one of which is on."""

    name: str
    choices: list[Choice]


@dataclass(frozen=True, slots=True)
class Way:
    """A filter that could be dropped, and how many would be found then."""

    text: str
    href: str
    people: str


def look(wanted: Asked) -> tuple[Asked, Listed]:
    """Who answers to it. A search for too much is dropped, and noted."""
    try:
        return wanted, _find(wanted)
    except ValueError as error:
        wanted = replace(wanted, search="", notes=(*wanted.notes, f"Search: {error}"))
        return wanted, _find(wanted)


def _find(wanted: Asked) -> Listed:
    only = wanted.as_filter()
    identifier = identifier_in(wanted.search)
    if identifier is None:
        return peoplelist.find(only, now=wanted.now, told=wanted.told)
    rows = peoplelist.find(replace(only, search=""), now=wanted.now, told=wanted.told).rows.filter(pk=identifier)
    return Listed(rows, counted(rows, 1))


def chunk(wanted: Asked, found: Listed, size: int = PAGE) -> tuple[list[Person], str | None]:
    """The people of one page, and the next one's cursor. Raises BadCursorError."""
    rows = found.rows
    if wanted.sort.lstrip("-") in FACTS:
        # Of those who have facts, who are all but those of the last half minute: so the index gives the order.
        rows = rows.filter(facts__seen_at__isnull=False).annotate(
            seen_at=F("facts__seen_at"), talks=F("facts__conversations")
        )
    users, following = page_of(rows, f"users {wanted.sort}", ORDERS[wanted.sort][0], size, 0, wanted.after)
    return persons_of(users, now=wanted.now, told=wanted.told), following


def page(wanted: Asked, found: Listed, query: QueryDict) -> dict[str, Any]:
    """Everything the template shows, but the form."""
    try:
        people, following = chunk(wanted, found)
    except BadCursorError:
        note = "That page of the list is gone: here is the top of it."
        wanted = replace(wanted, after="", notes=(*wanted.notes, note))
        people, following = chunk(wanted, found)
    digest = _freshened(_digest(wanted), wanted, found.total)
    return {
        "asked": wanted,
        "rows": [_row(each, digest) for each in people],
        "total": found.total,
        "found": _described(found.total, wanted.sort),
        "more_href": _href(query, after=following) if following else "",
        "shown_to": people[-1].user if people else None,
        "shown_to_seen": people[-1].last_seen_at if people else None,
        "digest": digest,
        "since_text": span_in_words(wanted.since or RECENT),
        "window_text": duration(digest.window),
        **{each: (in_words(total), "is" if total.count < 2 else "are") for each, total in digest.by_status.items()},
        "statuses": _status_choices(wanted, found, digest, query),
        "spans": _span_choices(wanted, query),
        "more_choices": _more_choices(wanted, query),
        "many": MANY,
        "facts_as_of": persons.as_of() if wanted.is_more or wanted.sort.lstrip("-") in FACTS else None,
        "ways": _ways(wanted, query) if not people and not wanted.after else [],
        "top_href": _href(query, after=None),
        "csv_href": _href(query, after=None, format="csv"),
    }


def _digest(wanted: Asked) -> Digest:
    key = f"admin_portal.userlist.{wanted.since or 'ever'}"
    known: Digest | None = cache.get(key)
    if known is None:
        known = count_people(wanted.since, wanted.now, wanted.told)
        cache.set(key, known, SECONDS)
    return known


def _freshened(digest: Digest, wanted: Asked, total: Total) -> Digest:
    """With the list's own total, which was counted just now, in its place: a page tells one number for one thing."""
    if wanted.is_beyond_status:
        return digest
    if wanted.status:
        return replace(digest, by_status={**digest.by_status, wanted.status: total})
    return replace(digest, joined=total.count) if wanted.since else replace(digest, everybody=total.count)


def count_people(since: str, now: dt.datetime, told: Definition | None) -> Digest:
    """Counts everybody, those who signed up lately, and those of each status."""
    start = now - SPANS[since] if since else None
    steps, window = {name: label for name, label, _ in UNCOUNTED}, WINDOW
    if told is not None:
        steps, window = {step.name: step.label for step in told.steps}, told.window
    return Digest(
        now,
        headcount(now=now),
        headcount(start or now - SPANS[RECENT], now=now),
        {each: peoplelist.find(PeopleFilter("", each, start), now=now, told=told).total for each in STATUSES},
        steps,
        window,
        funnel.as_of(),
    )


def _row(person: Person, digest: Digest) -> Row:
    names = list(digest.steps)
    step = person.onboarding.step
    number = names.index(step) + 1 if step in names else 0
    return Row(person, number, tuple(place < number for place in range(len(names))) if number else ())


def _status_choices(wanted: Asked, found: Listed, digest: Digest, query: QueryDict) -> list[Choice]:
    """Any status, and each. Where more narrows the list only the one chosen is counted: each other is a search."""
    everybody = Total(digest.joined if wanted.since else digest.everybody)
    known: dict[Status | None, Total] = {wanted.status: found.total}
    if not wanted.is_beyond_status:
        known = {None: everybody}
        for status, total in digest.by_status.items():
            known[status] = total
    return [
        Choice(text, _href(query, status=value, after=None), wanted.status == value, _short(known.get(value)))
        for value, text in ((None, "any"), *STATUSES.items())
    ]


def _span_choices(wanted: Asked, query: QueryDict) -> list[Choice]:
    return [
        Choice(span_in_words(key) if key else "ever", _href(query, since=key, after=None), wanted.since == key)
        for key in (*SPANS, "")
    ]


def _more_choices(wanted: Asked, query: QueryDict) -> list[Group]:
    """The filters that are folded away as long as none is set."""
    groups: list[tuple[str, str, Mapping[Any, str], str]] = [
        ("stuck", "Stuck at", steps_to_be_stuck_at(wanted.told), wanted.stuck),
        ("errors", "Met errors", ERRORS, wanted.errors),
        ("ai", "AI use", AI_USE, wanted.ai),
        ("thumbs", "Feedback given", THUMBS, wanted.thumbs or ""),
    ]
    return [
        Group(
            label,
            [
                Choice(text, _href(query, **{name: value, "after": None}), now == value)
                for value, text in (("", "all"), *values.items())
            ],
        )
        for name, label, values, now in groups
        if values
    ]


def _ways(wanted: Asked, query: QueryDict) -> list[Way]:
    """For each filter without which somebody would be found: whom the list would show then."""
    ways = []
    for name, text, fewer in wanted.without_each():
        total = _find(fewer).total
        if total.count:
            ways.append(Way(text, _href(query, **{"after": None, name: None}), people_in_words(total)))
    return ways


def _described(total: Total, sort: str) -> str:
    if not total.count:
        return "nobody"
    return f"{people_in_words(total)}{', exact' if total.is_exact else ''}, {ORDERS[sort][1]}"


def in_words(total: Total) -> str:
    """How many, and whether there may be more: "2", "at least 2,000", "nobody"."""
    if not total.count:
        return "nobody"
    return f"{'' if total.is_exact else 'at least '}{count(total.count)}"


def people_in_words(total: Total) -> str:
    """The same of people: "1 person", "at least 2,000 people", "nobody"."""
    return in_words(total) + (f"{NBSP}{'person' if total.count == 1 else 'people'}" if total.count else "")


def _short(total: Total | None) -> str:
    if total is None:
        return ""
    return f"{count(total.count)}{'' if total.is_exact else '+'}"


def _href(query: QueryDict, **changes: str | None) -> str:
    """The page with these parameters; None or "" takes one out."""
    rest = query.copy()
    for key in ("format", *(PAGE_KEYS if "after" in changes else ()), *changes):
        rest.pop(key, None)
    for key, value in changes.items():
        if value:
            rest[key] = value
    return f"?{rest.urlencode()}"
