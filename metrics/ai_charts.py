"""What only the AI page draws: percentile bands, first token, tools over time, the hours of the week."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.http import QueryDict
from django.utils.timezone import get_current_timezone

from metrics.figures import ToolBucket
from metrics.pages import Window, unmeasured
from metrics.weekhours import WeekHour, WeekHours
from sigmasight.lib.charts import Chart, Series, bar_chart, line_chart
from sigmasight.lib.charts.heat import Heat, HeatCell, heat
from sigmasight.lib.format import COUNT, MS, SHARE, Unit, count
from sigmasight.lib.periods import PERIOD_KEYS, STEP
from sigmasight.lib.zones import here

TOOLS_DRAWN = 4
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# A mean of few requests needs a decimal.
MEAN = Unit(lambda value: count(value, 1 if value is not None and 0 < value < 9.95 else 0), lambda _: (1, ""))


@dataclass(frozen=True, slots=True)
class HeatChoice:
    """One of the figures that the hours of the week may show."""

    key: str
    label: str
    sub: str


CHOICES = (
    HeatChoice("requests", "Requests", "mean in an hour"),
    HeatChoice("errors", "Error rate", "share that failed"),
    HeatChoice("latency", "p95", "to the last token, ± 1 %"),
)


def percentiles_chart(window: Window, hrefs: list[str]) -> Chart:
    """p50, p90 and p99 over time, with the band between them; the time before dashed behind p50 and p99."""
    return line_chart(
        tz=get_current_timezone(),
        label=f"Latency p50, p90 and p99 by {window.period.bucket}, {window.period.text}",
        at=[bucket.at for bucket in window.buckets],
        series=[
            Series("p50", window.series("p50"), window.previous("p50")),
            Series("p90", window.series("p90")),
            Series("p95", window.series("p95"), detail=True),
            Series("p99", window.series("p99"), window.previous("p99")),
        ],
        bucket=window.period.bucket,
        unit=MS,
        band=True,
        counts=window.series("requests"),
        counted="requests",
        hrefs=hrefs,
        before=window.before_label,
        unfinished=window.unfinished,
        empty=unmeasured(window),
    )


def first_token_chart(window: Window, hrefs: list[str]) -> Chart:
    """The time to the first token over time, p50 to p90."""
    return line_chart(
        tz=get_current_timezone(),
        label=f"Time to the first token, p50 and p90 by {window.period.bucket}, {window.period.text}",
        at=[bucket.at for bucket in window.buckets],
        series=[
            Series("p50", window.series("first_p50"), window.previous("first_p50")),
            Series("p90", window.series("first_p90"), window.previous("first_p90")),
        ],
        bucket=window.period.bucket,
        unit=MS,
        band=True,
        hrefs=hrefs,
        before=window.before_label,
        unfinished=window.unfinished,
        empty="No request carries a time to its first token.",
    )


def tool_charts(window: Window, tools: dict[str, list[ToolBucket]], hrefs: list[str]) -> tuple[Chart, Chart]:
    """Calls of the most used tools, the others as one, stacked; and the share of calls that failed: of all, and to read
    of each."""
    drawn = dict(list(tools.items())[:TOOLS_DRAWN])
    rest = list(tools.values())[TOOLS_DRAWN:]
    if rest:
        name = "others" if len(rest) > 1 else list(tools)[-1]
        drawn[name] = [
            ToolBucket(sum(each.calls for each in column), sum(each.failed_calls for each in column))
            for column in zip(*rest, strict=True)
        ]
    at = [bucket.at for bucket in window.buckets]
    cut, text = window.period.bucket, window.period.text
    calls = bar_chart(
        tz=get_current_timezone(),
        label=f"Tool calls by tool and {cut}, {text}",
        at=at,
        series=[Series(name, [each.calls for each in values]) for name, values in drawn.items()],
        bucket=cut,
        unit=COUNT,
        hrefs=hrefs,
        unfinished=window.unfinished,
        total="calls",
        empty="No tool calls in this period.",
    )
    every = [
        ToolBucket(sum(each.calls for each in column), sum(each.failed_calls for each in column))
        for column in zip(*tools.values(), strict=True)
    ]
    # Where none failed, a line at zero would hide that most calls say nothing of it.
    series = [Series("all", [each.failed_share for each in every])]
    series += [Series(name, [each.failed_share for each in values], detail=True) for name, values in drawn.items()]
    failed = line_chart(
        tz=get_current_timezone(),
        label=f"Share of failed tool calls by {cut}, {text}",
        at=at,
        series=series if any(each.failed_calls for each in every) else [],
        bucket=cut,
        unit=SHARE,
        area=True,
        counts=[each.calls for each in every],
        counted="calls",
        hrefs=hrefs,
        unfinished=window.unfinished,
        empty="No tool call of this period says that it failed.",
    )
    return calls, failed


def heat_chart(hours: WeekHours, choice: HeatChoice, query: QueryDict, tz: dt.tzinfo = dt.UTC) -> Heat:
    """The week by weekday and hour; each square leads to the newest such hour."""
    value = {"requests": "mean", "errors": "error_rate", "latency": "p95"}[choice.key]
    by_place = {(each.weekday, each.hour): each for each in hours.hours}
    rest = query.copy()
    for key in PERIOD_KEYS:
        rest.pop(key, None)
    kept = f"{rest.urlencode()}&" if rest else ""
    cells = [
        [
            HeatCell(getattr(each, value), _head(each), _hour_href(each, kept))
            if (each := by_place.get((weekday, hour)))
            else HeatCell(None, f"{DAYS[weekday]} {hour:02}:00")
            for hour in range(24)
        ]
        for weekday in range(7)
    ]
    return heat(
        label=f"{choice.label} by weekday and hour, {span_text(hours)} {here(hours.end):%Y, %Z}",
        rows=DAYS,
        columns=[f"{hour:02}:00" for hour in range(24)],
        ticks=[f"{hour:02}" if hour % 3 == 0 else "" for hour in range(24)],
        cells=cells,
        unit={"requests": MEAN, "errors": SHARE, "latency": MS}[choice.key],
        from_zero=choice.key != "latency",
        first_column=f"Hour, {dt.datetime.now(tz):%Z}",
        empty=_nothing(hours, choice),
    )


def span_text(hours: WeekHours) -> str:
    """The days that it is of: "3 Nov – 30 Nov"."""
    first, last = here(hours.start), here(hours.end - dt.timedelta(microseconds=1))
    return f"{first.day} {first:%b} – {last.day} {last:%b}"


def _head(each: WeekHour) -> str:
    times = f"{each.times} {DAYS[each.weekday]}{'s' if each.times != 1 else ''}"
    return f"{DAYS[each.weekday]} {each.hour:02}:00, {each.requests:,} requests on {times}"


def _hour_href(each: WeekHour, kept: str) -> str:
    """The page of the newest such hour; `kept`: the rest of its query."""
    if each.last is None or not each.requests:
        return ""
    after = each.last + STEP["hour"]
    return f"?{kept}period=custom&from={each.last:%Y-%m-%dT%H:%M}&to={after:%Y-%m-%dT%H:%M}"


def _nothing(hours: WeekHours, choice: HeatChoice) -> str:
    if not hours.hours:
        return "No whole hour with requests yet."
    return {"errors": "No request failed in these hours."}.get(choice.key, "Nothing was measured in these hours.")
