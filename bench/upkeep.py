"""What keeping the figures costs: a day's roll-up, keeping up with writers, late rows, dropping a day, memory."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.numeric import Int8

from bench import generate
from bench.databases import BASE, Pair, bare, conninfo, environment, use
from bench.measure import timed

FILL_EVERY = 30.0
LATE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure. `asked`: what it may be at most; None where nothing is asked. `value` None: it failed, `note` how."""

    what: str
    value: float | None
    unit: str
    asked: float | None = None
    note: str = ""

    @property
    def shown(self) -> str:
        return "–" if self.value is None else f"{self.value:,.{0 if self.value >= 100 else 2}f} {self.unit}"

    @property
    def asked_shown(self) -> str:
        return "" if self.asked is None else f"≤ {self.asked:g} {self.unit}"

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "failed"
        return "" if self.asked is None else "ok" if self.value <= self.asked else "too much"


# The bare scans that the roll-up of a day is measured against: what the same rows come to by hour and dimension.
_PLAIN = """
    SELECT date_bin('1 hour', created_at, '2000-01-01 00:00+00'), model, COALESCE(error_type, ''), count(*),
           sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(total_latency_ms), max(total_latency_ms),
           sum(first_token_ms), max(created_at)
      FROM ai_request_metrics GROUP BY 1, 2, 3
"""
_SAME = """
    SELECT date_bin('1 hour', created_at, '2000-01-01 00:00+00'), model, COALESCE(error_type, ''), count(*),
           sum(input_tokens), sum(output_tokens), sum(cached_tokens), max(created_at), count(DISTINCT user_id),
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY total_latency_ms),
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY first_token_ms)
      FROM ai_request_metrics GROUP BY 1, 2, 3
"""
_TOOLS = """
    SELECT date_bin('1 hour', created_at, '2000-01-01 00:00+00'), model, COALESCE(error_type, ''), call ->> 'name',
           count(*), count(DISTINCT id), count(DISTINCT user_id), sum((call ->> 'duration_ms')::int),
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY (call ->> 'duration_ms')::int)
      FROM ai_request_metrics CROSS JOIN jsonb_array_elements(
           CASE WHEN jsonb_typeof(tool_calls) = 'array' THEN tool_calls ELSE tool_calls -> 'tools' END) AS call
     WHERE tool_calls IS NOT NULL GROUP BY 1, 2, 3, 4
"""


def one_day(pair: Pair, rows: int) -> list[Measured]:
    """The roll-up of one whole day of so many requests, in an empty database, beside bare scans of the same rows."""
    from metrics.rollups import REQUEST_SOURCE
    from sigmasight.lib.rollups import compute, fill, store

    now = dt.datetime.now(dt.UTC)
    size = generate.Size(round(rows * (generate.DAYS - 0.5)), 0, now)
    # As many as asked for on each whole day; three days ago is one, and is filled by hours.
    told = size.params(generate.DAYS - 4) | {"requests": Int8(rows)}
    with psycopg.connect(conninfo(pair.gondola), autocommit=True) as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(generate.REQUESTS, told)
        connection.execute("VACUUM ANALYZE ai_request_metrics")
    day = told["start"]
    use(pair)
    found = timed(lambda: fill.find(REQUEST_SOURCE, now))
    filled = timed(lambda: fill.fill(REQUEST_SOURCE, now, budget=None))
    steps = {}
    for rollup in REQUEST_SOURCE.rollups:
        steps[f"{rollup.name}, raw rows to hours"] = timed(
            lambda rollup=rollup: compute.compute(rollup, [(day, day + dt.timedelta(days=1))], "hour")  # type: ignore[misc]
        )
        parts = store.cells(rollup, "hour", day, day + dt.timedelta(days=1), "default")
        steps[f"{rollup.name}, hours to the day"] = timed(
            lambda rollup=rollup, parts=parts: list(store.merged_into(rollup, day, parts))  # type: ignore[misc]
        )
    with bare(pair) as connection:
        plain, same, tools = (
            min(timed(lambda each=each: connection.execute(each).fetchall()) for _ in range(3))  # type: ignore[misc]
            for each in (_PLAIN, _SAME, _TOOLS)
        )
    return [
        Measured(f"Roll-up of a day of {rows:,} requests", filled, "s", note=f"finding them before: {found:.2f} s"),
        *(Measured(f"  {name}", seconds, "s") for name, seconds in steps.items()),
        Measured("  bare GROUP BY: counts and sums", plain, "s"),
        Measured("  bare GROUP BY: the cells' percentiles and people", same, "s"),
        Measured("  bare GROUP BY: the tools' the same", tools, "s"),
        Measured("  roll-up / bare GROUP BYs of the same figures", filled / (same + tools), "×", 2.0),
        Measured("  roll-up / bare GROUP BY of counts and sums", filled / plain, "×"),
    ]


def keeping_up(pair: Pair, rate: int, seconds: float) -> list[Measured]:
    """The share of one core that filling, and refreshing the funnels, take while another process writes `rate` rows a
    second, a third of them requests. Both this process and its PostgreSQL backend count; the writer's do not."""
    from django.db import connection

    from activity.funnels.refresh import refresh
    from metrics.filling import fill_all

    jobs: dict[str, Callable[[], object]] = {"roll-ups": fill_all, "funnels": refresh}
    use(pair)
    for job in jobs.values():  # whatever came before
        job()
    with connection.cursor() as cursor:
        # Workers would do part of it beside the backend that is watched.
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    writer = subprocess.Popen(
        [sys.executable, "-m", "bench.writer", conninfo(pair.gondola), str(rate), str(seconds)],
        cwd=BASE,
        stdout=subprocess.PIPE,
    )
    spent = {name: [0.0, 0.0, 0.0] for name in jobs}  # Python, PostgreSQL, the longest pass
    try:
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            time.sleep(max(0.0, min(FILL_EVERY, begun + seconds - time.monotonic())))
            for name, job in jobs.items():
                ours, theirs = time.process_time(), _cpu_of(backend)
                taken = timed(job)
                python, postgres, longest = spent[name]
                spent[name] = [
                    python + time.process_time() - ours,
                    postgres + _cpu_of(backend) - theirs,
                    max(longest, taken),
                ]
        wall = time.monotonic() - begun
        out, _ = writer.communicate(timeout=60)
    finally:
        writer.kill()
    with connection.cursor() as cursor:
        cursor.execute("RESET max_parallel_workers_per_gather")
        cursor.execute("SELECT now() - %s * interval '1 second'", [time.monotonic() - begun])
        (since,) = cursor.fetchone()
        cursor.execute(
            "SELECT (SELECT COALESCE(sum(requests), 0) FROM ai_request_rollups WHERE grain = 'minute' AND at >= %(at)s)"
            " + (SELECT COALESCE(sum(events), 0) FROM active_rollups WHERE grain = 'minute' AND at >= %(at)s)",
            {"at": since - dt.timedelta(minutes=1)},
        )
        filled = int(cursor.fetchone()[0])
    return [
        Measured(
            f"Keeping up with {json.loads(out)['rate']:,.0f} rows/s: {name}",
            100 * (python + postgres) / wall,
            "% of a core",
            10.0,
            f"Python {100 * python / wall:.1f} %, PostgreSQL {100 * postgres / wall:.1f} %; longest {longest:.1f} s;"
            f" {filled:,} of {json.loads(out)['rows']:,} rows in cells",
        )
        for name, (python, postgres, longest) in spent.items()
    ]


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def late_rows(pair: Pair) -> list[Measured]:
    """Rows that a writer dates ten days back: how long until they are found, and until they are in the cells."""
    from metrics.rollups import REQUEST_SOURCE
    from sigmasight.lib.rollups import fill

    use(pair)
    with psycopg.connect(conninfo(pair.gondola), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO ai_request_metrics (conversation_id, message_id, model, total_latency_ms, created_at)"
            " SELECT gen_random_uuid(), gen_random_uuid(), 'gpt-5', 900, %s - random() * interval '20 hours'"
            "   FROM generate_series(1, %s)",
            [dt.datetime.now(dt.UTC) - dt.timedelta(days=10), LATE_ROWS],
        )
    now = dt.datetime.now(dt.UTC)
    found = timed(lambda: fill.find(REQUEST_SOURCE, now))
    replaced = timed(lambda: fill.fill(REQUEST_SOURCE, now, budget=None))
    return [
        Measured(f"{LATE_ROWS:,} rows of ten days ago: found", found * 1000, "ms"),
        Measured("  and their hours and days replaced", replaced, "s", 900.0),
    ]


def dropping(full: Pair, tenth: Pair | None) -> list[Measured]:
    """The oldest day of events goes, while somebody inserts into the newest: how long it takes, how long they wait."""
    found = []
    for pair in [full, *([tenth] if tenth else [])]:
        seconds, waited, rows = _drop_oldest(pair)
        name = f"Dropping a day of {rows:,} events"
        found += [
            Measured(name, seconds, "s", 0.3),
            Measured("  an INSERT beside it waits at most", waited * 1000, "ms", 100.0),
        ]
    return found


def _drop_oldest(pair: Pair) -> tuple[float, float, int]:
    from sigmasight.lib import partitions

    table = "user_activity_events"
    use(pair)
    today = dt.datetime.now(dt.UTC)
    with psycopg.connect(conninfo(pair.gondola), autocommit=True) as connection:
        for part in partitions.partitions(table):
            counted = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(part.name))
            (rows,) = connection.execute(counted).fetchone() or (0,)
            if rows and part.high < today:
                break
    over, longest = threading.Event(), [0.0]

    def insert() -> None:
        with psycopg.connect(conninfo(pair.gondola), autocommit=True) as connection:
            while not over.is_set():
                longest[0] = max(
                    longest[0],
                    timed(
                        lambda: connection.execute(
                            "INSERT INTO user_activity_events (event_type, event_category)"
                            " VALUES ('chat.bench', 'chat')"
                        )
                    ),
                )

    writer = threading.Thread(target=insert)
    writer.start()
    try:
        time.sleep(0.2)

        def drop() -> None:
            partitions.release(table, part.name)
            partitions.drop_released(table)

        seconds = timed(drop)
        time.sleep(0.2)
    finally:
        over.set()
        writer.join()
    return seconds, longest[0], int(rows)


def memory(pair: Pair, until: dt.datetime, cookie: str) -> list[Measured]:
    """What a web worker's process comes to when it has answered every query and page once."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.worker", until.isoformat(), cookie],
        cwd=BASE,
        env={**os.environ, **environment(pair)},
        stdout=subprocess.PIPE,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return [
        Measured(
            "Web worker's peak memory", told["after"], "MB", 200.0, f"{told['before']:.0f} MB before the first query"
        )
    ]


def sizes(pair: Pair) -> list[Measured]:
    """What is on disk: raw rows with their indexes, and cells."""
    with bare(pair) as connection:
        raw, cells = (
            connection.execute(
                "SELECT COALESCE(sum(pg_total_relation_size(c.oid)), 0) / 1e6 FROM pg_class c"
                " WHERE relkind = 'r' AND relname ~ %s",
                [pattern],
            ).fetchone()
            for pattern in ("^(ai_request_metrics|user_activity_events)_p", "_rollups$")
        )
    assert raw is not None
    assert cells is not None
    return [Measured("Raw rows on disk", float(raw[0]), "MB"), Measured("Cells on disk", float(cells[0]), "MB")]


def filling(pair: Pair, until: dt.datetime, rows: int) -> list[Measured]:
    """The first fill of everything there is. A minute is left out: it is what a reader finds raw."""
    from activity.funnels.refresh import refresh
    from metrics.filling import catch_up

    use(pair)
    seconds = timed(lambda: catch_up(until - dt.timedelta(minutes=1)))
    funnels = timed(lambda: refresh(until, budget=None))
    with bare(pair) as connection:
        connection.execute("VACUUM ANALYZE")
    return [
        Measured(f"First fill, {pair.name}", seconds, "s", note=f"{rows / seconds:,.0f} rows/s"),
        Measured(f"First refresh of the funnels, {pair.name}", funnels, "s"),
    ]


def renamed(measured: list[Measured], suffix: str) -> list[Measured]:
    return [replace(each, what=each.what + suffix) for each in measured]
