"""The period a page speaks of, read from its URL: `?period=24h|7d|30d|90d|custom&from=…&to=…&compare=1|week|0`.

`from` and `to` are UTC unless they say otherwise, or `tz=Europe/Berlin` does, which the form of a custom period adds:
so a link means the same to everybody. What is shown of a period is by the clock of whoever looks (`lib.zones`); days
are UTC days.

A named period is whole buckets up to now, the current, unfinished one included: "24 h" is this hour and the 23
before it, "7 d" today and the six days before it. The period before is the same span moved back by its full
length, so that like is compared with like, up to the same minute; with `compare=week` by as many whole weeks as that
takes, so that weekdays meet: 24 h and 7 d are held against last week, 30 d against the span five weeks earlier.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from django.http import HttpRequest, QueryDict
from django.utils import timezone

from sigmasight.lib.zones import here, zone

Bucket = Literal["minute", "hour", "day"]

NAMED: dict[str, tuple[str, int]] = {"24h": ("24 h", 1), "7d": ("7 d", 7), "30d": ("30 d", 30), "90d": ("90 d", 90)}
DEFAULT = "24h"
LONGEST = dt.timedelta(days=731)
STEP: dict[Bucket, dt.timedelta] = {
    "minute": dt.timedelta(minutes=1),
    "hour": dt.timedelta(hours=1),
    "day": dt.timedelta(days=1),
}
# Any UTC midnight will do: buckets divide the day.
ORIGIN = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
# What a link keeps of the URL when the period changes: everything but the period itself and the place in a list.
PERIOD_KEYS = ("period", "from", "to", "tz")
PAGE_KEYS = ("cursor", "after", "before")


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open span of time, [start, end), in UTC, and how a chart cuts it.

    `choices` are (key, label, href) for the picker; `compare_href` switches comparison with the time
    before over, `week_href` that with the same weekdays; `error` says what was wrong with a custom period, in which
    case the default stands in its place.
    """

    key: str
    label: str
    start: dt.datetime
    end: dt.datetime
    bucket: Bucket
    step_back: dt.timedelta
    compare: bool = False
    # Whether `step_back` is whole weeks.
    by_weeks: bool = False
    choices: tuple[tuple[str, str, str], ...] = ()
    compare_href: str = ""
    week_href: str = ""
    error: str = ""
    # What the custom form has to carry along besides from and to.
    kept: tuple[tuple[str, str], ...] = field(default=())

    @property
    def previous(self) -> Period:
        """The same span, one full length earlier."""
        return replace(self, start=self.start - self.step_back, end=self.end - self.step_back, label="before")

    @property
    def text(self) -> str:
        """The span in words, for titles and notes: "24 Oct 2026 – 22 Nov 2026, UTC"."""
        if self.bucket == "day" and self.start.time() == dt.time.min:
            last = self.end - dt.timedelta(microseconds=1)
            return f"{_day(self.start)} – {_day(last)}, UTC" if last.date() != self.start.date() else _day(self.start)
        start, end = here(self.start), here(self.end)
        if start.date() == end.date():
            return f"{_day(start)}, {start:%H:%M} – {end:%H:%M %Z}"
        clock = "" if f"{start:%Z}" == f"{end:%Z}" else f" {start:%Z}"
        return f"{_day(start)} {start:%H:%M}{clock} – {_day(end)} {end:%H:%M %Z}"

    @property
    def span(self) -> dt.timedelta:
        return self.end - self.start

    @property
    def before_label(self) -> str:
        """How a delta names what it compares with: "previous 24 h", "same days last week"."""
        if self.by_weeks:
            return self.weeks_label
        return self.plain_label

    @property
    def weeks_label(self) -> str:
        weeks = whole_weeks(self.step_back).days // 7
        return "same days last week" if weeks == 1 else f"same days {weeks} weeks before"

    @property
    def plain_label(self) -> str:
        return f"previous {self.label}" if self.key in NAMED else "the same span before"

    @property
    def href(self) -> str:
        """The query string that asks another page for this period."""
        if self.key in NAMED:
            return f"?period={self.key}"
        return f"?period=custom&from={self.from_value}&to={self.to_value}"

    @property
    def from_value(self) -> str:
        """`start` as a link says it, in UTC."""
        return f"{self.start:%Y-%m-%dT%H:%M}"

    @property
    def to_value(self) -> str:
        return f"{self.end:%Y-%m-%dT%H:%M}"

    @property
    def from_here(self) -> str:
        """`start` as a datetime-local input wants it, by the clock of whoever looks (`zone`)."""
        return f"{here(self.start):%Y-%m-%dT%H:%M}"

    @property
    def to_here(self) -> str:
        return f"{here(self.end):%Y-%m-%dT%H:%M}"

    @property
    def zone(self) -> str:
        """The zone of `from_here` and `to_here`."""
        return timezone.get_current_timezone_name()

    def sql(self) -> dict[str, Any]:
        """Parameters for SQL: `start`, `end`, and `step` and `origin` for `date_bin`, which cuts as `buckets` does."""
        return {"start": self.start, "end": self.end, "step": STEP[self.bucket], "origin": ORIGIN}

    def buckets(self) -> list[dt.datetime]:
        """The starts of all buckets that overlap the span, in order, none left out."""
        return list(steps(floor(self.start, self.bucket), self.end, STEP[self.bucket]))

    def bucket_href(self, start: dt.datetime, query: QueryDict | None = None) -> str:
        """A link to the same page for one bucket of this period."""
        params = _without(query if query is not None else QueryDict(), *PERIOD_KEYS, *PAGE_KEYS)
        params["period"] = "custom"
        params["from"] = f"{start:%Y-%m-%dT%H:%M}"
        params["to"] = f"{start + STEP[self.bucket]:%Y-%m-%dT%H:%M}"
        return "?" + params.urlencode()


def is_covered(now: Sequence[float], before: Sequence[float]) -> bool:
    """Whether the period before holds enough to be compared with: counts by bucket, of both.

    Where raw rows are gone, or recording began in the middle, a difference would tell of that and of nothing else: so
    at least half as many buckets must have something in them as have now.
    """
    return 2 * sum(1 for each in before if each) >= sum(1 for each in now if each)


def floor(moment: dt.datetime, bucket: Bucket) -> dt.datetime:
    """The start of the UTC minute, hour or day that a moment falls in."""
    moment = moment.astimezone(dt.UTC).replace(second=0, microsecond=0)
    if bucket == "minute":
        return moment
    return moment.replace(minute=0) if bucket == "hour" else moment.replace(minute=0, hour=0)


def ceil(moment: dt.datetime, bucket: Bucket) -> dt.datetime:
    """The first start of a UTC minute, hour or day that is not before a moment."""
    below = floor(moment, bucket)
    return below if below == moment else below + STEP[bucket]


def period_from(request: HttpRequest, now: dt.datetime | None = None, default: str = DEFAULT) -> Period:
    """The period that a request's URL names, `default` where it names none or none that makes sense."""
    query = request.GET
    now = now or dt.datetime.now(dt.UTC)
    key, error = query.get("period", ""), ""
    period: Period | None = None
    if key == "custom" or (not key and query.get("from")):
        try:
            period = _custom(query.get("from", ""), query.get("to", ""), now, _zone(query.get("tz", "")))
        except ValueError as problem:
            error = str(problem)
    elif key and key not in NAMED:
        error = f"There is no period “{key[:20]}”: take 24h, 7d, 30d, 90d or custom."
    if period is None:
        period = named(key if key in NAMED else default, now)
    kept = _without(query, *PERIOD_KEYS, *PAGE_KEYS)
    choices = tuple((name, label, "?" + _with(kept, period=name)) for name, (label, _) in NAMED.items())
    other = _without(query, "compare", *PAGE_KEYS)
    # What reaches into the future has not happened yet: to hold it against a whole period would show a fall.
    asked = query.get("compare", "1")
    compare = asked != "0" and period.end <= now + dt.timedelta(minutes=1)
    by_weeks = compare and asked == "week"
    return replace(
        period,
        compare=compare,
        by_weeks=by_weeks,
        step_back=whole_weeks(period.step_back) if by_weeks else period.step_back,
        choices=choices,
        compare_href="?" + _with(other, compare="0" if compare and not by_weeks else "1"),
        week_href="?" + _with(other, compare="0" if by_weeks else "week"),
        error=error,
        kept=tuple((name, value) for name, values in kept.lists() for value in values),
    )


def whole_weeks(span: dt.timedelta) -> dt.timedelta:
    """The fewest whole weeks that are as long."""
    week = dt.timedelta(days=7)
    return -(-span // week) * week


def named(key: str, now: dt.datetime) -> Period:
    """One of NAMED, up to `now`."""
    label, days = NAMED[key]
    if key == "24h":
        return Period(key, label, floor(now, "hour") - dt.timedelta(hours=23), now, "hour", dt.timedelta(days=1))
    start = floor(now, "day") - dt.timedelta(days=days - 1)
    return Period(key, label, start, now, "hour" if days <= 3 else "day", dt.timedelta(days=days))


def between(start: dt.datetime, end: dt.datetime) -> Period:
    """Any span, cut so that a chart of it has 12 to 180 or so marks."""
    span = end - start
    bucket: Bucket = "minute" if span <= dt.timedelta(hours=3) else "hour" if span <= dt.timedelta(days=4) else "day"
    return Period("custom", "Custom", start, end, bucket, span)


def _zone(name: str) -> dt.tzinfo:
    if not name:
        return dt.UTC
    found = zone(name)
    if found is None:
        raise ValueError(f"There is no time zone “{name[:40]}”: write tz=Europe/Berlin, for example, or leave it out.")
    return found


def _custom(first: str, last: str, now: dt.datetime, tz: dt.tzinfo) -> Period:
    start = _moment(first, "from", tz, end_of_day=False)
    end = _moment(last, "to", tz, end_of_day=True) if last else now
    if end <= start:
        raise ValueError("The period ends before it begins: “from” must be earlier than “to”.")
    if end - start > LONGEST:
        raise ValueError("That is more than two years: choose a shorter period.")
    return between(start, end)


def _moment(text: str, name: str, tz: dt.tzinfo, *, end_of_day: bool) -> dt.datetime:
    if not text:
        raise ValueError(f"A custom period needs “{name}”, for example {name}=2026-11-01 or {name}=2026-11-01T08:00.")
    try:
        moment = dt.datetime.fromisoformat(text.strip().replace(" ", "+"))
        if end_of_day and len(text.strip()) <= len("2026-11-01"):  # a day: 2026-11-01, 20261101 or 2026-W45-1
            moment += dt.timedelta(days=1)
        moment = (moment.replace(tzinfo=tz) if moment.tzinfo is None else moment).astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"“{text[:40]}” is no time: write {name}=2026-11-01 or {name}=2026-11-01T08:00 (UTC)."
        ) from error
    if not dt.datetime(1990, 1, 1, tzinfo=dt.UTC) <= moment <= dt.datetime(2200, 1, 1, tzinfo=dt.UTC):
        raise ValueError(f"“{text[:40]}” is outside of 1990 to 2200.")
    return moment


def steps(start: dt.datetime, end: dt.datetime, step: dt.timedelta) -> Iterator[dt.datetime]:
    """Moments from `start` on, a step apart, before `end`."""
    while start < end:
        yield start
        start += step


def _day(moment: dt.datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"


def _without(query: QueryDict, *keys: str) -> QueryDict:
    copy = query.copy()
    for key in keys:
        copy.pop(key, None)
    return copy


def _with(query: QueryDict, **values: str) -> str:
    copy = query.copy()
    for key, value in values.items():
        copy[key] = value
    return copy.urlencode()
