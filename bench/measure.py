"""Times of calls and of bare statements, and whether both say the same."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from bench.databases import Pair, bare, use
from bench.queries import Query, Rows, registry

CALLS = 40
FLOOR_CALLS = 3
# A floor that takes longer is measured once: it will not come near.
PATIENCE = 20.0
# What a call may come to in all, so that one slow query does not hold up the rest.
CALL_BUDGET = 20.0


@dataclass(frozen=True, slots=True)
class Times:
    """Of some calls, in ms."""

    p50: float
    p95: float
    calls: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. Times in ms. `tenth`: the same at a tenth of the size; `floor`: the bare statement, the
    median; `problem`: what went wrong, or how the answers differ."""

    name: str
    kind: str
    ours: Times | None = None
    tenth: Times | None = None
    floor: float | None = None
    problem: str = ""

    @property
    def growth(self) -> float | None:
        """How many times as long as at a tenth of the size."""
        return self.ours.p50 / self.tenth.p50 if self.ours and self.tenth and self.tenth.p50 else None

    @property
    def faster(self) -> float | None:
        """How many times as fast as the bare statement."""
        return self.floor / self.ours.p50 if self.floor and self.ours and self.ours.p50 else None


def queries(until: dt.datetime, full: Pair, tenth: Pair | None, say: Callable[[str], None]) -> list[Figure]:
    """Every query at the full size, at a tenth, and as bare SQL. The sizes take turns, call by call, so that what else
    the machine does meets both alike."""
    found = []
    for query in registry():
        say(query.name)
        found.append(_figure(query, until, full, tenth))
    return found


def _figure(query: Query, until: dt.datetime, full: Pair, tenth: Pair | None) -> Figure:
    pairs = [full, *([tenth] if tenth else [])]
    try:
        answers = {}
        for pair in pairs:  # the warm-up
            use(pair)
            answers[pair.name] = query.call(until)
        taken: dict[str, list[float]] = {pair.name: [] for pair in pairs}
        begun = time.perf_counter()
        for _ in range(CALLS):
            for pair in pairs:
                use(pair)
                taken[pair.name].append(timed(lambda: query.call(until)))
            if time.perf_counter() - begun > CALL_BUDGET and len(taken[full.name]) >= FLOOR_CALLS:
                break
        floor, theirs = bare_floor(query, until, full)
    except Exception as error:  # one query that fails is a line of the table, not the end of it
        return Figure(query.name, query.kind, problem=f"{type(error).__name__}: {error}".splitlines()[0][:200])
    return Figure(
        query.name,
        query.kind,
        times(taken[full.name]),
        times(taken[tenth.name]) if tenth else None,
        floor,
        query.differs(answers[full.name], theirs) if theirs is not None else "",
    )


def bare_floor(query: Query, until: dt.datetime, pair: Pair) -> tuple[float | None, Rows | None]:
    """The fastest way of writing the bare statement: its median time in ms; and what the first one says, which is the
    exact one."""
    if not query.floor:
        return None, None
    with bare(pair, query.alias) as connection:
        first: list[tuple[float, str, Rows]] = []
        for statement in query.floor:
            begun = time.perf_counter()
            rows = _run(connection, query, statement, until)
            first.append((time.perf_counter() - begun, statement, rows))
        seconds, statement, _ = min(first, key=lambda each: each[0])
        rows = first[0][2]
        if seconds > PATIENCE:
            return seconds * 1000, rows
        return median(timed(lambda: _run(connection, query, statement, until)) * 1000 for _ in range(FLOOR_CALLS)), rows


def _run(connection: Any, query: Query, statement: str, until: dt.datetime) -> Rows:
    return list(connection.execute(statement, query.params(until)).fetchall())


def times(seconds: list[float]) -> Times:
    taken = [each * 1000 for each in seconds]
    return Times(median(taken), quantiles(taken, n=20)[-1] if len(taken) > 1 else taken[0], len(taken))


def timed(work: Callable[[], object]) -> float:
    """Seconds on the clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
