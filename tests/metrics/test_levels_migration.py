"""Cells from before there were subtotals: migrated, they say what they said, and more."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from metrics.rollups import REQUEST_SOURCE, REQUESTS, TOOLS
from sigmasight.lib.rollups.fill import fill
from sigmasight.lib.rollups.histogram import Histogram
from sigmasight.lib.rollups.read import read
from tests.factories.metrics import random_requests
from tests.lib.rollups.oracle import told

NOW = dt.datetime.now(dt.UTC).replace(hour=12, minute=34, second=0, microsecond=0) - dt.timedelta(days=1)
START = NOW - dt.timedelta(days=3)
ARRAYS = {"ai_request_rollups": ("latency", "first_token"), "ai_tool_rollups": ("latency", "first_token", "took")}


def migrate(name: str | None = None) -> None:
    """To this migration of the app, or all the way."""
    executor = MigrationExecutor(connection)
    executor.migrate([("metrics", name)] if name else executor.loader.graph.leaf_nodes("metrics"))


def figures() -> list[object]:
    asked = [(REQUESTS, None), (REQUESTS, ()), (REQUESTS, ("model",)), (TOOLS, None), (TOOLS, ("tool",))]
    return [told(read(rollup, START, NOW, by=by), "day") for rollup, by in asked]


@pytest.mark.django_db(transaction=True)
def test_it_keeps_every_figure_and_adds_the_subtotals() -> None:
    random_requests(random.Random(11), 300, START, NOW)
    fill(REQUEST_SOURCE, NOW, budget=None)
    before = figures()
    try:
        with connection.cursor() as cursor:
            stored = {}
            for table, names in ARRAYS.items():
                cursor.execute(f"DELETE FROM {table} WHERE level > 0")
                for name in names:
                    cursor.execute(f"SELECT id, {name}_buckets FROM {table} WHERE {name}_buckets IS NOT NULL")
                    stored[table, name] = cursor.fetchall()
        migrate("0003_daily_job")
        with connection.cursor() as cursor:
            for (table, name), rows in stored.items():
                for id_, packed in rows:
                    counts = Histogram()
                    counts.put_packed(packed, 1)
                    cursor.execute(
                        f"UPDATE {table} SET {name}_keys = %s, {name}_counts = %s WHERE id = %s",
                        [list(counts.counts), list(counts.counts.values()), id_],
                    )
    finally:
        migrate()
    assert figures() == before
