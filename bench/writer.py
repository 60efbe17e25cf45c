"""A writer beside the bench: `python -m bench.writer CONNINFO ROWS_PER_SECOND SECONDS`.

Copies of recent rows, dated now. Says on standard output how many rows a second it came to.
"""

from __future__ import annotations

import json
import sys
import time

import psycopg

TICK = 0.1
SAMPLE = 5000
_COLUMNS = {
    "ai_request_metrics": "conversation_id, message_id, user_id, model, input_tokens, output_tokens, total_tokens,"
    " cached_tokens, first_token_ms, total_latency_ms, tool_calls_count, tool_calls, error_type, error_message",
    "user_activity_events": "user_id, session_id, event_type, event_category, event_data, error_code, error_message,"
    " ip_address, user_agent",
}


def write(conninfo: str, rate: int, seconds: float) -> dict[str, float]:
    """Inserts `rate` rows a second, a third of them requests, every TICK; returns the rate and the rows it came to."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for table, columns in _COLUMNS.items():
            connection.execute(
                f"CREATE TEMP TABLE sample_{table} AS SELECT row_number() OVER () AS n, {columns}"
                f" FROM (SELECT * FROM {table} ORDER BY created_at DESC LIMIT {SAMPLE}) AS newest"
            )
        begun, written, ticks = time.monotonic(), 0, 0
        while time.monotonic() - begun < seconds:
            for table, columns in _COLUMNS.items():
                rows = round(rate * TICK * (1 if table == "ai_request_metrics" else 2) / 3)
                first = ticks * rows % SAMPLE
                done = connection.execute(
                    f"INSERT INTO {table} ({columns}) SELECT {columns} FROM sample_{table} WHERE n > %s AND n <= %s",
                    [first, first + rows],
                )
                written += done.rowcount
            ticks += 1
            time.sleep(max(0.0, begun + ticks * TICK - time.monotonic()))
        return {"rate": written / (time.monotonic() - begun), "rows": written}


if __name__ == "__main__":
    print(json.dumps(write(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))
