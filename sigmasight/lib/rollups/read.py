"""Reading figures: days, hours and minutes from cells, the rest from raw rows, and saying so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from psycopg import sql

from sigmasight.lib.periods import STEP, ceil, floor
from sigmasight.lib.rollups import state
from sigmasight.lib.rollups.compute import Span, compute
from sigmasight.lib.rollups.fill import minutes_from
from sigmasight.lib.rollups.spec import GRAINS, Cell, Grain, Measure, Rollup, binary_cursor, join, merge
from sigmasight.lib.rollups.store import MOMENT, level_column, moment, reader


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where figures come from.

    `as_of`: rows written until then are in, and of those after `filled_until` all that there are; None: all from raw
    rows, now. `cells` read by grain; `raw`: spans read from raw rows. `start`, `end`: the span covered; wider than
    what was asked for where cells are all that is left of it (`is_widened`). `bucket`: the largest cells among them;
    larger than what was asked for where nothing smaller is left.
    """

    start: dt.datetime
    end: dt.datetime
    as_of: dt.datetime | None
    filled_until: dt.datetime | None
    cells: Mapping[str, int] = field(default_factory=dict)
    raw: tuple[Span, ...] = ()
    is_widened: bool = False
    bucket: Grain = "day"

    @property
    def is_stale(self) -> bool:
        """Whether nobody has filled the roll-ups for a quarter of an hour."""
        return self.as_of is not None and dt.datetime.now(dt.UTC) - self.as_of > dt.timedelta(minutes=15)

    @property
    def in_words(self) -> str:
        """For a page's small print: "421 daily figures and the raw rows of 2 min"."""
        words = {"day": "daily", "hour": "hourly", "minute": "minutely"}
        cells = [f"{count:,} {words[grain]}" for grain, count in self.cells.items() if count]
        parts = [" and ".join(cells) + " figures"] if cells else []
        seconds = sum((end - start).total_seconds() for start, end in self.raw)
        if seconds:
            length = f"{seconds / 3600:,.0f} h" if seconds > 3 * 3600 else f"{max(1, seconds // 60):,.0f} min"
            parts.append(f"the raw rows of {length}")
        return " and ".join(parts) or "no rows"


@dataclass(frozen=True, slots=True)
class Reading:
    """Cells that cover a span once, and where they come from. Buckets of mixed grain, none larger than asked for; split
    by the dimensions of `level`, the others are ""."""

    rollup: Rollup
    cells: list[Cell]
    provenance: Provenance
    names: tuple[str, ...]
    level: int = 0

    def merged(
        self, by: Callable[[dt.datetime, tuple[str, ...]], Any], names: Iterable[str] | None = None
    ) -> dict[Any, dict[str, Any]]:
        """The measures' values by name, for each value of `by(at, key)`; `names`: only these measures."""
        return merge(self.rollup, self.cells, by, self.names if names is None else names)

    def joined(self, groups: Iterable[Mapping[str, Any]], names: Iterable[str] | None = None) -> dict[str, Any]:
        """Groups of `merged` as one; of nothing, what nothing comes to."""
        return join(self.rollup, groups, self.names if names is None else names)

    def total(self) -> dict[str, Any]:
        """The measures' values over everything."""
        return self.joined(self.merged(lambda at, key: None).values())

    def only(self, wanted: Callable[[tuple[str, ...]], bool]) -> Reading:
        """The part of it whose dimensions are wanted."""
        return replace(self, cells=[cell for cell in self.cells if wanted(cell.key)])


def read(
    rollup: Rollup,
    start: dt.datetime,
    end: dt.datetime,
    *,
    bucket: Grain = "day",
    by: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    given: Sequence[str] = (),
    using: str = "default",
) -> Reading:
    """The cells of [start, end), none larger than `bucket`.

    `by`: the dimensions to tell apart, all unless told; others may be told apart, too. `names`: only these measures.
    `where`: only cells whose dimension has that value; `given`: only those that have one of this dimension. Three
    statements, whatever the span (one more where a fill comes between); cost grows with cells, not with rows.
    """
    measures = rollup.picked(names)
    picked = tuple(measure.name for measure in measures)
    where = dict(where or {})
    level = rollup.level_for([*(rollup.dimensions if by is None else by), *where, *given])
    start, end = start.astimezone(dt.UTC), end.astimezone(dt.UTC)
    before = state.last_known(rollup.raw_table, using)
    if before.filled_until is None:
        cells = compute(
            rollup, [(start, end)], bucket, level=level, names=picked, where=where, given=given, using=using
        )
        told = Provenance(start, end, None, None, raw=((start, end),), bucket=bucket)
        return Reading(rollup, cells, told, picked, level)
    now = max(before.filled_until, dt.datetime.now(dt.UTC))
    start, end, is_widened = _widen(start, end, now)
    bucket = _left_of(bucket, start, now)
    while True:
        since = minutes_from(max(before.as_of or before.filled_until, before.filled_until))
        wanted = plan(start, end, bucket, before.filled_until, since)
        found, after, unfilled = _fetch(rollup, measures, level, wanted.cells, where, given, start, end, using)
        if after.filled_until is None:
            raise RuntimeError(f"{rollup.raw_table}: its fill state has gone while it was read")
        if after.filled_until == before.filled_until:
            break
        before = after  # a fill came between: the plan was for less than there is now
    spans = [*wanted.raw, *unfilled]
    if end > after.filled_until:
        spans.append((max(start, after.filled_until), end))
    spans = _joined(spans)
    kept = [(grain, cell) for grain, cell in found if not any(low <= cell.at < high for low, high in unfilled)]
    counts: dict[str, int] = {grain: sum(1 for each, _ in kept if each == grain) for grain in reversed(GRAINS)}
    cells = [cell for _, cell in kept]
    cells += compute(rollup, spans, bucket, level=level, names=picked, where=where, given=given, using=using)
    told = Provenance(start, end, after.as_of, after.filled_until, counts, tuple(spans), is_widened, bucket)
    return Reading(rollup, cells, told, picked, level)


def read_raw(
    rollup: Rollup,
    start: dt.datetime,
    end: dt.datetime,
    *,
    bucket: Grain = "day",
    by: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    where: Mapping[str, Any] | None = None,
    given: Sequence[str] = (),
    also: sql.Composable,
    params: dict[str, Any],
    using: str = "default",
) -> Reading:
    """The same from raw rows alone, for what cells can't tell apart: `also`, a condition on the raw rows."""
    picked = tuple(measure.name for measure in rollup.picked(names))
    level = rollup.level_for(rollup.dimensions if by is None else by)
    cells = compute(
        *(rollup, [(start, end)], bucket),
        level=level,
        names=picked,
        where=where,
        given=given,
        also=also,
        params=params,
        using=using,
    )
    told = Provenance(start, end, None, None, raw=((start, end),), bucket=bucket)
    return Reading(rollup, cells, told, picked, level)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which cells cover a span, as (grain, start, end), and which edges only raw rows can."""

    cells: list[tuple[Grain, dt.datetime, dt.datetime]]
    raw: list[Span]


def plan(
    start: dt.datetime,
    end: dt.datetime,
    bucket: Grain,
    filled_until: dt.datetime,
    minutes_since: dt.datetime,
) -> Plan:
    """Covers [start, end) with whole cells, the largest first, up to `bucket`.

    Cells hold nothing from `filled_until` on, so where the span reaches beyond, the bucket in which that lies counts
    as whole. Minutes before `minutes_since` have no cells.
    """
    wanted = Plan([], [])
    if start < min(end, filled_until):
        reach = ceil(filled_until, "day") if end >= filled_until else end
        _cover(start, reach, GRAINS[: GRAINS.index(bucket) + 1], minutes_since, wanted)
    wanted.raw[:] = [(low, min(high, end)) for low, high in wanted.raw if low < end]
    return wanted


def _cover(start: dt.datetime, end: dt.datetime, grains: Sequence[Grain], since: dt.datetime, into: Plan) -> None:
    if start >= end:
        return
    if not grains:
        into.raw.append((start, end))
        return
    grain = grains[-1]
    low, high = ceil(start, grain), floor(end, grain)
    if grain == "minute":
        low = max(low, since)
    if low >= high:
        _cover(start, end, grains[:-1], since, into)
        return
    _cover(start, low, grains[:-1], since, into)
    into.cells.append((grain, low, high))
    _cover(high, end, grains[:-1], since, into)


# Late rows of days before today are found at once, and counted a little later.
_AS_OF = sql.SQL("""
    LEAST(as_of, (
        SELECT min(marked_at) FROM rollup_marks
         WHERE source = %(source)s AND at > %(start)s - interval '1 hour'
           AND at < LEAST(%(end)s, date_trunc('day', filled_until, 'UTC'))
           AND NOT EXISTS (SELECT FROM rollup_days AS waiting
                            WHERE waiting.source = %(source)s AND waiting.filled_at IS NULL
                              AND waiting.date = (at AT TIME ZONE 'UTC')::date)))
""")


def _fetch(
    rollup: Rollup,
    measures: Sequence[Measure],
    level: int,
    wanted: Sequence[tuple[Grain, dt.datetime, dt.datetime]],
    where: Mapping[str, Any],
    given: Sequence[str],
    start: dt.datetime,
    end: dt.datetime,
    using: str,
) -> tuple[list[tuple[Grain, Cell]], state.FillState, list[Span]]:
    """The cells, and the state that they belong to, from one snapshot."""
    values: dict[str, Any] = {"source": rollup.raw_table, "first": start.date(), "last": end.date(), **where}
    values |= {"start": start, "end": end}
    pieces: list[sql.Composable] = []
    for number, (grain, low, high) in enumerate(wanted):
        values |= {f"grain{number}": grain, f"low{number}": low, f"high{number}": high}
        pieces.append(
            sql.SQL("(grain = {} AND at >= {} AND at < {})").format(
                *(sql.Placeholder(f"{name}{number}") for name in ("grain", "low", "high"))
            )
        )
    condition = sql.SQL(" OR ").join(pieces) if pieces else sql.SQL("FALSE")
    if rollup.subtotals:
        condition = sql.SQL("({}) AND level = {}").format(condition, sql.Literal(level))
    for name in where:
        condition = sql.SQL("({}) AND {} = {}").format(condition, sql.Identifier(name), sql.Placeholder(name))
    for name in given:
        condition = sql.SQL("({}) AND {} <> ''").format(condition, sql.Identifier(name))
    columns = (*rollup.dimensions, *(column for measure in measures for column in measure.columns))
    with binary_cursor(using) as cursor:
        cursor.execute(
            sql.SQL("""
            SELECT fill.filled_until, fill.as_of, fill.unfilled, grain, {level}, {at}{columns}
              FROM (SELECT {filled_until} AS filled_until, {as_of} AS as_of, ARRAY(
                        SELECT date FROM rollup_days WHERE source = %(source)s AND filled_at IS NULL
                           AND date BETWEEN %(first)s AND %(last)s
                           AND date < (filled_until AT TIME ZONE 'UTC')::date) AS unfilled
                      FROM rollup_sources WHERE name = %(source)s) AS fill
              LEFT JOIN {table} ON {condition}
            """).format(
                level=level_column(rollup),
                at=MOMENT.format(sql.SQL("at")),
                filled_until=MOMENT.format(sql.SQL("filled_until")),
                as_of=MOMENT.format(_AS_OF),
                columns=sql.SQL("").join([sql.SQL(", {}").format(sql.Identifier(each)) for each in columns]),
                table=sql.Identifier(rollup.table),
                condition=condition,
            ),
            values,
            binary=True,
        )
        rows = cursor.fetchall()
    filled_until, as_of, unfilled_days = rows[0][:3]
    read_cell = reader(rollup, measures, skip=4)
    cells = [(row[3], read_cell(row)) for row in rows if row[3] is not None]
    unfilled = []
    for day in unfilled_days:
        midnight = dt.datetime.combine(day, dt.time.min, dt.UTC)
        unfilled.append((max(midnight, start), min(midnight + STEP["day"], end)))
    told = state.FillState(moment(filled_until), None, None, moment(as_of))
    return cells, told, [each for each in unfilled if each[0] < each[1]]


def _widen(start: dt.datetime, end: dt.datetime, now: dt.datetime) -> tuple[dt.datetime, dt.datetime, bool]:
    """Edges moved outward to whole buckets where no raw rows are left to cut one, or no hours to cut a day."""
    raw_since = floor(now, "day") - settings.RETENTION_DAYS * STEP["day"]
    hours_since = floor(now, "day") - settings.ROLLUP_HOUR_DAYS * STEP["day"]
    new_start, new_end = start, end
    if start < raw_since:
        new_start = floor(start, "hour" if start >= hours_since else "day")
    if end < raw_since:
        new_end = ceil(end, "hour" if end >= hours_since else "day")
    return new_start, new_end, (new_start, new_end) != (start, end)


def _left_of(bucket: Grain, start: dt.datetime, now: dt.datetime) -> Grain:
    """The smallest cells not below `bucket` that a span from `start` on still has: minutes come from raw rows."""
    today = floor(now, "day")
    if bucket == "minute" and start < today - settings.RETENTION_DAYS * STEP["day"]:
        bucket = "hour"
    return "day" if bucket == "hour" and start < today - settings.ROLLUP_HOUR_DAYS * STEP["day"] else bucket


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Overlapping and touching spans as one."""
    joined: list[Span] = []
    for low, high in sorted(spans):
        if low >= high:
            continue
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return joined
