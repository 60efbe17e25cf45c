"""One look at the events of a period: by type and over time, and the errors among them. And a page of single events."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Q

from activity.events import Explored, percentages
from activity.models import Event
from activity.people import sample
from activity.rollups import EVENTS
from sigmasight.lib.pagination import Cursor
from sigmasight.lib.periods import STEP, Period, floor
from sigmasight.lib.rollups.people import People
from sigmasight.lib.rollups.read import Provenance, Reading, read


@dataclass(frozen=True, slots=True)
class CodeFigures:
    """One error code. `types`: the events that carried it, most frequent first; `share`: of all errors, in percent;
    `by_bucket`: how often, by the period's buckets; `sample`: what the newest said, "" where nothing."""

    error_code: str
    types: tuple[str, ...]
    people: People
    times: int
    share: float
    by_bucket: tuple[int, ...]
    last_at: dt.datetime
    sample: str


@dataclass(frozen=True, slots=True)
class EventPage:
    """Single events, newest first. `next`: the cursor of those after them, None where there are none."""

    rows: tuple[Event, ...]
    next: Cursor | None


class EventLook:
    """One look at a period, and at the buckets of the one before where `compare` and both are cut alike."""

    def __init__(self, period: Period, *, compare: bool = False) -> None:
        self.period = period
        cut = STEP[period.bucket]
        self.compares = compare and floor(period.start, period.bucket) == period.start and not period.step_back % cut

    @cached_property
    def _all(self) -> Reading:
        start = self.period.previous.start if self.compares else self.period.start
        return read(EVENTS, start, self.period.end, bucket=self.period.bucket)

    @cached_property
    def _counts(self) -> dict[tuple[dt.datetime, str, bool], int]:
        """Events by bucket, type and whether they are errors."""
        cut = self.period.bucket
        groups = self._all.merged(lambda at, key: (floor(at, cut), key[0], key[1] != ""), ("events",))
        return {place: group["events"] for place, group in groups.items()}

    @property
    def provenance(self) -> Provenance:
        return self._all.provenance

    def counts(self, types: Iterable[str]) -> list[int]:
        """Events of these types, by the period's buckets; "chat.*" is the whole category."""
        return self._series(self.period.buckets(), list(types))

    def counts_before(self, types: Iterable[str]) -> list[int]:
        """The same of the period before, position by position, whole buckets; empty where it is not compared with."""
        if not self.compares:
            return []
        return self._series([at - self.period.step_back for at in self.period.buckets()], list(types))

    def error_counts(self, categories: Iterable[str]) -> list[int]:
        """Errors on events of these categories, by the period's buckets."""
        return self._series(self.period.buckets(), [f"{each}.*" for each in categories], errors=True)

    def error_counts_before(self, categories: Iterable[str]) -> list[int]:
        if not self.compares:
            return []
        starts = [at - self.period.step_back for at in self.period.buckets()]
        return self._series(starts, [f"{each}.*" for each in categories], errors=True)

    def _series(self, starts: Sequence[dt.datetime], types: list[str], *, errors: bool = False) -> list[int]:
        place = {at: number for number, at in enumerate(starts)}
        found = [0] * len(starts)
        for (at, event_type, is_error), events in self._counts.items():
            if at in place and (is_error or not errors) and _is_among(event_type, types):
                found[place[at]] += events
        return found

    def errors(self, categories: Iterable[str]) -> list[CodeFigures]:
        """Errors on events of these categories, by code, those that met most people first."""
        wanted = [f"{each}.*" for each in categories]
        mine = self._all.only(lambda key: key[1] != "" and _is_among(key[0], wanted))
        since, cut = floor(self.period.start, self.period.bucket), self.period.bucket
        groups = {place: group for place, group in mine.merged(lambda at, key: (at >= since, key)).items() if place[0]}
        over_time = mine.merged(lambda at, key: (key[1], floor(at, cut)), ("events",))
        by_code: dict[str, dict[str, dict[str, Any]]] = {}
        for (_, (event_type, code)), group in groups.items():
            by_code.setdefault(code, {})[event_type] = group
        found = [(code, types, mine.joined(types.values())) for code, types in by_code.items()]
        shares = percentages([total["events"] for _, _, total in found])
        buckets = self.period.buckets()
        rows = [
            CodeFigures(
                code,
                tuple(sorted(types, key=lambda each: (-types[each]["events"], each))),
                total["people"].count(),
                total["events"],
                share,
                tuple(over_time[code, at]["events"] if (code, at) in over_time else 0 for at in buckets),
                total["last_at"][0],
                sample(total),
            )
            for (code, types, total), share in zip(found, shares, strict=True)
        ]
        return sorted(rows, key=lambda each: (-each.people.count, -each.times, each.error_code))


def event_page(found: Explored, after: Cursor | None, size: int) -> EventPage:
    """Single events after a place."""
    rows = found.rows
    if after is not None:
        older = Q(created_at__lt=after.at) | Q(created_at=after.at, id__lt=after.id)
        rows = rows.filter(older, created_at__lte=after.at)
    page = list(rows.order_by("-created_at", "-id")[: size + 1])
    last = page[size - 1] if len(page) > size else None
    return EventPage(tuple(page[:size]), Cursor(last.created_at, last.pk) if last else None)


EVENT_COLUMNS = (
    "id", "created_at", "event_type", "event_category", "user_id", "session_id", "error_code", "error_message",
    "event_data", "ip_address", "user_agent",
)  # fmt: skip
CHUNK = 500


def event_rows(found: Explored) -> Iterator[tuple[Any, ...]]:
    """Every event as a row of a file, newest first, read CHUNK at a time."""
    after: Cursor | None = None
    while True:
        page = event_page(found, after, CHUNK)
        for row in page.rows:
            data = json.dumps(row.event_data, ensure_ascii=False) if row.event_data else None
            yield tuple(data if name == "event_data" else getattr(row, name) for name in EVENT_COLUMNS)
        if page.next is None:
            return
        after = page.next


def _is_among(event_type: str, types: Iterable[str]) -> bool:
    """Whether a type is one of these, or of the categories among them."""
    category = f"{event_type.partition('.')[0]}.*"
    return any(each in (event_type, category) for each in types)
