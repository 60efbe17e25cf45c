"""What the URL of the list of people asks for, read, and said back in words: one place for each filter's values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import get_args
from uuid import UUID

from django import forms
from django.http import QueryDict
from django.utils import timezone

from activity.funnels.definition import Definition
from activity.peoplelist import registered_at
from activity.peoplewhere import PeopleFilter, Status, Thumbs
from ai_tuning.forms import Text
from sigmasight.lib.format import NBSP

STATUSES: dict[Status, str] = {"completed": "completed", "in_progress": "in progress", "stalled": "stalled"}
SPANS = {key: dt.timedelta(days=days) for key, days in (("24h", 1), ("7d", 7), ("30d", 30), ("90d", 90))}
RECENT = "7d"
# So many conversations are many.
MANY = 10
# Each order by its attributes, for keyset paging, and in words.
ORDERS: dict[str, tuple[tuple[tuple[str, type], ...], str]] = {
    "-created_at": ((("-created_at", dt.datetime), ("-id", UUID)), "newest first"),
    "created_at": ((("created_at", dt.datetime), ("id", UUID)), "oldest first"),
    "email": ((("email", str),), "by address, A to Z"),
    "-email": ((("-email", str),), "by address, Z to A"),
    "-seen_at": ((("-seen_at", dt.datetime), ("-id", UUID)), "last seen first"),
    "seen_at": ((("seen_at", dt.datetime), ("id", UUID)), "longest away first"),
    "-conversations": ((("-talks", int), ("-id", UUID)), "most conversations first"),
    "conversations": ((("talks", int), ("id", UUID)), "fewest conversations first"),
}


def span_in_words(key: str) -> str:
    """A span as the period picker writes it: "24 h", "7 d"."""
    return f"{key[:-1]}{NBSP}{key[-1]}"


# Filters of few values: by parameter, each value in a chip's words and in those of a sentence. Steps are the funnel's.
ERRORS = {key: f"in {span_in_words(key)}" for key in ("24h", "7d", "30d")}
AI_USE = {
    "never": "never asked",
    "7d": f"asked in {span_in_words('7d')}",
    "30d": f"asked in {span_in_words('30d')}",
    "many": f"{MANY}+ conversations",
}
THUMBS: dict[Thumbs, str] = {"down": "thumbs-down", "up": "thumbs-up", "any": "either", "none": "none given"}


class PeopleForm(forms.Form):
    """Search, order and two days; the other filters are links."""

    q = Text(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "name, address or id"}),
    )
    joined_from = forms.DateField(
        label="Signed up from",
        required=False,
        error_messages={"invalid": "Write a day as 2026-11-30."},
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    joined_to = forms.DateField(
        label="to",
        required=False,
        error_messages={"invalid": "Write a day as 2026-11-30."},
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    sort = forms.ChoiceField(
        label="Order",
        required=False,
        choices=[(key, words[0].upper() + words[1:]) for key, (_, words) in ORDERS.items()],
        error_messages={"invalid_choice": "There is no such order: choose one from the list."},
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What the URL asks for. `since`: one of SPANS, "" for ever. `first`, `last`: UTC days of signing up, both
    included. `notes`: what made no sense, and narrows nothing. `told`: onboarding, None where nobody has counted."""

    search: str = ""
    status: Status | None = None
    since: str = ""
    stuck: str = ""
    errors: str = ""
    ai: str = ""
    thumbs: Thumbs | None = None
    first: dt.date | None = None
    last: dt.date | None = None
    sort: str = "-created_at"
    after: str = ""
    now: dt.datetime = field(default_factory=timezone.now)
    notes: tuple[str, ...] = ()
    told: Definition | None = None

    @property
    def is_beyond_status(self) -> bool:
        """Whether more than status and span narrows it: then the digest's counts are not the list's."""
        return bool(self.search or self.is_more)

    @property
    def is_more(self) -> bool:
        """Whether one of the filters is set that are folded away as long as none is."""
        return bool(self.stuck or self.errors or self.ai or self.thumbs or self.first or self.last)

    @property
    def is_narrowed(self) -> bool:
        return bool(self.is_beyond_status or self.status or self.since)

    def as_filter(self) -> PeopleFilter:
        """The same, in moments. Days are UTC days."""
        starts = [self.now - SPANS[self.since]] if self.since else []
        starts += [_midnight(self.first)] if self.first else []
        asked = SPANS.get(self.ai)
        return PeopleFilter(
            self.search,
            self.status,
            max(starts, default=None),
            _midnight(self.last) + dt.timedelta(days=1) if self.last else None,
            self.stuck,
            self.now - SPANS[self.errors] if self.errors else None,
            self.now - asked if asked else None,
            self.ai == "never",
            MANY if self.ai == "many" else 0,
            self.thumbs,
        )

    def without_each(self) -> Iterator[tuple[str, str, Asked]]:
        """For each filter in force: its parameter, what it says, and what would be asked without it."""
        steps = steps_to_be_stuck_at(self.told)
        if self.search:
            yield "q", "the search", replace(self, search="")
        if self.status:
            yield "status", f"“{STATUSES[self.status]}”", replace(self, status=None)
        if self.since:
            yield "since", f"“signed up in the last {span_in_words(self.since)}”", replace(self, since="")
        if self.stuck:
            yield "stuck", f"“stuck at {steps.get(self.stuck, self.stuck)}”", replace(self, stuck="")
        if self.errors:
            yield "errors", f"“met errors {ERRORS[self.errors]}”", replace(self, errors="")
        if self.ai:
            yield "ai", f"“{AI_USE[self.ai]}”", replace(self, ai="")
        if self.thumbs:
            yield "thumbs", f"“feedback: {THUMBS[self.thumbs]}”", replace(self, thumbs=None)
        if self.first:
            yield "joined_from", f"“signed up from {self.first:%d %b %Y}”", replace(self, first=None)
        if self.last:
            yield "joined_to", f"“signed up to {self.last:%d %b %Y}”", replace(self, last=None)


def steps_to_be_stuck_at(told: Definition | None) -> dict[str, str]:
    """The steps of onboarding that can be the last somebody with an account reached, by name; none where nobody has
    counted."""
    return {} if told is None else {step.name: step.label for step in told.steps[registered_at(told) - 1 : -1]}


def asked(query: QueryDict, form: PeopleForm, told: Definition | None) -> Asked:
    """What a URL asks for; what makes no sense is noted. `told`: onboarding."""
    steps = steps_to_be_stuck_at(told)
    form.is_valid()
    notes = [f"{form.fields[name].label}: {error}" for name, errors in form.errors.items() for error in errors]

    def one_of(name: str, known: tuple[str, ...], says: str) -> str:
        value = query.get(name, "")
        if value and value not in known:
            notes.append(says)
        return value if value in known else ""

    status = one_of(
        "status", get_args(Status), "Onboarding: there are completed, in progress and stalled; choose one of them."
    )
    thumbs = one_of("thumbs", get_args(Thumbs), "Feedback: there are down, up, any and none; choose one of them.")
    first, last = form.cleaned_data.get("joined_from"), form.cleaned_data.get("joined_to")
    if first and last and last < first:
        notes.append("Signed up: the second day comes before the first, so neither narrows.")
        first = last = None
    if last == dt.date.max:
        last = None
    return Asked(
        search=form.cleaned_data.get("q", "").strip(),
        status=next((each for each in get_args(Status) if each == status), None),
        since=one_of("since", tuple(SPANS), "Signed up: in the last 24 h, 7 d, 30 d or 90 d; choose one of them."),
        stuck=one_of("stuck", tuple(steps), "Stuck at: there is no such step; choose one of the list."),
        errors=one_of("errors", tuple(ERRORS), "Errors: in the last 24 h, 7 d or 30 d; choose one of them."),
        ai=one_of("ai", tuple(AI_USE), "AI use: there are never, 7d, 30d and many; choose one of them."),
        thumbs=next((each for each in get_args(Thumbs) if each == thumbs), None),
        first=first,
        last=last,
        sort=form.cleaned_data.get("sort") or "-created_at",
        after=query.get("after", ""),
        notes=tuple(notes),
        told=told,
    )


def _midnight(date: dt.date) -> dt.datetime:
    return dt.datetime.combine(date, dt.time.min, dt.UTC)
