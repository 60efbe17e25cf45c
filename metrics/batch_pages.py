"""The batch pages' figures in words and drawn: from domain values to sentences, cards, chips and charts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils.timezone import get_current_timezone

from metrics.batch import LastBatch
from metrics.batchfigures import LEAST_EXTRA, NO_RUNS, BatchFigures, BatchFilter, is_slow
from metrics.batchhistory import Now
from metrics.phases import PhaseFigures, Phases, in_order
from sigmasight.lib.cards import Card, card
from sigmasight.lib.charts import Chart, Series, Spark, bar_chart, sparkline, tiny_bars
from sigmasight.lib.chips import SHOWN, Chip
from sigmasight.lib.format import COUNT, SECONDS, SHARE, UNKNOWN, Quantity, Unit, age, duration, percent
from sigmasight.lib.periods import PAGE_KEYS, Period
from sigmasight.lib.zones import here, moment_here

# Colours of outcomes in the timeline: petrol for what went through, the others in the series' order.
OUTCOMES = (("completed", 1), ("partial", 2), ("failed", 3))
KINDS = {"engine": "the engine’s", "own": "our own jobs", "all": "both"}
TRIGGERS_SHOWN = 6
# Two runs differ by more than chance from here on, as a share of the usual.
TREND = 0.1
# So many phases are layers of their own in the chart.
LAYERS = 4
# Characters of a name beside a chart.
NAMED = 16


@dataclass(frozen=True, slots=True)
class Said:
    """A plain statement; `mark` is the part of it that is a link."""

    before: str
    mark: str = ""
    after: str = ""
    href: str = ""

    @property
    def parts(self) -> tuple[str, str, str]:
        return self.before, self.mark, self.after


def to_run(pk: Any) -> str:
    """A run's page."""
    return reverse("batch-run", args=[pk])


def to_the_minute(seconds: float) -> str:
    """A length of time, from two minutes on without its seconds: a run is not late by seconds."""
    return str(duration(60 * round(seconds / 60) if seconds >= 120 else seconds))


def against_usual(extra: float | None) -> str:
    """`18 min longer than usual`, or that it is as usual; nothing where nothing is known."""
    if extra is None:
        return ""
    if abs(extra) < LEAST_EXTRA:
        return "as usual"
    return f"{to_the_minute(abs(extra))} {'longer' if extra > 0 else 'shorter'} than usual"


def in_words(last: LastBatch | None, doing: Now, now: dt.datetime) -> tuple[str, list[Said]]:
    """The headline and what follows: how the last night went, and what goes now."""
    return _last_night(last, now), [*_how_it_went(last), *_what_goes(doing)]


def _last_night(last: LastBatch | None, now: dt.datetime) -> str:
    if last is None:
        return "No nightly run has ended yet."
    run = last.last.run
    ended = run.completed_at or run.started_at
    began = here(run.started_at)
    recent = dt.timedelta(0) <= now - run.started_at < dt.timedelta(hours=24)
    which = "Last night’s run" if recent else f"The last nightly run, of {began.day} {began:%b},"
    word = {"failed": "failed", "partial": "went through only in part"}.get(run.status, "finished")
    return f"{which} {word} at {here(ended):%H:%M}."


def _how_it_went(last: LastBatch | None) -> Iterator[Said]:
    if last is None:
        return
    run, href = last.last.run, to_run(last.last.run.pk)
    if run.status != "completed":
        failed, total = run.failed_jobs or 0, run.total_jobs or 0
        if failed:
            yield Said("", f"{failed:,} of {total:,} jobs", " failed.", href)
        elif last.last.errors:
            yield Said("", f"{last.last.errors:,} {'error' if last.last.errors == 1 else 'errors'}", " recorded.", href)
        return
    took = to_the_minute(last.last.seconds or 0.0)
    extra = against_usual(last.extra_seconds)
    if extra == "as usual":
        yield Said("It took ", took, ", as usual.", href)
    elif extra:
        difference = extra.removesuffix(" than usual")
        phase = f": {last.slow_phase}." if last.slow_phase and (last.extra_seconds or 0) > 0 else "."
        yield Said(f"It took {took}, ", difference, f" than usual{phase}", href)
    else:
        yield Said("It took ", took, ".", href)


def _what_goes(doing: Now) -> Iterator[Said]:
    going = doing.current
    if going is not None:
        left = f", about {to_the_minute(going.remaining)} left" if going.remaining is not None else ""
        done = f"{percent(going.progress)} of its jobs" if going.run.total_jobs else to_the_minute(going.elapsed)
        yield Said("A run is going: ", f"{done}{left}", ".", to_run(going.run.pk))


def notes(doing: Now) -> list[dict[str, str]]:
    """What is worth a warning, for the state component: a run that went silent, a request nobody took."""
    found = []
    if doing.stale:
        found.append(
            {
                "tone": "warn",
                "text": f"A run that started {doing.stale.started_at:%-d %b %H:%M} UTC never said that it ended, and "
                "has not been heard of since. It no longer counts as going.",
                "href": to_run(doing.stale.pk),
                "action": "Look at it",
            }
        )
    if doing.waiting:
        found.append(
            {
                "tone": "",
                "text": f"{doing.waiting.asked_by} asked for a run at {here(doing.waiting.asked_at):%H:%M %Z}; "
                "the engine has not begun yet.",
            }
        )
    if doing.lapsed:
        found.append(
            {
                "tone": "warn",
                "text": f"The run that {doing.lapsed.asked_by} asked for at {doing.lapsed.asked_at:%-d %b %H:%M} UTC "
                "was not taken in time: is a worker of the engine running, on the queue that BATCH_QUEUE names?",
            }
        )
    return found


def cards(seen: BatchFigures, period: Period, now: dt.datetime) -> list[Card]:
    """Runs, success, length, failed jobs, the last success."""
    totals, before = seen.now, seen.before if seen.before.runs and seen.is_covered else None
    completed, going = totals.by_status.get("completed", 0), totals.by_status.get("running", 0)
    columns = list(zip(*seen.by_bucket.values(), strict=True)) or [()] * len(period.buckets())
    ended = list(zip(*(each for status, each in seen.by_bucket.items() if status != "running"), strict=True)) or [
        ()
    ] * len(columns)
    went_through = seen.by_bucket.get("completed", [NO_RUNS] * len(columns))
    failed = [float(sum(each.failed_jobs for each in column)) for column in columns]

    def was(name: str) -> Any:
        return getattr(before, name) if before else None

    def drawn(name: str, value: float | None, sub: str, href: str, spark: Spark, unit: Unit = COUNT) -> Card:
        key = {"Runs": "runs", "Success rate": "success", "Median length": "p50", "p95 length": "p95"}
        compared = period.compare and before is not None
        found = card(name, value, was(key.get(name, "failed_jobs")), unit=unit, compare=compared, sub=sub, href=href)
        return replace(found, spark=spark)

    last = seen.last_success
    return [
        drawn(
            "Runs",
            totals.runs,
            f"{going:,} going" if going else "",
            "#runs",
            tiny_bars([float(sum(each.runs for each in column)) for column in columns], last=False),
        ),
        drawn(
            "Success rate",
            totals.success,
            f"of {totals.finished:,}",
            "#runs",
            sparkline(
                [
                    _share(done.runs, sum(each.runs for each in all_of))
                    for done, all_of in zip(went_through, ended, strict=True)
                ]
            ),
            SHARE,
        ),
        drawn(
            "Median length",
            totals.p50,
            f"of {completed:,}",
            "#timeline",
            _course(each.p50 for each in went_through),
            SECONDS,
        ),
        drawn(
            "p95 length",
            totals.p95,
            f"of {completed:,}",
            "#timeline",
            _course(each.p95 for each in went_through),
            SECONDS,
        ),
        drawn(
            "Jobs failed",
            totals.failed_jobs,
            f"of {totals.jobs:,}",
            "#runs",
            tiny_bars(failed, high=[rank for rank, each in enumerate(failed) if each], last=False),
        ),
        Card(
            "Last success",
            Quantity(age(last[1], now), "ago") if last else UNKNOWN,
            href=to_run(last[0]) if last else "",
            delta=moment_here(last[1], now) if last else "none is recorded",
            exactness="exact, of any period" if last else "",
        ),
    ]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _course(values: Iterable[float | None]) -> Spark:
    """A line through what is known: on most days of a year something ran, and a gap would hide all but that."""
    return sparkline([value for value in values if value is not None])


def timeline(seen: BatchFigures, period: Period, query: QueryDict, unfinished: bool) -> Chart:
    """Time spent in runs by bucket, stacked by how they ended."""
    at = period.buckets()
    nothing = [NO_RUNS] * len(at)
    series = [
        Series(name, [each.seconds for each in seen.by_bucket.get(name, nothing)], tone=tone)
        for name, tone in OUTCOMES
        if name in seen.by_bucket or name == "completed"
    ]
    return bar_chart(
        tz=get_current_timezone(),
        label=f"Time in runs by {period.bucket} and outcome, {period.text}",
        at=at,
        series=series,
        bucket=period.bucket,
        unit=SECONDS,
        hrefs=[period.bucket_href(each, query) for each in at],
        unfinished=unfinished,
        total="in runs",
        empty="No run of this period is over.",
    )


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """A phase of the period's runs, with its course and how long it took in the last night."""

    figures: PhaseFigures
    spark: Spark
    last: float | None
    slow: bool
    trend: str
    rising: bool


def phase_rows(seen: Phases, course: Mapping[str, list[float | None]], last: LastBatch | None) -> list[PhaseRow]:
    """Phases in the engine's order; `slow` those that took longer last night than they usually do in this period."""
    latest = last.last.phases if last else {}
    return [
        PhaseRow(
            each,
            sparkline(
                [value for value in course.get(each.phase, []) if value is not None],
                label=f"{each.phase}: mean length over the period",
            ),
            latest.get(each.phase),
            is_slow(latest.get(each.phase), each.p50),
            _trend(each.trend),
            (each.trend or 0.0) > TREND,
        )
        for each in seen.phases
    ]


def phase_trend(seen: Phases, course: Mapping[str, list[float | None]], period: Period, query: QueryDict) -> Chart:
    """The mean length of a run's phases by bucket, stacked: the ones that take most, and the rest together."""
    at = period.buckets()
    most = sorted(course, key=lambda name: -sum(each.mean * each.runs for each in seen.phases if each.phase == name))
    named = in_order(most[:LAYERS])
    series = [Series(_short(name), course[name], tone=rank) for rank, name in enumerate(named, start=1)]
    if rest := [course[name] for name in most[LAYERS:]]:
        series.append(
            Series(
                f"{len(rest)} others",
                [sum(each or 0.0 for each in column) for column in zip(*rest, strict=True)],
                tone=5,
            )
        )
    return bar_chart(
        tz=get_current_timezone(),
        label=f"Mean length of each phase by {period.bucket}, {period.text}",
        at=at,
        series=series,
        bucket=period.bucket,
        unit=SECONDS,
        hrefs=[period.bucket_href(each, query) for each in at],
        total="in all phases",
        empty="No run of this period recorded its phases.",
    )


def _short(phase: str) -> str:
    """A phase's name as there is room for beside a chart; the table below has all of it."""
    name = phase.removeprefix("phase_")
    return name if len(name) <= NAMED else f"{name[: NAMED - 1]}…"


def _trend(trend: float | None) -> str:
    if trend is None:
        return ""
    if abs(trend) < 0.005:
        return "level"
    return f"{'↑' if trend > 0 else '↓'}\u00a0{percent(abs(trend))}"


def facets(query: QueryDict, only: BatchFilter, seen: BatchFigures) -> list[tuple[str, list[Chip]]]:
    """The filters as groups of chips: each is the page with it, or, where it is on, without."""
    states = [
        (name, name, count)
        for name in ("completed", "partial", "failed", "running")
        if (count := seen.now.by_status.get(name, 0)) or name == only.status
    ]
    triggers = list(seen.triggers[:TRIGGERS_SHOWN])
    if only.triggered_by and only.triggered_by not in dict(triggers):
        triggers.append((only.triggered_by, dict(seen.triggers).get(only.triggered_by, 0)))
    kinds = [
        Chip(text, _with(query, "kind", "" if key == "engine" else key), key == only.kind, False)
        for key, text in KINDS.items()
    ]
    return [
        ("Whose", kinds),
        ("Status", [_chip(query, "status", name, text, count, only.status) for name, text, count in states]),
        ("Started by", [_chip(query, "by", name, name, count, only.triggered_by) for name, count in triggers]),
    ]


def _chip(query: QueryDict, key: str, value: str, text: str, count: int, chosen: str) -> Chip:
    on = value == chosen
    shown = text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
    return Chip(f"{shown} {count:,}", _with(query, key, "" if on else value), on, on)


def _with(query: QueryDict, key: str, value: str) -> str:
    rest = query.copy()
    for each in (key, *PAGE_KEYS):
        rest.pop(each, None)
    if value:
        rest[key] = value
    return f"?{rest.urlencode()}"
