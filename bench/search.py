"""How long a search across messages takes, of every kind, beside the bare query on the same index.

    from bench.search import search_results
    rows = search_results(1_000_000)

The floor is the least PostgreSQL can do to the same end: `SELECT id … WHERE words @@ query LIMIT 25` through the same
index, in whatever order, without rank, total, snippets; taken in turn with ours, as the machine may be noisy.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any, NamedTuple

from bench.searchtexts import COMMON, DAYS, HARD_PHRASE, HEAVY_USER, PHRASE, RARE, load

REPEATS = 21
WORDS = "to_tsvector('english', COALESCE(left(content, 100000), ''))"


class SearchFigure(NamedTuple):
    """One line: `ours` and `floor` are medians, `p95` is ours, all in ms."""

    name: str
    ours: float
    floor: float
    note: str
    p95: float


def search_results(messages: int) -> Iterator[SearchFigure]:
    """Loads so many messages into gondola, builds their index as on a database in use, and searches. Needs Django set
    up on migrated databases; what is in them stays."""
    now = dt.datetime.now(dt.UTC)
    with unindexed():
        load(messages, now)
        yield _index_built(messages)
    yield from search_figures(messages, now)


def search_figures(messages: int, now: dt.datetime, repeats: int = REPEATS) -> Iterator[SearchFigure]:
    """The figures, on messages that `bench.searchtexts.load` wrote before."""
    from activity.search import search

    month = dt.timedelta(days=30)
    then = now - dt.timedelta(days=DAYS // 2)
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("a rare word", RARE, {}),
        ("a rare word, best match", RARE, {"order": "best"}),
        ("a word in 30 %", COMMON, {}),
        ("a word in 30 %, best match", COMMON, {"order": "best"}),
        ("a word in 10 %", "volatility", {}),
        ("a word in 10 %, best match", "volatility", {"order": "best"}),
        ("two words", f"{COMMON} dividend", {}),
        ("two words, best match", f"{COMMON} dividend", {"order": "best"}),
        ("a phrase", f'"{PHRASE}"', {}),
        ("a phrase, best match", f'"{PHRASE}"', {"order": "best"}),
        ("a rare phrase of common words", f'"{HARD_PHRASE}"', {}),
        ("the beginning of a rare word", f"{RARE[:5]}*", {}),
        ("the beginning of a common word", f"{COMMON[:4]}*", {}),
        ("either word", f"{COMMON} or dividend", {}),
        ("one word without another", f"volatility -{COMMON}", {}),
        ("within a person", COMMON, {"user_ids": [HEAVY_USER]}),
        ("within a person, best match", COMMON, {"user_ids": [HEAVY_USER], "order": "best"}),
        ("within the last 30 days", COMMON, {"start": now - month, "end": now}),
        ("within 30 days of long ago", COMMON, {"start": then - month, "end": then, "order": "best"}),
        ("questions only", COMMON, {"roles": ["user"]}),
        ("nothing found", "xylophonist", {}),
    ]
    for name, text, asked in kinds:
        results = search(text, **asked)  # also warms what it needs
        ours, floors = [], []
        for _ in range(repeats):
            ours.append(_milliseconds(lambda text=text, asked=asked: search(text, **asked)))  # type: ignore[misc]
            floors.append(_milliseconds(lambda text=text: _floor(text)))  # type: ignore[misc]
        read = f", read {results.looked_at:,}" if results.looked_at is not None else ""
        yield SearchFigure(
            f"search: {name}",
            median(ours),
            median(floors),
            f"{results.total:,}{'+' if results.more else ''} of {messages:,}{read}",
            quantiles(ours, n=20)[-1],
        )


@contextmanager
def unindexed() -> Iterator[None]:
    """Without the search index; whatever happens within, it is there afterwards."""
    from activity.searchindex import NAME, ensure_search_index

    _run(f"DROP INDEX IF EXISTS {NAME}")
    try:
        yield
    finally:
        ensure_search_index()


def _index_built(messages: int) -> SearchFigure:
    """Beside reading a twentieth of the texts as words once, twenty times."""
    from activity.searchindex import ensure_search_index

    floor = 20 * _milliseconds(
        lambda: _run(f"SELECT count({WORDS}) FROM agent_messages TABLESAMPLE SYSTEM (5) REPEATABLE (1)")
    )
    ours = _milliseconds(ensure_search_index)
    return SearchFigure("search: index built concurrently", ours, floor, f"{messages:,} messages, once", ours)


def _floor(text: str) -> None:
    from activity.searchwords import understand

    _run(f"SELECT id FROM agent_messages WHERE {WORDS} @@ %s::tsquery LIMIT 25", [understand(text).indexed])


def _run(statement: str, params: list[Any] | None = None) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000
