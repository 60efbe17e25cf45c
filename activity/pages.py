"""The onboarding page's figures, drawn: the sentence, the funnel's steps and gaps, the days, the cohorts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse
from django.utils.timezone import get_current_timezone

from activity.eventlook import CodeFigures, EventLook
from activity.funnel import Cohort, Dropped, StepFigures
from activity.funnellook import FunnelLook, Part, Reason
from activity.funnels.cells import OTHERS
from activity.funnels.definition import Definition, Step
from activity.funnels.recovery import Recovery
from sigmasight.lib.charts import Chart, Series, Spark, line_chart, tiny_bars
from sigmasight.lib.format import NBSP, delta, duration, milliseconds, percent
from sigmasight.lib.periods import STEP, Period, is_covered
from sigmasight.lib.rollups.fold import OTHER

# The band under a step that narrows to the next, in the box of its drawing.
BAND_HEIGHT = 72
REASONS_SHOWN = 3
CODES_SHOWN = 12
PARTS_SHOWN = 12
CHARTS_MOST = 6
HEATS = 6
# What a link to the same page leaves behind.
PLACE = ("gap", "reason", "clean", "source", "device", "after")


class Links:
    """Addresses under the page's own: they keep its period and funnel, and change the rest."""

    def __init__(self, query: QueryDict, period: Period) -> None:
        self._query, self._period = query.copy(), period
        for name in PLACE:
            self._query.pop(name, None)

    def here(self, **changes: object) -> str:
        """The page with changes; None takes a key out."""
        query = self._query.copy()
        for name, value in changes.items():
            query.pop(name, None)
            if value is not None:
                query[name] = str(value)
        return f"?{query.urlencode()}"

    def gap(self, number: int, reason: Reason | None = None, of: Mapping[str, str] | None = None) -> str:
        """The people who stopped in a gap, for one reason where it is given."""
        code = {} if reason is None else {"reason": reason.code} if reason.is_named else {"clean": "1"}
        return self.here(gap=number, **code, **(of or {}))

    def span(self, start: dt.datetime, end: dt.datetime, **changes: object) -> str:
        """The page of another span."""
        return self.here(
            period="custom", **{"from": f"{start:%Y-%m-%dT%H:%M}", "to": f"{end:%Y-%m-%dT%H:%M}"}, **changes
        )

    def events(self, **filters: str) -> str:
        """Single events of the same period."""
        return "&".join(each for each in (reverse("onboarding-events") + self._period.href, urlencode(filters)) if each)

    def bucket_events(self, **filters: str) -> list[str]:
        """The same, bucket by bucket."""
        path, step = reverse("onboarding-events"), STEP[self._period.bucket]
        return [
            f"{path}?period=custom&from={at:%Y-%m-%dT%H:%M}&to={at + step:%Y-%m-%dT%H:%M}&{urlencode(filters)}"
            for at in self._period.buckets()
        ]


@dataclass(frozen=True, slots=True)
class GapRow:
    """The gap after a step: who stopped there, and why. `keep` and `lose` are the paths of the band between the bars;
    `more`: how many further reasons there are, and of how many people."""

    number: int
    stopped: int
    share: float | None
    href: str
    reasons: tuple[tuple[Reason, str], ...]
    more: tuple[int, int]
    keep: str
    lose: str


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step as the funnel draws it. `width`: its bar, in percent of the first step's; `href`: to its events, "" where
    only records prove it."""

    figures: StepFigures
    width: float
    href: str
    gap: GapRow | None

    @property
    def median(self) -> str:
        """Time from the step before."""
        return brief(self.figures.median_previous)

    @property
    def p90(self) -> str:
        return brief(self.figures.p90_previous)


@dataclass(frozen=True, slots=True)
class PartRow:
    """A source, device or error: its people, and for each later step the share that got there and a link to those
    who stopped before it."""

    part: Part
    label: str
    cells: tuple[tuple[float | None, int, str], ...]


@dataclass(frozen=True, slots=True)
class CohortRow:
    """A day or week. `cells`: (share that reached it, heat 0 to 5, link to those who did not), of each later step."""

    cohort: Cohort
    href: str
    cells: tuple[tuple[float | None, int, str], ...]


@dataclass(frozen=True, slots=True)
class CodeRow:
    """An error code. `href`: to its events; `stopped`: for how many people it was the last thing, gap by gap, each with
    the step they did not reach and the link to them."""

    code: CodeFigures
    spark: Spark
    href: str
    stopped: tuple[tuple[int, str, str], ...]
    is_named: bool
    recovery: Recovery | None = None

    @property
    def share(self) -> float:
        """Of all errors, 0 to 1."""
        return self.code.share / 100


def sentence(look: FunnelLook) -> tuple[str, str]:
    """What the funnel comes to: how many of whom, and how that stands to the period before."""
    told, steps = look.figures, look.figures.steps
    done = f"{steps[-1].reached:,} of {told.entered:,} people"
    so_far = " so far" if told.is_immature else ""
    lead = f"{percent(told.conversion)} got to “{steps[-1].label}”{so_far}"
    rest = f": {done}."
    if steps[-1].median_first is not None:
        rest = f": {done}, half of them within {brief(steps[-1].median_first)}."
    return lead, rest


def compared(look: FunnelLook, seen: EventLook) -> str:
    """How the period stands to the one before, "" where it is not compared with, or was not recorded yet."""
    first = look.told.steps[0].events
    earlier = seen.counts_before(first)
    before = look.before if any(earlier) and is_covered(seen.counts(first), earlier) else None
    if before is None:
        return ""
    change = delta(look.figures.entered, before.entered)
    moved = f"{change.arrow}{NBSP}{change.change} on the" if change.direction and change.change else "against"
    share = percent(before.share(len(before.reached)))
    span = f"{before.entered:,} of the {look.period.before_label}"
    return f"{look.figures.entered:,} started, {moved} {span}, of whom {share} got there."


def brief(milliseconds_: float | None) -> str:
    """A time to convert, in its two largest units and no finer than it is known."""
    if milliseconds_ is None:
        return "–"
    return str(milliseconds(milliseconds_) if milliseconds_ < 1000 else duration(milliseconds_ / 1000))


def step_rows(look: FunnelLook, links: Links) -> list[StepRow]:
    """Every step, and the gap after it."""
    steps = look.figures.steps
    found = []
    for each, defined in zip(steps, look.told.steps, strict=True):
        gap = None
        if each.dropped is not None:
            gap = _gap_row(each, steps[each.number], look.reasons(each.number), links)
        of = _evidence(defined)
        found.append(StepRow(each, _width(each), links.events(**of) if of else "", gap))
    return found


def _gap_row(step: StepFigures, following: StepFigures, reasons: list[Reason], links: Links) -> GapRow:
    shown = reasons if len(reasons) <= REASONS_SHOWN else reasons[: REASONS_SHOWN - 1]
    rest = reasons[len(shown) :]
    top, bottom = round(10 * _width(step), 1), round(10 * _width(following), 1)
    bend = f"C{top} {BAND_HEIGHT / 2 - 2:g} {bottom} {BAND_HEIGHT / 2 + 2:g} {bottom} {BAND_HEIGHT}"
    return GapRow(
        step.number,
        step.dropped or 0,
        step.dropped / step.reached if step.reached and step.dropped is not None else None,
        links.gap(step.number),
        tuple((each, "" if each.code == OTHERS else links.gap(step.number, each)) for each in shown),
        (len(rest), sum(each.people for each in rest)),
        f"M0 0H{top}{bend}H0Z",
        f"M{top} 0{bend}H{top}Z",
    )


def _width(step: StepFigures) -> float:
    return round(100 * (step.from_first or 0), 2)


def _evidence(step: Step) -> dict[str, str]:
    """The explorer's filter for the events of a step, nothing where only records prove it."""
    if not step.events:
        return {}
    first = step.events[0]
    return {"category": first.removesuffix(".*")} if first.endswith(".*") else {"type": first}


def part_rows(parts: Sequence[Part], by: str, links: Links) -> list[PartRow]:
    """The largest parts."""
    names = {"source": "no source known", "device": "no device known", "error": "no error stopped them"}
    found = []
    for each in parts[:PARTS_SHOWN]:
        cells = tuple(
            (each.share(step), each.dropped(step - 1), _part_href(each, by, step - 1, links))
            for step in range(2, len(each.reached) + 1)
        )
        found.append(PartRow(each, each.value or names[by], cells))
    return found


def _part_href(part: Part, by: str, gap: int, links: Links) -> str:
    """Those of a part who stopped in a gap; "" for nobody, and for what can't be asked for."""
    if not part.is_named or not part.dropped(gap):
        return ""
    if by == "error":
        return links.gap(gap, Reason(part.value, part.dropped(gap)))
    return links.gap(gap, of={by: part.value or "-"})


def code_rows(
    look: FunnelLook, codes: Sequence[CodeFigures], links: Links, recovered: Mapping[str, Recovery]
) -> list[CodeRow]:
    """The errors that met most people."""
    stops = look.stopped_by()
    found = []
    for each in codes[:CODES_SHOWN]:
        gaps = stops.get(each.error_code, [])
        is_named = each.error_code != OTHER
        found.append(
            CodeRow(
                each,
                tiny_bars(each.by_bucket),
                links.events(error=each.error_code) if is_named else "",
                tuple(
                    (people, look.told.steps[gap].label, links.gap(gap, Reason(each.error_code, people)))
                    for gap, people in gaps
                ),
                is_named,
                recovered.get(each.error_code),
            )
        )
    return found


def categories(told: Definition) -> list[str]:
    """The categories of a funnel's own events: "onboarding"."""
    return sorted({event.partition(".")[0] for step in told.steps for event in step.events})


def day_charts(told: Definition, seen: EventLook, links: Links, unfinished: bool) -> list[tuple[str, int, Chart]]:
    """(event types, how many in the period, chart) for the events of each step, and for errors."""
    period = seen.period
    wanted: list[tuple[str, list[int], list[int], list[str]]] = []
    for step in told.steps:
        if step.events and len(wanted) < CHARTS_MOST - 1:
            now, before = seen.counts(step.events), seen.counts_before(step.events)
            wanted.append((", ".join(step.events), now, before, links.bucket_events(**_evidence(step))))
    of = categories(told)
    error_links = links.bucket_events(show="errors", **({"category": of[0]} if len(of) == 1 else {}))
    wanted.append(("Errors", seen.error_counts(of), seen.error_counts_before(of), error_links))
    found = []
    for name, now, before, hrefs in wanted:
        chart = line_chart(
            tz=get_current_timezone(),
            label=f"{name} by {period.bucket}, {period.text}: {sum(now):,} events",
            at=period.buckets(),
            series=[Series("events", now, before if any(before) and is_covered(now, before) else ())],
            bucket=period.bucket,
            area=True,
            hrefs=hrefs,
            before=period.before_label,
            unfinished=unfinished,
            size="s",
            labels=False,
            empty="None in this period.",
        )
        found.append((name, sum(now), chart))
    return found


def cohort_rows(cohorts: Sequence[Cohort], links: Links) -> list[CohortRow]:
    """The newest last, as they came; those of nobody are left out."""
    found = []
    for each in cohorts:
        if not each.entered:
            continue
        cells = []
        for step in range(2, len(each.reached) + 1):
            share = each.conversion(step) or 0.0
            cells.append((share, min(HEATS - 1, int(share * HEATS)), links.span(each.start, each.end, gap=step - 1)))
        found.append(CohortRow(each, links.span(each.start, each.end), tuple(cells)))
    return found


@dataclass(frozen=True, slots=True)
class Stuck:
    """Somebody in the drawer: `href` to all that is known of them."""

    person: Dropped
    name: str
    href: str


def stuck(people: Sequence[Dropped], person_url: str, links: Links) -> list[Stuck]:
    """The drawer's people. `person_url`: the name of the page of one person."""
    found = []
    for each in people:
        if each.user_id is not None:
            name = each.name or each.email or f"{str(each.user_id)[:8]}, no such account"
            found.append(Stuck(each, name, reverse(person_url, args=[each.user_id])))
        else:
            session = each.session_id or ""
            name = f"Session{NBSP}{session[:12]}{'…' if len(session) > 12 else ''}"
            found.append(Stuck(each, name, links.events(session=session)))
    return found
