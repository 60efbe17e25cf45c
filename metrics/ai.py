"""What the AI did in a period: requests, latency, tokens, errors, models, tools.

Figures come from roll-ups (`metrics.rollups`) and cost the same at any number of requests; what only raw rows can
tell (one person's requests) comes from those. One definition for all of them:

* a request failed if it has an `error_type`; latency and first-token percentiles are over successful requests that
  have the measurement (`measured` says how many), as percentile_cont has them, in milliseconds, to within 1 %;
* tokens are summed over all requests, failed ones too; what was never counted (NULL) adds nothing;
* a tool call is one entry of `tool_calls`, in either of the contract's shapes. Filtered by a tool, figures are of the
  requests that called it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from psycopg import sql

from metrics.figures import (
    AIFilter,
    Bin,
    BucketFigures,
    ErrorFigures,
    ModelFigures,
    Percentiles,
    Summary,
    ToolBucket,
    ToolFigures,
)
from metrics.prices import MEASURES, Cost, cost_of
from metrics.rollups import REQUESTS, TOOLS
from sigmasight.lib.periods import Bucket, Period, floor
from sigmasight.lib.rollups.histogram import edge
from sigmasight.lib.rollups.read import Provenance, Reading, read, read_raw
from sigmasight.lib.rollups.spec import Rollup

EVERYTHING = AIFilter()
# Bins of the latency histogram: where they begin, in ms, at the borders of stored buckets that lie nearest to these.
LATENCY_EDGES = tuple(
    edge(near) for near in (250, 500, 750, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000, 16000, 24000, 32000, 60000)
)
_SUMMED = (
    *("requests", "failed", "with_tools", "tool_calls", "input_tokens", "input_counted", "output_tokens"),
    *("output_counted", "cached_tokens", "cached_counted", "tokens", "latency", "first_token", "people", "last_at"),
)
_BY_BUCKET = ("requests", "failed", "input_tokens", "output_tokens", "latency", "first_token")
_OF_MODELS = (*MEASURES, "failed", "latency", "first_token", "people")
# Whichever was read first says where its figures come from.
_READINGS = ("reading", "_by_model", "_failures", "_tools")
_OF_ERRORS = ("requests", "people", "last_at", "sample_at")


class Look:
    """One look at a period: the cells that a figure is made of are read once, at its first use. Of REQUESTS, or of
    TOOLS where a tool is asked for."""

    def __init__(
        self,
        period: Period,
        only: AIFilter = EVERYTHING,
        *,
        who_met_errors: bool = True,
        is_detailed: bool = False,
    ) -> None:
        """`who_met_errors`: count the people who met each error, which is most of what errors cost to read.
        `is_detailed`: models and errors are both wanted, and come from the same cells."""
        self._asked, self.only, self._is_detailed = period, only, is_detailed
        self._of_errors = _OF_ERRORS if who_met_errors else tuple(name for name in _OF_ERRORS if name != "people")

    @cached_property
    def period(self) -> Period:
        """The period that the figures are of: the one asked for, or, where of so long ago there are only whole hours or
        days, what of those covers it, cut as they are."""
        known = next((name for name in _READINGS if name in self.__dict__), "reading")
        told: Provenance = getattr(self, known).provenance
        return replace(self._asked, start=told.start, end=told.end, bucket=told.bucket)

    @cached_property
    def reading(self) -> Reading:
        """All requests together, bucket by bucket."""
        return self._all if self._all else self._read((), _SUMMED)

    @cached_property
    def _by_model(self) -> Reading:
        return self._all or self._detail or self._read(("model",), _OF_MODELS)

    @cached_property
    def _failures(self) -> Reading:
        """By model and error type; of what failed, and may be of what did not."""
        by = ("model", "error_type")
        return self._all or self._detail or self._read(by, self._of_errors, given=("error_type",))

    @cached_property
    def _detail(self) -> Reading | None:
        """By model and error type, of all requests, for a page that shows both."""
        return self._read(("model", "error_type"), (*_OF_MODELS, *self._of_errors)) if self._is_detailed else None

    @cached_property
    def _tools(self) -> Reading:
        """By tool, bucket by bucket."""
        return self._cells(TOOLS, ("tool",), ("calls", "failed_calls", "requests", "failed", "took"))

    @cached_property
    def _all(self) -> Reading | None:
        """All of it at once, where it has to come from raw rows: looked at once."""
        if self.only.user_id is None:
            return None
        names = {*_SUMMED, *_OF_MODELS, *_OF_ERRORS}
        return self._read(("model", "error_type"), tuple(names))

    def _read(self, by: Sequence[str], names: Sequence[str], given: Sequence[str] = ()) -> Reading:
        rollup = TOOLS if self.only.tool else REQUESTS
        known = {measure.name for measure in rollup.measures}
        return self._cells(rollup, by, [name for name in names if name in known], given)

    def _cells(self, rollup: Rollup, by: Sequence[str], names: Sequence[str], given: Sequence[str] = ()) -> Reading:
        return cells(rollup, self._asked, self._asked.bucket, self.only, by, names, given)

    def requests(self) -> int:
        """How many requests there are: less to read than a summary."""
        if "reading" not in self.__dict__:
            rollup = TOOLS if self.only.tool else REQUESTS
            total: int = cells(rollup, self._asked, "day", self.only, (), ("requests",)).total()["requests"]
            return total
        return int(self.reading.total()["requests"])

    def tokens(self) -> int:
        """Tokens of all requests: each one's total, else what was counted of it."""
        return int(self.reading.total()["tokens"])

    def summary(self) -> Summary:
        every = self.reading.total()
        return Summary(
            requests=every["requests"],
            failed=every["failed"],
            who=every["people"].count(),
            input_tokens=every["input_tokens"],
            output_tokens=every["output_tokens"],
            cached_tokens=every["cached_tokens"],
            with_tools=every["with_tools"],
            tool_calls=every.get("tool_calls", 0),
            latency=Percentiles.of(every["latency"]),
            first_token=Percentiles.of(every["first_token"]),
            last_at=every["last_at"][0] if every["last_at"] else None,
            input_counted=every["input_counted"],
            output_counted=every["output_counted"],
            cached_counted=every["cached_counted"],
            provenance=self.reading.provenance,
        )

    @cached_property
    def cost(self) -> Cost:
        """What the requests cost, by the prices that held on their days."""
        return cost_of(self._by_model, lambda at: floor(at, self.period.bucket))

    def by_bucket(self) -> list[BucketFigures]:
        """The figures of every bucket of the period, in order, empty ones included."""
        cut = self.period.bucket
        groups = self.reading.merged(lambda at, key: floor(at, cut), _BY_BUCKET)
        nothing = self.reading.joined((), _BY_BUCKET)
        found = []
        for at in self.period.buckets():
            every = groups.get(at, nothing)
            p50, p90, p95, p99 = every["latency"].percentiles((0.5, 0.9, 0.95, 0.99))
            first_p50, first_p90 = every["first_token"].percentiles((0.5, 0.9))
            found.append(
                BucketFigures(
                    at,
                    every["requests"],
                    every["failed"],
                    p50,
                    p95,
                    first_p50,
                    every["input_tokens"],
                    every["output_tokens"],
                    p90,
                    p99,
                    first_p90,
                )
            )
        return found

    def models(self) -> list[ModelFigures]:
        """The models side by side, the most used first."""
        groups = self._by_model.merged(lambda at, key: key[0])
        total = sum(group["requests"] for group in groups.values())
        found = []
        for model, every in groups.items():
            p50, p95 = every["latency"].percentiles((0.5, 0.95))
            found.append(
                ModelFigures(
                    model,
                    every["requests"],
                    every["requests"] / total,
                    every["failed"],
                    p50,
                    p95,
                    every["first_token"].percentile(0.5),
                    every["input_tokens"] if every["input_counted"] else None,
                    every["output_tokens"] if every["output_counted"] else None,
                    every["people"].count().count,
                )
            )
        return sorted(found, key=lambda each: (-each.requests, each.model))

    def errors(self, limit: int = 50) -> list[ErrorFigures]:
        """Failures by type and model, the most frequent first, with the newest sample of each."""
        return self._errors[:limit]

    @cached_property
    def _errors(self) -> list[ErrorFigures]:
        place, cut = self._failures.rollup.dimensions.index("error_type"), self.period.bucket
        reading = self._failures.only(lambda key: key[place] != "")
        failures = reading.merged(lambda at, key: (key[place], key[0]), self._of_errors)
        counted: dict[tuple[str, str], dict[dt.datetime, int]] = {}
        for cell in reading.cells:
            counts = counted.setdefault((cell.key[place], cell.key[0]), dict.fromkeys(self.period.buckets(), 0))
            counts[floor(cell.at, cut)] = counts.get(floor(cell.at, cut), 0) + cell.values["requests"][0]
        ordered = sorted(failures.items(), key=lambda item: (-item[1]["requests"], item[0]))
        return [
            ErrorFigures(
                error,
                model,
                group["requests"],
                group["people"].count().count if "people" in group else None,
                group["last_at"][0],
                (group["sample_at"][1] if group["sample_at"] else None) or "",
                group["sample_at"][2] if group["sample_at"] else None,
                tuple(counted[(error, model)].values()),
            )
            for (error, model), group in ordered
        ]

    def errors_by_bucket(self) -> dict[str, list[int]]:
        """For each error type, the most frequent first: failures in every bucket of the period."""
        by_type: dict[str, list[int]] = {}
        for each in self._errors:
            before = by_type.get(each.error_type, [0] * len(each.by_bucket))
            by_type[each.error_type] = [a + b for a, b in zip(before, each.by_bucket, strict=True)]
        return dict(sorted(by_type.items(), key=lambda item: (-sum(item[1]), item[0])))

    def latency_histogram(self) -> list[Bin]:
        """How the latencies of successful requests are distributed, in the bins of LATENCY_EDGES: exact counts."""
        every = self.reading.total()
        lows = (0, *LATENCY_EDGES)
        highs: tuple[int | None, ...] = (*LATENCY_EDGES, None)
        counts = every["latency"].bins(LATENCY_EDGES)
        return [Bin(low, high, count) for low, high, count in zip(lows, highs, counts, strict=True)]

    def tools(self) -> list[ToolFigures]:
        """The tools that were called, the most used first."""
        requests = self.requests()
        found = []
        for tool, every in self._tools.merged(lambda at, key: key[1]).items():
            p50, p95 = every["took"].percentiles((0.5, 0.95))
            found.append(
                ToolFigures(
                    tool,
                    every["calls"],
                    every["requests"],
                    every["requests"] / requests if requests else 0.0,
                    every["failed"],
                    every["failed_calls"],
                    p50,
                    p95,
                    every["took"].count,
                )
            )
        return sorted(found, key=lambda each: (-each.calls, each.name))

    def tools_by_bucket(self) -> dict[str, list[ToolBucket]]:
        """For each tool, the most called first: its calls in every bucket of the period."""
        cut, names = self.period.bucket, ("calls", "failed_calls")
        groups = self._tools.merged(lambda at, key: (key[1], floor(at, cut)), names)
        found: dict[str, list[ToolBucket]] = {}
        for tool in {tool for tool, _ in groups}:
            buckets = [groups.get((tool, at), {"calls": 0, "failed_calls": 0}) for at in self.period.buckets()]
            found[tool] = [ToolBucket(each["calls"], each["failed_calls"]) for each in buckets]
        return dict(sorted(found.items(), key=lambda item: (-sum(each.calls for each in item[1]), item[0])))


def cells(
    rollup: Rollup,
    period: Period,
    bucket: Bucket,
    only: AIFilter,
    by: Sequence[str],
    names: Sequence[str],
    given: Sequence[str] = (),
) -> Reading:
    """The requests that a filter lets through, as cells split by these dimensions: one person's come from raw rows."""
    where = {"model": only.model, "error_type": only.error, "tool": only.tool}
    where = {name: value for name, value in where.items() if value and name in rollup.dimensions}
    if only.user_id is None:
        return read(rollup, period.start, period.end, bucket=bucket, by=by, names=names, where=where, given=given)
    return read_raw(
        rollup,
        period.start,
        period.end,
        bucket=bucket,
        by=by,
        names=names,
        where=where,
        given=given,
        also=sql.SQL("user_id = %(user_id)s"),
        params={"user_id": only.user_id},
    )


def summary(period: Period, only: AIFilter = EVERYTHING) -> Summary:
    """The period's figures."""
    return Look(period, only).summary()


def by_bucket(period: Period, only: AIFilter = EVERYTHING) -> list[BucketFigures]:
    """The figures of every bucket of the period, in order, empty ones included."""
    return Look(period, only).by_bucket()


def models(period: Period, only: AIFilter = EVERYTHING) -> list[ModelFigures]:
    """The models side by side, the most used first."""
    return Look(period, only).models()


def tools(period: Period, only: AIFilter = EVERYTHING) -> list[ToolFigures]:
    """The tools that were called, the most used first."""
    return Look(period, only).tools()


def errors(period: Period, only: AIFilter = EVERYTHING, limit: int = 50) -> list[ErrorFigures]:
    """Failures by type and model, the most frequent first, with the newest sample of each."""
    return Look(period, only).errors(limit)


def errors_by_bucket(period: Period, only: AIFilter = EVERYTHING) -> dict[str, list[int]]:
    """For each error type, the most frequent first: failures in every bucket of the period."""
    return Look(period, only).errors_by_bucket()


def latency_histogram(period: Period, only: AIFilter = EVERYTHING) -> list[Bin]:
    """How the latencies of successful requests are distributed, in the bins of LATENCY_EDGES."""
    return Look(period, only).latency_histogram()


def known_models(period: Period) -> list[str]:
    """The models with requests in the period, by name."""
    reading = read(REQUESTS, period.start, period.end, by=("model",), names=("requests",))
    return sorted({cell.key[0] for cell in reading.cells})
