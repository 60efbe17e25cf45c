"""Every query of the bench comes to what its bare statement comes to; and the table says what is missed."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
from django.db import connections
from rich.console import Console

from activity.funnels.refresh import refresh
from bench import generate, table
from bench.measure import Figure, Times, times
from bench.queries import registry
from bench.upkeep import Measured
from metrics.filling import catch_up

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


def test_each_query_says_the_same_as_its_bare_statements():
    size = generate.Size(4000, 8000, dt.datetime.now(dt.UTC))
    for alias in ("default", "metro"):
        connections[alias].ensure_connection()
    gondola: Any = connections["default"].connection
    for make in (generate.people, generate.events, generate.requests):
        make(gondola, size)
    generate.feedback(connections["metro"].connection, size)
    catch_up(size.until - dt.timedelta(minutes=1))
    refresh(size.until, budget=None)
    compared = 0
    for query in registry():
        if query.rows is None:
            continue
        with connections[query.alias].cursor() as cursor:
            cursor.execute(query.floor[0], query.params(size.until))
            assert query.differs(query.call(size.until), cursor.fetchall()) == "", query.name
        compared += 1
    assert compared > 12


def test_a_query_that_says_something_else_is_told_of():
    query = next(query for query in registry() if query.name == "Thumbs by day")
    at = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)

    class Thumbs:
        total = 100

    assert query.differs([(at, Thumbs())], [(at, 101)]) == ""
    assert "instead of" in query.differs([(at, Thumbs())], [(at, 110)])
    assert query.differs([(at, Thumbs())], []) == "1 rows instead of 0"


def test_the_verdict_names_each_figure_that_misses_its_mark():
    quick, slow = Times(5, 8, 40), Times(40, 70, 40)
    assert table.verdict(Figure("a", "percentiles", quick, quick, 200)) == "ok"
    said = table.verdict(Figure("b", "percentiles", slow, quick, 200))
    assert said == "p95 > 50 ms, grows × 8.00 > 1.3, only 5 × faster"
    assert table.verdict(Figure("c", "page", slow)) == "ok"
    assert table.verdict(Figure("d", "other", problem="it fell over")) == "it fell over"
    assert Measured("e", 0.4, "s", 0.3).verdict == "too much"
    assert Measured("f", None, "", note="it fell over").verdict == "failed"


def test_the_table_shows_every_line_also_those_without_figures():
    out = io.StringIO()
    console = Console(file=out, width=200)
    table.show_queries(
        [Figure("a query", "other", problem="it fell over"), Figure("b query", "other", times([0.1]))], console
    )
    table.show_measured([Measured("memory", 93.5, "MB", 200.0, "a note"), Measured("late", None, "")], console)
    shown = out.getvalue()
    for text in ("a query", "it fell over", "b query", "100.0", "93.50 MB", "≤ 200 MB", "a note", "failed"):
        assert text in shown
