"""The onboarding page's tables as files: the same figures, plain and all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypedDict

from activity import funnel
from activity.eventlook import EventLook
from activity.funnel import By
from activity.funnellook import FunnelLook
from activity.pages import categories
from sigmasight.lib.csvfile import TableFile
from sigmasight.lib.pagination import Cursor

PORTION = 500


class OfGap(TypedDict):
    """Whom of a gap's people: None for all, "" for those of whom it is not known, or whom no error stopped."""

    error: str | None
    source: str | None
    device: str | None


def files(look: FunnelLook, seen: EventLook, by: By, cut: str, gap: int, of: OfGap) -> dict[str, TableFile]:
    """By the name that the URL knows them by. `by` and `cut`: as the page is cut; `gap` and `of` (error, source,
    device): whose people "stopped" has."""
    slug, names = look.told.slug, [step.name for step in look.told.steps]
    return {
        "steps": TableFile(
            f"{slug}-steps",
            (
                *("number", "step", "people", "share_of_previous", "share_of_first", "stopped_here"),
                *("median_ms_from_previous", "p90_ms_from_previous", "timed_from_previous"),
                *("median_ms_from_first", "p90_ms_from_first", "timed_from_first"),
            ),
            lambda: _steps(look),
        ),
        "reasons": TableFile(
            f"{slug}-reasons", ("gap", "reached", "not_reached", "error_code", "people"), lambda: _reasons(look)
        ),
        "stopped": TableFile(
            f"{slug}-stopped",
            (
                *("user_id", "session_id", "email", "name", "entered_at", "reached", "reached_at", "open_until"),
                *("source", "device", "last_event", "last_event_at", "stopped_by", "stopped_at", "message"),
            ),
            lambda: _stopped(look, gap, of),
        ),
        "errors": TableFile(
            f"{slug}-errors",
            (
                *("error_code", "event_types", "people", "people_error_bound", "times", "share_of_errors", "stopped"),
                *("met_before_last_step", "recovered", "median_ms_to_recover", "last_at", "sample"),
            ),
            lambda: _errors(look, seen),
        ),
        "days": TableFile(
            f"{slug}-events-by-{look.period.bucket}",
            (
                f"{look.period.bucket}_from",
                *(f"{step.name}_events" for step in look.told.steps if step.events),
                "errors",
            ),
            lambda: _days(look, seen),
        ),
        "parts": TableFile(f"{slug}-by-{by}", (by, *names), lambda: _parts(look, by)),
        "cohorts": TableFile(
            f"{slug}-cohorts-by-{cut}", (f"{cut}_from", "until", *names, "open_until"), lambda: _cohorts(look, cut)
        ),
    }


def _steps(look: FunnelLook) -> Iterator[tuple[Any, ...]]:
    for step in look.figures.steps:
        yield (
            *(step.number, step.name, step.reached, step.from_previous, step.from_first, step.dropped),
            *(step.median_previous, step.p90_previous, step.timed_previous),
            *(step.median_first, step.p90_first, step.timed_first),
        )


def _reasons(look: FunnelLook) -> Iterator[tuple[Any, ...]]:
    steps = look.told.steps
    for gap in range(1, len(steps)):
        for each in look.reasons(gap):
            yield gap, steps[gap - 1].name, steps[gap].name, each.code, each.people


def _stopped(look: FunnelLook, gap: int, of: OfGap) -> Iterator[tuple[Any, ...]]:
    step = look.told.steps[gap - 1].name
    after: Cursor | None = None
    while True:
        page = funnel.dropped(look.told.slug, look.period, step, **of, cursor=after, limit=PORTION, now=look.now)
        for each in page.people:
            last, by = each.last, each.stopped_by
            yield (
                *(each.user_id, each.session_id, each.email, each.name, each.entered_at, step, each.reached_at),
                *(each.open_until, each.source, each.device),
                *((last.event_type, last.at) if last else ("", None)),
                *((by.error_code, by.at, by.error_message) if by else ("", None, "")),
            )
        if page.next is None:
            return
        after = page.next


def _errors(look: FunnelLook, seen: EventLook) -> Iterator[tuple[Any, ...]]:
    of = categories(look.told)
    recovered, stops = look.recoveries(of).by_code, look.stopped_by()
    for each in seen.errors(of):
        recovery = recovered.get(each.error_code)
        yield (
            *(each.error_code, " ".join(each.types), each.people.count, each.people.error_bound, each.times),
            *(each.share / 100, sum(people for _, people in stops.get(each.error_code, ()))),
            *((recovery.people, recovery.recovered, recovery.median_ms) if recovery else (None, None, None)),
            *(each.last_at, each.sample),
        )


def _days(look: FunnelLook, seen: EventLook) -> Iterator[tuple[Any, ...]]:
    counts = [seen.counts(step.events) for step in look.told.steps if step.events]
    return zip(look.period.buckets(), *counts, seen.error_counts(categories(look.told)), strict=True)


def _parts(look: FunnelLook, by: By) -> Iterator[tuple[Any, ...]]:
    for each in look.parts(by):
        yield each.value, *each.reached


def _cohorts(look: FunnelLook, cut: str) -> Iterator[tuple[Any, ...]]:
    for each in look.cohorts(cut):
        yield each.start.date(), each.end.date(), *each.reached, each.mature_at
