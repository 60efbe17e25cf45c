"""Every page of the product: how long the server takes for it, how many queries it makes, how much it sends.

Pages go through the whole WSGI application with a session's cookie, compressed as a browser gets them, and take turns
with `/admin/account`, the floor: what signing in, the frame of every page and compression cost anyway.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any
from unittest.mock import patch

import psycopg

from bench import browser
from bench.api import cpu_seconds, samples_of
from bench.measure import times
from bench.upkeep import Measured

P95_MS, QUERIES, KILOBYTES = 100.0, 12, 60.0
FLOOR = "/admin/account"
# At most so many calls, and no more than that many seconds, but a few in any case.
REPEATS, AT_LEAST, BUDGET = 40, 5, 10.0
PAGES = (
    "/admin",
    "/admin?period=30d",
    "/admin/users",
    "/admin/users?search=bench-123",
    "/admin/users/{user_id}",
    "/admin/onboarding",
    "/admin/onboarding?period=90d",
    "/admin/onboarding/events",
    "/admin/ai",
    "/admin/ai?period=30d",
    "/admin/ai/tuning",
    "/admin/ai/tuning/{conversation_id}",
    "/admin/ai/knowledge",
    "/admin/ai/memories",
    "/admin/ai/feedback",
    "/admin/batch",
    "/admin/system",
    "/admin/system/retention",
    "/admin/views",
)


def figures(say: Callable[[str], None], only: str = "") -> Iterator[Measured]:
    """Three lines for each page, on the pair in use: p95, queries to both databases, kB compressed. `only`: pages that
    have this in their address."""
    samples = samples_of()
    floors: list[float] = []
    for page in PAGES:
        if only in page:
            say(f"page: {page}")
            yield from measured(page, page.format(**samples), floors)
    found = times(floors)
    yield Measured(f"{FLOOR}, the floor of all, p95", found.p95, "ms", note=f"p50 {found.p50:.1f} ms")


def measured(name: str, path: str, floors: list[float]) -> Iterator[Measured]:
    """One page's lines."""
    try:
        browser.get(FLOOR)
        browser.get(path)
        queries, answer = _counted(path)
        ours: list[float] = []
        floor: list[float] = []
        work: list[float] = []
        begun = time.perf_counter()
        while len(ours) < REPEATS and (len(ours) < AT_LEAST or time.perf_counter() - begun < BUDGET):
            before = cpu_seconds()
            ours.append(_timed(path))
            work.append(cpu_seconds() - before)
            floor.append(_timed(FLOOR))
    except Exception as error:  # one page that fails is a line of the table, not the end of it
        yield Measured(f"{name}, p95", None, "ms", P95_MS, f"{type(error).__name__}: {error}".splitlines()[0][:200])
        return
    floors += floor
    found = times(ours)
    more = f"{median(work) * 1000:.1f} of CPU, × {found.p50 / median(floor) / 1000:.1f} of the floor"
    yield Measured(f"{name}, p95", found.p95, "ms", P95_MS, f"p50 {found.p50:.1f} ms, {more}")
    yield Measured(f"{name}, queries", queries, "", QUERIES)
    body = bytes(answer.content)
    plain = gzip.decompress(body) if answer.get("Content-Encoding") == "gzip" else body
    yield Measured(f"{name}, compressed", len(body) / 1000, "kB", KILOBYTES, f"{len(plain) / 1000:,.0f} kB of HTML")


def _counted(path: str) -> tuple[int, Any]:
    """How many statements the page sends to both databases, also past Django (whose log of queries misses those of the
    roll-ups' own cursor), and the answer."""
    plain, sent = psycopg.Cursor.execute, 0

    def execute(cursor: Any, *args: Any, **options: Any) -> Any:
        nonlocal sent
        sent += 1
        return plain(cursor, *args, **options)

    with patch.object(psycopg.Cursor, "execute", execute):
        answer = browser.get(path)
    return sent, answer


def _timed(path: str) -> float:
    begun = time.perf_counter()
    browser.get(path)
    return time.perf_counter() - begun
