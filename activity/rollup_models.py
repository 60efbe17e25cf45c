"""How far roll-ups are filled, and the cells of activity's own (`activity.rollups` declares them).

Cells are computed from raw rows and replaced at will: nobody but `sigmasight.lib.rollups` writes them.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from sigmasight.lib.dbfields import created_now

GRAIN_CHECK = models.Q(grain__in=["minute", "hour", "day"])


class RollupSource(models.Model):
    """A raw table whose roll-ups are kept. Cells hold every row before `filled_until` that was written by `as_of`."""

    name = models.CharField(max_length=63, primary_key=True)
    # All transactions below are over and were seen; above, those that the snapshot tells.
    watermark = models.BigIntegerField(null=True)
    snapshot = models.TextField(null=True)
    found_at = models.DateTimeField(null=True)
    found_until = models.DateTimeField(null=True)
    filled_until = models.DateTimeField(null=True)
    as_of = models.DateTimeField(null=True)

    class Meta:
        db_table = "rollup_sources"

    def __str__(self) -> str:
        return self.name


class RollupDay(models.Model):
    """One UTC day of a raw table, from its first row on.

    `filled_at` NULL: its cells were never computed, readers take its raw rows. `sealed_at`: cells were held against
    the raw rows (`raw_rows` of them) and agreed; a late row takes the seal away. `dropped_at`: the raw rows are gone.
    """

    source = models.CharField(max_length=63)
    date = models.DateField()
    filled_at = models.DateTimeField(null=True)
    sealed_at = models.DateTimeField(null=True)
    raw_rows = models.BigIntegerField(null=True)
    dropped_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "rollup_days"
        constraints = [
            models.UniqueConstraint(fields=["source", "date"], name="uq_rollup_day"),
            models.CheckConstraint(
                condition=models.Q(dropped_at__isnull=True) | models.Q(sealed_at__isnull=False),
                name="ck_rollup_day_dropped_is_sealed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.date}"


class RollupMark(models.Model):
    """A minute or an hour whose cells are to be computed anew: they lack what was written since `marked_at`. No two
    processes meet over one: marks are only added, and taken away by their id."""

    id = models.BigAutoField(primary_key=True)
    source = models.CharField(max_length=63)
    grain = models.CharField(max_length=6)
    at = models.DateTimeField()
    marked_at = created_now()

    class Meta:
        db_table = "rollup_marks"
        constraints = [
            models.CheckConstraint(condition=models.Q(grain__in=["minute", "hour"]), name="ck_rollup_mark_grain"),
        ]
        indexes = [
            # What a fill of some days has to deal with.
            models.Index(fields=["source", "at"], name="ix_rollup_mark"),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.grain} {self.at}"


class Cell(models.Model):
    """What every table of cells has: a grain, and the moment that the bucket begins."""

    id = models.BigAutoField(primary_key=True)
    grain = models.CharField(max_length=6)
    at = models.DateTimeField()

    class Meta:
        abstract = True


class EventRollup(Cell):
    """Events by type and error code ("" for none)."""

    event_type = models.CharField(max_length=100)
    error_code = models.CharField(max_length=50)
    events = models.BigIntegerField()
    last_at = models.DateTimeField()
    # Of errors only: who met them, and the newest.
    people = models.BinaryField(null=True)
    sample_at = models.DateTimeField(null=True)
    sample_message = models.TextField(null=True)
    sample_id = models.UUIDField(null=True)

    class Meta:
        db_table = "event_rollups"
        constraints = [
            models.UniqueConstraint(fields=["grain", "at", "event_type", "error_code"], name="uq_event_rollup"),
            models.CheckConstraint(condition=GRAIN_CHECK, name="ck_event_rollup_grain"),
        ]

    def __str__(self) -> str:
        return f"{self.grain} {self.at} {self.event_type}"


class ActiveRollup(Cell):
    """Events of all types, and how many different people they are of."""

    events = models.BigIntegerField()
    users = models.BinaryField(null=True)
    last_at = models.DateTimeField()

    class Meta:
        db_table = "active_rollups"
        constraints = [
            models.UniqueConstraint(fields=["grain", "at"], name="uq_active_rollup"),
            models.CheckConstraint(condition=GRAIN_CHECK, name="ck_active_rollup_grain"),
        ]

    def __str__(self) -> str:
        return f"{self.grain} {self.at}"


def histogram_keys() -> ArrayField[list[int] | None, list[int] | None]:
    """The buckets of a stored histogram, ascending (`sigmasight.lib.rollups.histogram`)."""
    return ArrayField(models.SmallIntegerField(), null=True)


def histogram_counts() -> ArrayField[list[int] | None, list[int] | None]:
    """How many values each of those buckets holds."""
    return ArrayField(models.BigIntegerField(), null=True)
