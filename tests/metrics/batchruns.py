"""Batch runs as tests of the batch pages need them."""

from __future__ import annotations

import datetime as dt
import random
import uuid

from django.db import connection
from django.utils import timezone

from metrics.models import BatchRun
from tests.factories.metrics import BatchRunFactory

URL = "/admin/batch"
PHASES = ("phase_0_daily_valuations", "phase_1_market_data", "phase_1_5_symbol_factors", "phase_3_factors")
TRIGGERS = ("cron", "cron", "cron", "v2_cron", "manual", "onboarding", "ines@example.com")
HTMX = {"HTTP_HX_REQUEST": "true"}


def ago(**span):
    return timezone.now() - dt.timedelta(**span)


def fill(runs, seed=0, days=29):
    """Runs of the last month, of all states and triggers, ours among them."""
    chance = random.Random(seed)
    made = []
    for _ in range(runs):
        started = ago(minutes=chance.randrange(1, days * 24 * 60))
        status = chance.choice(["completed"] * 6 + ["failed", "partial"])
        took = dt.timedelta(seconds=chance.randrange(600, 3600))
        made.append(
            BatchRun(
                batch_run_id=chance.choice(["run", "sigmasight-admin.daily.daily"]) + f"-{started:%Y%m%dT%H%M%SZ}",
                triggered_by=chance.choice(TRIGGERS),
                started_at=started,
                completed_at=chance.choice([started + took] * 9 + [started - took]),
                status=status,
                total_jobs=chance.choice([None, 100, 1500]),
                completed_jobs=chance.choice([None, 90]),
                failed_jobs=chance.choice([None, 0, 10]),
                phase_durations={name: chance.choice([chance.uniform(30, 900), "x", -1]) for name in PHASES}
                | {"total_duration": 9.0},
                error_summary=chance.choice([None, {"errors": ["one", "two"]}, {"batch_type": "nightly"}]),
                portfolio_id=chance.choice([None, None, uuid.UUID(int=7)]),
            )
        )
    BatchRun.objects.bulk_create(made)


def night(days=0, seconds=2400, **fields):
    """A nightly run that many days ago."""
    started = fields.pop("started_at", None) or ago(days=days, hours=5)
    fields.setdefault("completed_at", started + dt.timedelta(seconds=seconds))
    return BatchRunFactory(started_at=started, **fields)


def going(**fields):
    return BatchRunFactory(status="running", started_at=ago(minutes=20), **fields)


def sql(query, *params):
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def plain(text):
    return str(text).replace("\xa0", " ")


def page_of(run):
    return f"{URL}/{run.pk}"


def usual_nights(**phases):
    for days in range(1, 8):
        night(days=days, phase_durations=phases or {"phase_3_factors": 600.0})


LOG = [
    {"timestamp": "2026-11-02T02:48:00+00:00", "message": "Run started", "level": "info"},
    {"timestamp": "2026-11-02T02:49:00+00:00", "message": "VWRL.AS has no price", "level": "warn"},
    {"message": "It broke", "level": "ERROR"},
    "a bare line",
]
