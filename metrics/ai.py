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
from typing import Any

from psycopg import sql

from metrics.figures import AIFilter, Bin, BucketFigures, ErrorFigures, ModelFigures, Percentiles, Summary, ToolFigures
from metrics.prices import Cost, cost_of
from metrics.rollups import REQUESTS, TOOLS
from sigmasight.lib.periods import Bucket, Period, floor
from sigmasight.lib.rollups.histogram import edge
from sigmasight.lib.rollups.read import Reading, read, read_raw
from sigmasight.lib.rollups.spec import Rollup

EVERYTHING = AIFilter()
# Bins of the latency histogram: where they begin, in ms, at the borders of stored buckets that lie nearest to these.
LATENCY_EDGES = tuple(
    edge(near) for near in (250, 500, 750, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000, 16000, 24000, 32000, 60000)
)
_SUMMED = (
    *("requests", "with_tools", "input_tokens", "input_counted", "output_tokens", "output_counted"),
    *("cached_tokens", "cached_counted", "latency", "first_token", "last_at"),
)
_MEASURES = (*_SUMMED, "people", "sample_at")
_BY_BUCKET = ("requests", "input_tokens", "output_tokens", "latency", "first_token")


class Look:
    """One look at a period: its cells are read once, and every figure is made of them. Of REQUESTS, or of TOOLS where
    a tool is asked for."""

    def __init__(self, period: Period, only: AIFilter = EVERYTHING) -> None:
        self._asked, self.only = period, only

    @cached_property
    def period(self) -> Period:
        """The period that the figures are of: the one asked for, or, where of so long ago there are only whole hours or
        days, what of those covers it, cut as they are."""
        told = self.reading.provenance
        return replace(self._asked, start=told.start, end=told.end, bucket=told.bucket)

    @cached_property
    def reading(self) -> Reading:
        names = _MEASURES if self.only.tool else (*_MEASURES, "tool_calls")
        return _read(TOOLS if self.only.tool else REQUESTS, self._asked, self._asked.bucket, self.only, names)

    @cached_property
    def _error(self) -> int:
        return self.reading.rollup.dimensions.index("error_type")

    @cached_property
    def _groups(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By model and error type."""
        return self.reading.merged(lambda at, key: (key[0], key[self._error]))

    def summary(self) -> Summary:
        every = self.reading.joined(self._groups.values())
        failed = sum(group["requests"] for (_, error), group in self._groups.items() if error)
        return Summary(
            requests=every["requests"],
            failed=failed,
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
        return cost_of(self.reading, lambda at: floor(at, self.period.bucket))

    def by_bucket(self) -> list[BucketFigures]:
        """The figures of every bucket of the period, in order, empty ones included."""
        place, cut = self._error, self.period.bucket
        groups = self.reading.merged(lambda at, key: (floor(at, cut), key[place] != ""), _BY_BUCKET)
        found = []
        for at in self.period.buckets():
            sides = [groups[side] for side in ((at, False), (at, True)) if side in groups]
            every = self.reading.joined(sides, _BY_BUCKET)
            failed = groups[(at, True)]["requests"] if (at, True) in groups else 0
            p50, p95 = every["latency"].percentiles((0.5, 0.95))
            found.append(
                BucketFigures(
                    at,
                    every["requests"],
                    failed,
                    p50,
                    p95,
                    every["first_token"].percentile(0.5),
                    every["input_tokens"],
                    every["output_tokens"],
                )
            )
        return found

    def models(self) -> list[ModelFigures]:
        """The models side by side, the most used first."""
        total = sum(group["requests"] for group in self._groups.values())
        found = []
        for model in {model for model, _ in self._groups}:
            sides = {error: group for (name, error), group in self._groups.items() if name == model}
            every = self.reading.joined(sides.values())
            p50, p95 = every["latency"].percentiles((0.5, 0.95))
            found.append(
                ModelFigures(
                    model,
                    every["requests"],
                    every["requests"] / total,
                    sum(group["requests"] for error, group in sides.items() if error),
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
        failures = {(error, model): group for (model, error), group in self._groups.items() if error}
        counted: dict[tuple[str, str], dict[dt.datetime, int]] = {}
        place, cut = self._error, self.period.bucket
        for cell in self.reading.cells:
            if cell.key[place]:
                counts = counted.setdefault((cell.key[place], cell.key[0]), dict.fromkeys(self.period.buckets(), 0))
                counts[floor(cell.at, cut)] = counts.get(floor(cell.at, cut), 0) + cell.values["requests"][0]
        ordered = sorted(failures.items(), key=lambda item: (-item[1]["requests"], item[0]))
        return [
            ErrorFigures(
                error,
                model,
                group["requests"],
                group["people"].count().count,
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
        every = self.reading.joined(self._groups.values(), ("latency",))
        lows = (0, *LATENCY_EDGES)
        highs: tuple[int | None, ...] = (*LATENCY_EDGES, None)
        counts = every["latency"].bins(LATENCY_EDGES)
        return [Bin(low, high, count) for low, high, count in zip(lows, highs, counts, strict=True)]

    def tools(self) -> list[ToolFigures]:
        """The tools that were called, the most used first."""
        requests = sum(group["requests"] for group in self._groups.values())
        names = ("calls", "failed_calls", "requests", "took")
        reading = _read(TOOLS, self._asked, "day", self.only, names)
        groups = reading.merged(lambda at, key: (key[1], key[2] != ""))
        found = []
        for tool in {tool for tool, _ in groups}:
            sides = [groups[side] for side in ((tool, False), (tool, True)) if side in groups]
            every = reading.joined(sides)
            p50, p95 = every["took"].percentiles((0.5, 0.95))
            found.append(
                ToolFigures(
                    tool,
                    every["calls"],
                    every["requests"],
                    every["requests"] / requests if requests else 0.0,
                    groups[(tool, True)]["requests"] if (tool, True) in groups else 0,
                    every["failed_calls"],
                    p50,
                    p95,
                    every["took"].count,
                )
            )
        return sorted(found, key=lambda each: (-each.calls, each.name))


def _read(rollup: Rollup, period: Period, bucket: Bucket, only: AIFilter, names: Sequence[str]) -> Reading:
    where = {"model": only.model, "error_type": only.error, "tool": only.tool}
    where = {name: value for name, value in where.items() if value and name in rollup.dimensions}
    if only.user_id is None:
        return read(rollup, period.start, period.end, bucket=bucket, names=names, where=where)
    return read_raw(
        rollup,
        period.start,
        period.end,
        bucket=bucket,
        names=names,
        where=where,
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
    reading = read(REQUESTS, period.start, period.end, names=("requests",))
    return sorted({cell.key[0] for cell in reading.cells})
