"""The calculation engine's runs: every night, and now and then by hand."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

from admin_portal.demo.plan import Plan, draw, generator, uuid_of
from admin_portal.demo.sink import Sink
from sigmasight.lib.copying import line

# Phase, usual seconds. They add up to some 41 minutes.
_PHASES = (
    ("phase_0_daily_valuations", 95.0), ("phase_1_market_data", 410.0), ("phase_1_5_symbol_factors", 240.0),
    ("phase_1_75_symbol_metrics", 130.0), ("phase_2_fundamentals", 175.0), ("phase_3_factors", 720.0),
    ("phase_3_snapshots", 160.0), ("phase_4_correlations", 265.0), ("phase_5_factor_aggregation", 85.0),
    ("phase_6_stress_tests", 150.0),
)  # fmt: skip
_SLOW = "phase_3_factors"
_MINUTE = dt.timedelta(minutes=1)


def write_batches(plan: Plan, sink: Sink) -> None:
    """Every run of the month that began before its end; one that is still going then is `running`."""
    for day in range(len(plan.dates)):
        chance = generator(plan.seed, "batch", day)
        began = plan.midnight(day) + dt.timedelta(hours=2, minutes=48, seconds=chance.randint(0, 40))
        outcome = plan.failed_nights.get(day, "completed")
        latest = day == len(plan.dates) - 1
        _run(plan, sink, chance, day, began, "cron" if day % 9 else "v2_cron", outcome, slow=latest)
        if outcome != "completed":
            again = plan.midnight(day) + dt.timedelta(hours=chance.randint(7, 9), minutes=chance.randint(0, 59))
            _run(plan, sink, chance, day, again, chance.choice(("manual", "admin")), "completed", slow=False)
        elif chance.random() < 0.25:
            at = plan.midnight(day) + dt.timedelta(hours=chance.randint(9, 17), minutes=chance.randint(0, 59))
            _refresh(plan, sink, chance, day, at)


def _run(
    plan: Plan,
    sink: Sink,
    chance: random.Random,
    day: int,
    began: dt.datetime,
    by: str,
    outcome: str,
    *,
    slow: bool,
) -> None:
    if not plan.start <= began < plan.end:
        return
    jobs = 1480 + 9 * day + chance.randint(-6, 6)
    stop = chance.choice(("phase_3_factors", "phase_1_market_data")) if outcome == "failed" else ""
    durations: dict[str, float] = {}
    log: list[dict[str, str]] = []
    at = began
    _log(log, at, f"Run started by {by}: {jobs:,} jobs")
    running = False
    for phase, usual in _PHASES:
        took = usual * (1 + 0.006 * day) * chance.uniform(0.93, 1.08)
        if phase == _SLOW and (slow or outcome == "partial"):
            took *= 1.6
        if at + dt.timedelta(seconds=took) >= plan.end:
            running = True
            break
        at += dt.timedelta(seconds=took)
        if phase == stop:
            took *= 0.4
        durations[phase] = round(took, 2)
        if phase == stop:
            _log(log, at, f"{phase}: stopped after {took:.0f} s", "error")
            break
        late = took > usual * 1.4
        _log(log, at, f"{phase}: done in {took:.0f} s", "warning" if late else "info")
    failed = 0 if outcome == "completed" else jobs if outcome == "failed" else chance.randint(14, 60)
    if outcome == "failed":
        failed = jobs - jobs * len(durations) // len(_PHASES)
    durations["total_duration"] = round((at - began).total_seconds(), 2)
    errors = _errors(chance, outcome, stop, failed, began.date())
    status = "running" if running else outcome
    row = line(
        uuid_of(draw(plan.seed, "batch", day, by)), f"batch_{began:%Y%m%d_%H%M%S}", by, began,
        None if running else at, status, jobs, 0 if running else jobs - failed, failed, durations,
        None if running else errors, log, began,
    )  # fmt: skip
    sink.add("batch_run_history", row)


def _refresh(plan: Plan, sink: Sink, chance: random.Random, day: int, began: dt.datetime) -> None:
    """A single portfolio, after somebody signed up or asked for it."""
    took = chance.uniform(14, 75)
    ended = began + dt.timedelta(seconds=took)
    if not plan.start <= began or ended >= plan.end:
        return
    by = chance.choice(("onboarding", "onboarding", "v2_cron_portfolio", "ines.marchetti@example.org"))
    log: list[dict[str, str]] = []
    _log(log, began, "Refreshing one portfolio")
    sink.add(
        "batch_run_history",
        line(
            uuid_of(draw(plan.seed, "refresh", day)), f"refresh_{began:%Y%m%d_%H%M%S}", by, began, ended, "completed",
            4, 4, 0, {"portfolio_refresh": round(took, 2), "total_duration": round(took, 2)},
            {"batch_type": "portfolio_refresh", "calc_date": began.date().isoformat()}, log, began,
        ),
    )  # fmt: skip


def _errors(chance: random.Random, outcome: str, stop: str, failed: int, day: dt.date) -> dict[str, Any] | None:
    """The contract's four shapes; the last one without `errors` says that nothing went wrong."""
    if outcome == "completed":
        return {"batch_type": "nightly", "calc_date": day.isoformat()} if chance.random() < 0.3 else None
    if outcome == "failed":
        if stop == "phase_3_factors":
            dates = [day.isoformat()]
            return {
                "exception": "could not allocate 2.1 GB for the covariance matrix", "type": "MemoryError",
                "crashed_after_dates": dates,
            }  # fmt: skip
        return {"errors": ["Price provider answered 503 for 40 min", "412 symbols without a close"]}
    if chance.random() < 0.5:
        return {
            "count": failed, "types": {"TimeoutError": failed - 3, "KeyError": 3},
            "details": [{"symbol": "VWRL.AS", "error": "no price"}, {"symbol": "SAP.F", "error": "timed out"}],
        }  # fmt: skip
    return {"batch_type": "nightly", "calc_date": day.isoformat(), "errors": [f"{failed} portfolios without factors"]}


def _log(log: list[dict[str, str]], at: dt.datetime, message: str, level: str = "info") -> None:
    log.append({"timestamp": at.isoformat(timespec="seconds"), "message": message, "level": level})
