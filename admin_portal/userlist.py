"""The page of all people, put together: what was asked, who answers to it, and how many they are."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any, get_args
from uuid import UUID

from django import forms
from django.core.cache import cache
from django.http import QueryDict
from django.utils import timezone

from activity import funnel, peoplelist
from activity.funnels.definition import UnknownFunnelError, current
from activity.headcount import headcount
from activity.onboarding import SLUG, UNCOUNTED
from activity.peoplelist import WINDOW, Listed, PeopleFilter, Sort, Status
from activity.totals import Total, counted
from admin_portal.userfacts import Person, persons
from ai_tuning.conversations import identifier_in
from ai_tuning.forms import Text
from sigmasight.api.paging import page_of
from sigmasight.lib.format import NBSP, count, duration
from sigmasight.lib.pagination import BadCursorError
from sigmasight.lib.periods import PAGE_KEYS

PAGE = 50
# Counting people by status reads thousands of rows: so often only.
SECONDS = 60
STATUSES: dict[Status, str] = {"completed": "completed", "in_progress": "in progress", "stalled": "stalled"}
SPANS = {key: dt.timedelta(days=days) for key, days in (("24h", 1), ("7d", 7), ("30d", 30), ("90d", 90))}
RECENT = "7d"
# Each order by its attributes, for keyset paging, and in words.
ORDERS: dict[Sort, tuple[tuple[tuple[str, type], ...], str]] = {
    "-created_at": ((("-created_at", dt.datetime), ("-id", UUID)), "newest first"),
    "created_at": ((("created_at", dt.datetime), ("id", UUID)), "oldest first"),
    "email": ((("email", str),), "by address, A to Z"),
    "-email": ((("-email", str),), "by address, Z to A"),
}


class PeopleForm(forms.Form):
    """Search and order; the other filters are links."""

    q = Text(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "name, address or id"}),
    )
    sort = forms.ChoiceField(
        label="Order",
        required=False,
        choices=[(key, words[0].upper() + words[1:]) for key, (_, words) in ORDERS.items()],
        error_messages={"invalid_choice": "There is no such order: choose one from the list."},
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What the URL asks for. `since`: one of SPANS, "" for ever. `notes`: what made no sense, and narrows nothing."""

    search: str = ""
    status: Status | None = None
    since: str = ""
    sort: Sort = "-created_at"
    after: str = ""
    now: dt.datetime = field(default_factory=timezone.now)
    notes: tuple[str, ...] = ()

    @property
    def is_narrowed(self) -> bool:
        return bool(self.search or self.status or self.since)


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


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a filter, as a link. `count`: of whom it would show, "" where that is not known."""

    text: str
    href: str
    is_on: bool
    count: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """A filter that could be dropped, and how many would be found then."""

    text: str
    href: str
    people: str


def asked(query: QueryDict, form: PeopleForm) -> Asked:
    """What a URL asks for; what makes no sense is noted."""
    form.is_valid()
    notes = [f"{form.fields[name].label}: {error}" for name, errors in form.errors.items() for error in errors]
    status = next((each for each in get_args(Status) if each == query.get("status")), None)
    if query.get("status") and status is None:
        notes.append("Onboarding: there are completed, in progress and stalled; choose one of them.")
    since = query.get("since", "")
    if since and since not in SPANS:
        since = ""
        notes.append("Signed up: in the last 24 h, 7 d, 30 d or 90 d; choose one of them.")
    return Asked(
        search=form.cleaned_data.get("q", "").strip(),
        status=status,
        since=since,
        sort=form.cleaned_data.get("sort") or "-created_at",
        after=query.get("after", ""),
        notes=tuple(notes),
    )


def look(wanted: Asked) -> tuple[Asked, Listed]:
    """Who answers to it. A search for too much is dropped, and noted."""
    try:
        return wanted, _find(wanted)
    except ValueError as error:
        wanted = replace(wanted, search="", notes=(*wanted.notes, f"Search: {error}"))
        return wanted, _find(wanted)


def _find(wanted: Asked) -> Listed:
    since = wanted.now - SPANS[wanted.since] if wanted.since else None
    identifier = identifier_in(wanted.search)
    only = PeopleFilter("" if identifier else wanted.search, wanted.status, since)
    found = peoplelist.find(only, now=wanted.now)
    if identifier is None:
        return found
    rows = found.rows.filter(pk=identifier)
    return Listed(rows, counted(rows, 1))


def chunk(wanted: Asked, found: Listed, size: int = PAGE) -> tuple[list[Person], str | None]:
    """The people of one page, and the next one's cursor. Raises BadCursorError."""
    users, following = page_of(found.rows, f"users {wanted.sort}", ORDERS[wanted.sort][0], size, 0, wanted.after)
    return persons(users, now=wanted.now), following


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
        "digest": digest,
        "since_text": span_in_words(wanted.since or RECENT),
        "window_text": duration(digest.window),
        **{each: (in_words(total), "is" if total.count < 2 else "are") for each, total in digest.by_status.items()},
        "statuses": _status_choices(wanted, found, digest, query),
        "spans": _span_choices(wanted, query),
        "ways": _ways(wanted, query) if not people and not wanted.after else [],
        "top_href": _href(query, after=None),
        "csv_href": _href(query, after=None, format="csv"),
    }


def _digest(wanted: Asked) -> Digest:
    key = f"admin_portal.userlist.{wanted.since or 'ever'}"
    known: Digest | None = cache.get(key)
    if known is None:
        known = count_people(wanted.since, wanted.now)
        cache.set(key, known, SECONDS)
    return known


def _freshened(digest: Digest, wanted: Asked, total: Total) -> Digest:
    """With the list's own total, which was counted just now, in its place: a page tells one number for one thing."""
    if wanted.search:
        return digest
    if wanted.status:
        return replace(digest, by_status={**digest.by_status, wanted.status: total})
    return replace(digest, joined=total.count) if wanted.since else replace(digest, everybody=total.count)


def count_people(since: str, now: dt.datetime) -> Digest:
    """Counts everybody, those who signed up lately, and those of each status."""
    start = now - SPANS[since] if since else None
    steps, window = {name: label for name, label, _ in UNCOUNTED}, WINDOW
    try:
        told = current(SLUG)
        steps, window = {step.name: step.label for step in told.steps}, told.window
    except UnknownFunnelError:
        pass
    return Digest(
        now,
        headcount(now=now),
        headcount(start or now - SPANS[RECENT], now=now),
        {each: peoplelist.find(PeopleFilter("", each, start), now=now).total for each in STATUSES},
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
    """Any status, and each. Where people are searched for only the one chosen is counted: each other is a search."""
    everybody = Total(digest.joined if wanted.since else digest.everybody)
    known: dict[Status | None, Total] = {wanted.status: found.total}
    if not wanted.search:
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


def _ways(wanted: Asked, query: QueryDict) -> list[Way]:
    """For each filter without which somebody would be found: whom the list would show then."""
    wider: dict[str, tuple[str, Asked]] = {}
    if wanted.search:
        wider["q"] = "the search", replace(wanted, search="")
    if wanted.status:
        wider["status"] = f"“{STATUSES[wanted.status]}”", replace(wanted, status=None)
    if wanted.since:
        wider["since"] = f"“signed up in the last {span_in_words(wanted.since)}”", replace(wanted, since="")
    ways = []
    for name, (text, fewer) in wider.items():
        total = _find(fewer).total
        if total.count:
            ways.append(Way(text, _href(query, **{"after": None, name: None}), people_in_words(total)))
    return ways


def _described(total: Total, sort: Sort) -> str:
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


def span_in_words(key: str) -> str:
    """A span as the period picker writes it: "24 h", "7 d"."""
    return f"{key[:-1]}{NBSP}{key[-1]}"


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
