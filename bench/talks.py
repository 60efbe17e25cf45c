"""What the API's lists are long of in gondola: messages, batch runs and daily figures, beside `generate`'s rows."""

from __future__ import annotations

import datetime as dt
import random
from itertools import islice, product
from typing import Any

import psycopg
from psycopg.types.json import Json

from bench.generate import BEGUN, DAYS, Size, _conversation, message
from bench.searchtexts import texts

# Questions and answers in a conversation: half a million of each with 250,000 conversations.
TURNS = 4
# So many different questions, and as many answers, stand in all messages.
POOL = 10_000
RUN_DAYS, RUNS_A_DAY = 90, 30
LOG_LINES, LONGEST_LOG = 40, 5_000
LONGEST_RUN = "bench_longest_log"
PHASES = (
    ("phase_0_daily_valuations", 95.0), ("phase_1_market_data", 410.0), ("phase_1_5_symbol_factors", 240.0),
    ("phase_1_75_symbol_metrics", 130.0), ("phase_2_fundamentals", 175.0), ("phase_3_factors", 720.0),
    ("phase_3_snapshots", 160.0), ("phase_4_correlations", 265.0), ("phase_5_factor_aggregation", 85.0),
    ("phase_6_stress_tests", 150.0),
)  # fmt: skip
KEYS = 5  # values of each key that a daily figure is told apart by
TABLES = ("agent_messages", "batch_run_history", "daily_metrics", "aggregated_days")

MESSAGES = f"""
    INSERT INTO agent_messages (id, conversation_id, role, content, tool_calls, first_token_ms, latency_ms,
                                prompt_tokens, completion_tokens, total_tokens, created_at)
    SELECT {message("n", "turn")}, {_conversation("n")}, role, content,
           CASE WHEN role = 'assistant' AND mod(n, 3) = 0 THEN '[{{"name": "get_positions", "id": "1"}}]'::jsonb END,
           CASE WHEN role = 'assistant' THEN 700 END, CASE WHEN role = 'assistant' THEN 2400 END,
           CASE WHEN role = 'assistant' THEN 2000 END, CASE WHEN role = 'assistant' THEN 250 END,
           CASE WHEN role = 'assistant' THEN 2250 END, at + interval '1 second' * turn
      FROM {BEGUN} CROSS JOIN generate_series(0, {TURNS - 1}) AS turn
      JOIN bench_texts ON number = mod(n * 7919 + turn / 2 * 104729, %(pool)s)
                      AND role = CASE mod(turn, 2) WHEN 0 THEN 'user' ELSE 'assistant' END
     WHERE at < %(until)s
"""


def everything(connection: psycopg.Connection[Any], size: Size) -> None:
    """Fills a gondola that has `generate.people`."""
    messages(connection, size)
    batch_runs(connection, size.until)
    daily_metrics(connection, size.until)


def messages(connection: psycopg.Connection[Any], size: Size) -> None:
    """Four messages in each conversation of `generate.people`."""
    connection.execute("CREATE TEMP TABLE bench_texts (role text, number bigint, content text)")
    pool = min(POOL, max(size.conversations, 1))
    with connection.cursor() as cursor, cursor.copy("COPY bench_texts FROM STDIN") as copy:
        for number, (role, content) in enumerate(islice(texts(), 2 * pool)):
            copy.write_row((role, number // 2, content))
    connection.execute("ANALYZE bench_texts")
    for day in range(DAYS):
        connection.execute(MESSAGES, {**size.params(day), "pool": pool})
    connection.execute("DROP TABLE bench_texts")


def batch_runs(connection: psycopg.Connection[Any], until: dt.datetime) -> None:
    """Thirty runs a day for ninety days, each with its phases and its log; one with a very long log."""
    chance = random.Random(5)
    statement = (
        "COPY batch_run_history (batch_run_id, triggered_by, started_at, completed_at, status, total_jobs,"
        " completed_jobs, failed_jobs, phase_durations, error_summary, activity_log, created_at) FROM STDIN"
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for number in range(RUN_DAYS * RUNS_A_DAY):
            began = until - (number + 1) * dt.timedelta(days=1) / RUNS_A_DAY
            status = "failed" if number % 23 == 7 else "partial" if number % 31 == 9 else "completed"
            took = {name: round(usual * chance.uniform(0.8, 1.3), 2) for name, usual in PHASES}
            took["total_duration"] = round(sum(took.values()), 2)
            ended = began + dt.timedelta(seconds=took["total_duration"])
            errors = None if status == "completed" else {"count": 3, "types": {"TimeoutError": 3}, "details": []}
            name = LONGEST_RUN if number == 1 else f"bench_{began:%Y%m%d_%H%M%S}"
            log = [
                {
                    "timestamp": (began + dt.timedelta(seconds=line)).isoformat(),
                    "message": f"Symbol {line}: valued",
                    "level": "warning" if line % 17 == 3 else "info",
                }
                for line in range(LONGEST_LOG if number == 1 else LOG_LINES)
            ]
            copy.write_row(
                (
                    name, chance.choice(("cron", "manual", "admin", "v2_cron")), began, ended, status, 1500, 1497, 3,
                    Json(took), Json(errors) if errors else None, Json(log), began,
                )
            )  # fmt: skip


def daily_metrics(connection: psycopg.Connection[Any], until: dt.datetime) -> None:
    """Every figure of `metrics.dailynames` for ninety days."""
    from metrics.dailynames import CATEGORIES, METRICS

    days = [until.date() - dt.timedelta(days=number) for number in range(1, RUN_DAYS + 1)]
    statement = "COPY daily_metrics (date, metric_type, metric_value, dimensions, created_at) FROM STDIN"
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for day, category in product(days, CATEGORIES):
                for metric in METRICS[category]:
                    for number in range(KEYS if metric.key else 1):
                        about = {"key": f"{metric.key} {number}"} if metric.key else {}
                        copy.write_row((day, metric.name, 100 + day.day, Json(about), until))
        with cursor.copy("COPY aggregated_days (date, category, saved, is_adopted, at) FROM STDIN") as copy:
            for day, category in product(days, CATEGORIES):
                copy.write_row((day, category, len(METRICS[category]), False, until))
