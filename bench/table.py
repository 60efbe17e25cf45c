"""The table, and what the issue asks for beside it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from bench.measure import Figure
from bench.upkeep import Measured

P95_MS, GROWTH, FASTER = 50.0, 1.3, 20.0
ASKED_FASTER = ("percentiles", "tools", "funnel")


def verdict(figure: Figure) -> str:
    """ "ok", or what the figure misses. Of a page nothing is asked but to be quick and to stay so."""
    if figure.problem:
        return figure.problem
    missed = []
    if figure.ours and figure.ours.p95 > P95_MS and figure.kind != "page":
        missed.append(f"p95 > {P95_MS:.0f} ms")
    # Below a millisecond a call costs what a call costs.
    if figure.growth and figure.growth > GROWTH and figure.ours and figure.ours.p50 > 1:
        missed.append(f"grows × {figure.growth:.2f} > {GROWTH}")
    if figure.kind in ASKED_FASTER and figure.faster and figure.faster < FASTER:
        missed.append(f"only {figure.faster:.0f} × faster")
    return ", ".join(missed) or "ok"


def show_queries(figures: Iterable[Figure], console: Console) -> None:
    table = Table(
        "query", "p50 ms", "p95 ms", "tenth p50", "tenth p95", "grows", "bare SQL ms", "faster", "verdict", box=None,
        pad_edge=False,
    )  # fmt: skip
    for column in table.columns[1:-1]:
        column.justify = "right"
    for each in figures:
        ours, tenth = each.ours, each.tenth
        table.add_row(
            each.name,
            f"{ours.p50:,.1f}" if ours else "–",
            f"{ours.p95:,.1f}" if ours else "–",
            f"{tenth.p50:,.1f}" if tenth else "–",
            f"{tenth.p95:,.1f}" if tenth else "–",
            f"× {each.growth:.2f}" if each.growth else "–",
            f"{each.floor:,.0f}" if each.floor else "–",
            f"{each.faster:,.0f} ×" if each.faster else "–",
            verdict(each),
        )
    console.print(table)


def show_measured(measured: Iterable[Measured], console: Console) -> None:
    table = Table("what", "measured", "asked", "verdict", "", box=None, pad_edge=False)
    for column in table.columns[1:3]:
        column.justify = "right"
    for each in measured:
        table.add_row(each.what, each.shown, each.asked_shown, each.verdict, each.note)
    console.print(table)
