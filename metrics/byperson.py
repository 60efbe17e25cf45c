"""Tokens and cost by person: who used the models most in a period.

Few enough requests are read as they are: then the list is exact, of the very period, and may be filtered as one likes.
Of more, it is made of the days that `metrics.persondays` keeps: of whole UTC days, filtered by model at most, exact for
whoever is among the day's most every day, and "at least" for others, with the most that may be missing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from psycopg import sql

from metrics.ai import Look
from metrics.figures import AIFilter
from metrics.persondays import COLUMNS, MOST_KEPT, SUMS
from metrics.prices import Cost, Usage, cost, price_list
from metrics.rollups import CALL_NAME, CALLS
from sigmasight.lib.periods import STEP, Period, floor

# So many requests are read as they are: some 0.1 s.
MOST_READ = 25_000


@dataclass(frozen=True, slots=True)
class PersonUse:
    """What one person used. Tokens are sums over all their requests, failed ones too; None where nobody counted.
    `missing`: so many tokens more at most, 0 where all of it is exact. `share`: of the tokens of all, 0 to 1."""

    user_id: UUID
    requests: int
    failed: int
    input_tokens: int | None
    output_tokens: int | None
    tokens: int
    cost: Cost
    share: float | None
    missing: int = 0

    @property
    def error_rate(self) -> float | None:
        return self.failed / self.requests if self.requests else None

    @property
    def usd(self) -> Decimal | None:
        """What is known of the cost; None where nothing is."""
        return self.cost.usd if any(each.is_known for each in self.cost.by_model) else None


@dataclass(frozen=True, slots=True)
class PeopleUse:
    """The people with the most tokens of [start, end), the first first. `people`: how many there are to choose from.
    `as_of`: of days, when the newest of them was counted; None: read as they are. `uncounted`: days of the span that
    are missing. `problem`: in words, why there is no list."""

    start: dt.datetime
    end: dt.datetime
    rows: tuple[PersonUse, ...] = ()
    as_of: dt.datetime | None = None
    uncounted: int = 0
    problem: str = ""

    @property
    def last(self) -> dt.datetime:
        """A moment of its last day."""
        return self.end - dt.timedelta(microseconds=1)

    @property
    def most_kept(self) -> int:
        return MOST_KEPT


def top_people(look: Look, limit: int = 10) -> PeopleUse:
    """Who used most of what a look is at. Two queries where it is made of days, one otherwise (and those of a count
    where a tool is asked for)."""
    period, only = look.period, look.only
    if _to_read(look) <= MOST_READ and period.start >= _kept_since():
        return _read(period, only, limit, look)
    if only.tool or only.error:
        return PeopleUse(
            period.start,
            period.end,
            problem="Of so many requests people are told apart by model only: lift the filters of tool and error, or "
            f"choose a period of fewer than {MOST_READ:,} requests.",
        )
    return _of_days(period, only, limit)


def _to_read(look: Look) -> int:
    """How many rows a list read as they are has to look at: a tool's are found among all."""
    if not look.only.tool:
        return look.requests()
    return Look(look.period, replace(look.only, tool="")).requests()


def _kept_since() -> dt.datetime:
    return floor(dt.datetime.now(dt.UTC), "day") - dt.timedelta(days=settings.RETENTION_DAYS)


_TOP = sql.SQL("""
    WITH used AS MATERIALIZED ({used}), top AS (
        SELECT user_id, sum(tokens) FILTER (WHERE {wanted}) AS most FROM used GROUP BY user_id
        HAVING count(*) FILTER (WHERE {wanted}) > 0
         ORDER BY most DESC, sum(requests) FILTER (WHERE {wanted}) DESC, user_id LIMIT %(limit)s
    )
    SELECT user_id, model, date, {columns} FROM used JOIN top USING (user_id)
     ORDER BY most DESC, sum(requests) FILTER (WHERE {wanted}) OVER (PARTITION BY user_id) DESC, user_id, date, model
""")
_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))


def _read(period: Period, only: AIFilter, limit: int, look: Look) -> PeopleUse:
    where: list[sql.Composable] = [sql.SQL("created_at >= %(start)s AND created_at < %(end)s AND user_id IS NOT NULL")]
    if only.model:
        where.append(sql.SQL("model = %(model)s"))
    if only.error:
        where.append(sql.SQL("error_type = %(error)s"))
    if only.tool:
        where.append(
            sql.SQL("EXISTS (SELECT FROM jsonb_array_elements({calls}) AS each (call) WHERE {name} = %(tool)s)").format(
                calls=sql.SQL(CALLS), name=sql.SQL(CALL_NAME)
            )
        )
    used = sql.SQL(
        "SELECT user_id, model, (created_at AT TIME ZONE 'UTC')::date AS date, {sums} FROM ai_request_metrics"
        " WHERE {where} GROUP BY user_id, model, 3"
    ).format(sums=SUMS, where=sql.SQL(" AND ").join(where))
    values = {
        "start": period.start,
        "end": period.end,
        "model": only.model,
        "error": only.error,
        "tool": only.tool,
        "limit": limit,
    }
    rows = _fetch(_TOP.format(used=used, wanted=sql.SQL("TRUE"), columns=_COLUMNS), values)
    whole = look.tokens()
    return PeopleUse(period.start, period.end, _people(rows, whole))


def _of_days(period: Period, only: AIFilter, limit: int) -> PeopleUse:
    start = floor(period.start, "day")
    end = floor(period.end - dt.timedelta(microseconds=1), "day") + STEP["day"]
    values = {"first": start.date(), "after": end.date(), "model": only.model, "limit": limit}
    days = _fetch(
        sql.SQL("""
            SELECT date, counted_at, people > kept, least, tokens FROM ai_person_day_counts
             WHERE date >= %(first)s AND date < %(after)s
        """),
        values,
    )
    if not days:
        return PeopleUse(
            start, end, problem="Nobody has counted the people of these days yet: a worker does, each day."
        )
    used = sql.SQL("SELECT * FROM ai_person_days WHERE date >= %(first)s AND date < %(after)s")
    wanted = sql.SQL("model = %(model)s") if only.model else sql.SQL("TRUE")
    rows = _fetch(_TOP.format(used=used, wanted=wanted, columns=_COLUMNS), values)
    crowded = {day: least for day, _, is_crowded, least, _ in days if is_crowded}
    whole = None if only.model else sum(tokens for *_, tokens in days)
    return PeopleUse(
        start,
        end,
        _people(rows, whole, only.model, crowded),
        max(days)[1],
        (end - start).days - len(days),
    )


def _fetch(query: sql.Composable, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def _people(
    rows: list[tuple[Any, ...]],
    whole: int | None,
    model: str = "",
    crowded: Mapping[dt.date, int] | None = None,
) -> tuple[PersonUse, ...]:
    """Rows of (person, model, day, …), people in their order, as people; of `model` only. `crowded`: days of which not
    everybody has rows, and the most that somebody without may have used."""
    found: dict[UUID, list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    people, prices = [], price_list()
    for user_id, own in found.items():
        there = {row[2] for row in own}
        missing = sum(least for day, least in (crowded or {}).items() if day not in there)
        own = [row for row in own if not model or row[1] == model]
        sums = dict(zip(COLUMNS, (sum(row[3 + place] for row in own) for place in range(len(COLUMNS))), strict=True))
        people.append(
            PersonUse(
                user_id,
                sums["requests"],
                sums["failed"],
                sums["input_tokens"] if sums["input_counted"] else None,
                sums["output_tokens"] if sums["output_counted"] else None,
                sums["tokens"],
                cost([(_midnight(row[2]), row[1], _usage(row)) for row in own], prices),
                sums["tokens"] / whole if whole else None,
                missing,
            )
        )
    return tuple(people)


def _usage(row: tuple[Any, ...]) -> Usage:
    values = dict(zip(COLUMNS, row[3:], strict=True))
    return Usage(
        values["requests"],
        values["input_tokens"],
        values["cached_tokens"],
        values["output_tokens"],
        values["input_counted"],
        values["output_counted"],
    )


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.min, dt.UTC)
