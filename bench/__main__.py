"""Measures every query against the bare SQL over raw rows and against itself at a tenth of the size, and the upkeep.

`make bench REQUESTS=1_000_000 EVENTS=2_000_000 ARGS="--only queries --json figures.json"`. The machine may be noisy:
sizes take turns call by call, and ratios say more than times. PostgreSQL is the tests' own, thrown away at the end:
256 MB of shared buffers, no fsync. Nothing here is asserted; what misses its mark says so in the last column.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console

from bench import api, browser, databases, generate, loading, measure, pages, table, upkeep
from bench.measure import Figure
from bench.upkeep import Measured

SEARCH_MS = 100.0
SECTIONS = ("queries", "pages", "api", "memory", "late", "keepup", "drop", "rollup", "search", "loading")


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 170)
    progress = Console(stderr=True, width=120)
    # As Ctrl-C does: through every `finally`.
    signal.signal(signal.SIGTERM, _stopped)
    begun = time.monotonic()

    def say(what: str) -> None:
        progress.print(f"[dim]{time.monotonic() - begun:6.0f} s  {what}[/dim]", highlight=False)

    try:
        with databases.django_on("empty") as (made, empty):
            figures, measured = run(options, made, empty, say)
    except KeyboardInterrupt:
        progress.print("Stopped; what was made is removed.")
        return 130
    about = surroundings(options)
    console.print(", ".join(f"{name} {value}" for name, value in about.items()), highlight=False)
    if figures:
        table.show_queries(figures, console)
    if measured:
        table.show_measured(measured, console)
    if options.json:
        options.json.write_text(
            json.dumps(
                {
                    "about": about,
                    "queries": [
                        {**asdict(each), "growth": each.growth, "faster": each.faster, "verdict": table.verdict(each)}
                        for each in figures
                    ],
                    "measured": [{**asdict(each), "verdict": each.verdict} for each in measured],
                },
                indent=2,
            )
        )
    return 1 if any(each.ours is None for each in figures) or any(each.value is None for each in measured) else 0


def run(
    options: argparse.Namespace, made: databases.Databases, empty: databases.Pair, say: Callable[[str], None]
) -> tuple[list[Figure], list[Measured]]:
    """Whatever was asked for, on pairs copied from the empty one."""
    from django.db import connections

    cookie = browser.sign_in()
    browser.resume(cookie)
    connections.close_all()
    figures: list[Figure] = []
    measured: list[Measured] = []
    asked = [section for section in SECTIONS if section in options.only]
    sections: dict[str, Callable[[], Iterable[Measured]]] = {
        "rollup": lambda: upkeep.one_day(made.pair("day", like=empty), options.day_rows),
        "search": lambda: _search(made.pair("search", like=empty), options.messages),
        "loading": lambda: loading.loading(
            made.pair("loading", like=empty), options.demo_rows // 3, options.demo_rows * 2 // 3, options.chats
        ),
    }
    if not set(asked) <= set(sections):
        size = generate.Size(options.requests, options.events, dt.datetime.now(dt.UTC))
        full = _filled(made, empty, "full", size, measured, say)
        tenth = _filled(made, empty, "tenth", size.tenth(), measured, say) if options.tenth else None
        if "queries" in asked:
            figures += measure.queries(size.until, full, tenth, say)

        @cache
        def talk() -> None:
            say("messages, batch runs, feedback, annotations, memories, documents")
            api.fill(full, size)

        sections |= {
            "pages": lambda: _talked(talk, pages.figures, say),
            "api": lambda: _talked(talk, api.figures, say),
            "memory": lambda: upkeep.memory(full, size.until, cookie),
            "late": lambda: upkeep.late_rows(full),
            "keepup": lambda: upkeep.keeping_up(full, options.rate, options.seconds),
            "drop": lambda: upkeep.dropping(full, tenth),
        }
    for name in asked:
        if name in sections:
            say(name)
            try:
                measured += sections[name]()
            except Exception as error:  # the others' figures are worth having all the same
                measured.append(Measured(name, None, "", note=f"{type(error).__name__}: {error}".splitlines()[0]))
    return figures, measured


def _filled(
    made: databases.Databases,
    empty: databases.Pair,
    name: str,
    size: generate.Size,
    measured: list[Measured],
    say: Callable[[str], None],
) -> databases.Pair:
    """A pair of that size, with its cells."""
    needed = (size.requests + size.events) * databases.BYTES_PER_ROW + databases.SPARE
    if made.free_bytes() < needed:
        raise SystemExit(
            f"{size.requests:,} requests and {size.events:,} events need {needed / 1e9:.0f} GB of disk, and "
            f"{made.free_bytes() / 1e9:.0f} are free: make room, or take fewer, as in REQUESTS=100_000 EVENTS=200_000."
        )
    say(f"{name}: {size.requests:,} requests, {size.events:,} events, {size.users:,} people")
    pair = made.pair(name, like=empty)
    rows = size.requests + size.events
    seconds = measure.timed(
        lambda: generate.everything(databases.conninfo(pair.gondola), databases.conninfo(pair.metro), size)
    )
    measured.append(Measured(f"Making raw rows, {name}", rows / seconds, "rows/s", note="indexes and VACUUM included"))
    say(f"{name}: filling")
    measured += upkeep.filling(pair, size.until, rows)
    measured += upkeep.renamed(upkeep.sizes(pair), f", {name}")
    return pair


def _talked(
    talk: Callable[[], None], figures: Callable[[Callable[[str], None]], Iterable[Measured]], say: Callable[[str], None]
) -> Iterable[Measured]:
    talk()
    return figures(say)


def _search(pair: databases.Pair, messages: int) -> list[Measured]:
    from bench.search import search_results

    databases.use(pair)
    return [
        Measured(
            f"{each.name}, p95",
            each.p95,
            "ms",
            None if "index" in each.name else SEARCH_MS,
            f"bare: {each.floor:,.1f} ms. {each.note}",
        )
        for each in search_results(messages)
    ]


def surroundings(options: argparse.Namespace) -> dict[str, Any]:
    """What a figure depends on beside the code."""
    from sigmasight.local.postgres import COMMON

    return {
        "requests": f"{options.requests:,}",
        "events": f"{options.events:,}",
        "on": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "cores": os.cpu_count(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "shared_buffers": COMMON["shared_buffers"],
        "work_mem": f"{COMMON['work_mem']} (bare SQL: 256MB)",
    }


def _number(text: str) -> int:
    value = int(text.replace(",", "_"))
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: one at least")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--requests", type=_number, default=1_000_000, help="AI requests of 30 days")
    parser.add_argument("--events", type=_number, default=2_000_000, help="activity events of 30 days")
    parser.add_argument("--tenth", action=argparse.BooleanOptionalAction, default=True, help="a tenth of the size, too")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="these sections")
    parser.add_argument("--day-rows", type=_number, default=300_000, help="requests of the day that is rolled up")
    parser.add_argument("--rate", type=_number, default=2000, help="rows a second to keep up with")
    parser.add_argument("--seconds", type=float, default=150.0, help="how long to keep up")
    parser.add_argument("--messages", type=_number, default=1_000_000, help="messages to search")
    parser.add_argument("--demo-rows", type=_number, default=300_000, help="rows for seed_demo")
    parser.add_argument("--chats", type=_number, default=5_000, help="conversations to import")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    return parser


def _stopped(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
