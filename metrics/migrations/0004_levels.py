"""Cells get subtotals of their own, and histograms one packed value instead of two arrays.

Cells whose raw rows are gone can't be computed anew: all of them are rewritten here, a bucket at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from sigmasight.lib.rollups.histogram import Histogram, pack
from sigmasight.lib.rollups.people import PeopleSet

HISTOGRAMS = {"AIRequestRollup": ("latency", "first_token"), "AIToolRollup": ("latency", "first_token", "took")}
SUMS = {
    "AIRequestRollup": ("requests", "failed", "with_tools", "tool_calls"),
    "AIToolRollup": ("calls", "failed_calls", "requests", "failed", "with_tools"),
}
TOKENS = tuple(f"{name}_{part}" for name in ("input", "output", "cached") for part in ("tokens", "counted"))
SHARED = (*TOKENS, "tokens", "tokens_counted")
SUBTOTALS = {"AIRequestRollup": ((), ("model",)), "AIToolRollup": (("tool",), ("model", "tool"))}
DIMENSIONS = {"AIRequestRollup": ("model", "error_type"), "AIToolRollup": ("model", "tool", "error_type")}


def convert(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for name in SUBTOTALS:
        cells = apps.get_model("metrics", name)
        rows = cells._default_manager.using(schema_editor.connection.alias).order_by("grain", "at", "id")
        # A list of a bucket's cells at a time; the server-side cursor goes on while we write.
        for _, bucket in groupby(rows.iterator(chunk_size=500), key=lambda row: (row.grain, row.at)):
            of_bucket = list(bucket)
            for row in of_bucket:
                row.failed = row.requests if row.error_type else 0
                for histogram in HISTOGRAMS[name]:
                    counts = zip(
                        getattr(row, f"{histogram}_keys") or (), getattr(row, f"{histogram}_counts") or (), strict=True
                    )
                    setattr(row, f"{histogram}_buckets", pack(dict(counts)))
            cells._default_manager.bulk_update(of_bucket, ["failed", *(f"{each}_buckets" for each in HISTOGRAMS[name])])
            cells._default_manager.bulk_create(subtotals(cells, name, of_bucket))


def subtotals(cells: Any, name: str, of_bucket: list[Any]) -> Iterator[Any]:
    for level, kept in enumerate(SUBTOTALS[name], 1):
        groups: dict[tuple[str, ...], list[Any]] = {}
        for row in of_bucket:
            groups.setdefault(tuple(getattr(row, each) for each in kept), []).append(row)
        for key, rows in groups.items():
            yield merged(cells, name, level, dict(zip(kept, key, strict=True)), rows)


def merged(cells: Any, name: str, level: int, key: dict[str, str], rows: list[Any]) -> Any:
    dimensions = {each: key.get(each, "") for each in DIMENSIONS[name]}
    one = cells(grain=rows[0].grain, at=rows[0].at, level=level, **dimensions)
    for each in (*SUMS[name], *SHARED):
        setattr(one, each, sum(getattr(row, each) for row in rows))
    for each in HISTOGRAMS[name]:
        found = Histogram()
        for row in rows:
            found.merge(*(getattr(row, f"{each}_{part}") for part in ("count", "sum", "min", "max", "buckets")))
        for part, value in zip(("count", "sum", "min", "max", "buckets"), found.columns(), strict=True):
            setattr(one, f"{each}_{part}", value)
    people = PeopleSet()
    for row in rows:
        people.merge(row.people)
    one.people = people.stored()
    one.last_at = max(row.last_at for row in rows)
    failed = [row for row in rows if row.sample_at]
    if failed:
        newest = max(failed, key=lambda row: row.sample_at)
        one.sample_at, one.sample_message = newest.sample_at, newest.sample_message
        one.sample_conversation = newest.sample_conversation
    return one


def added(name: str) -> Iterable[migrations.AddField]:
    yield migrations.AddField(name, "level", models.SmallIntegerField(default=0, db_default=0))
    yield migrations.AddField(name, "failed", models.BigIntegerField(default=0, db_default=0))
    for histogram in HISTOGRAMS[name]:
        yield migrations.AddField(name, f"{histogram}_buckets", models.BinaryField(null=True))


def replaced(name: str, constraint: str) -> Iterable[Any]:
    yield migrations.RemoveConstraint(name, constraint)
    fields = ["grain", "at", "level", *DIMENSIONS[name]]
    yield migrations.AddConstraint(name, models.UniqueConstraint(fields=fields, name=constraint))


def removed(name: str) -> Iterable[migrations.RemoveField]:
    for histogram in HISTOGRAMS[name]:
        for part in ("keys", "counts"):
            yield migrations.RemoveField(name, f"{histogram}_{part}")


class Migration(migrations.Migration):
    dependencies = [("metrics", "0003_daily_job")]

    operations = [
        *added("AIRequestRollup"),
        *added("AIToolRollup"),
        *replaced("AIRequestRollup", "uq_ai_request_rollup"),
        *replaced("AIToolRollup", "uq_ai_tool_rollup"),
        migrations.RunPython(convert, migrations.RunPython.noop, elidable=True),
        *removed("AIRequestRollup"),
        *removed("AIToolRollup"),
    ]
