"""Rows a second of the commands that load, beside a bare COPY of ready-made rows into a table with the same indexes."""

from __future__ import annotations

import datetime as dt
import io
import json
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from psycopg import sql

from bench.databases import Pair, use
from bench.measure import timed
from bench.upkeep import Measured


def loading(pair: Pair, requests: int, events: int, chats: int) -> Iterator[Measured]:
    """seed_demo and import_chats, into an empty pair."""
    use(pair)
    rows = requests + events
    floor = copy_floor(min(rows, 200_000))
    yield Measured("Bare COPY", floor, "rows/s")
    seconds = timed(lambda: quietly("seed_demo", days=30, events=events, requests=requests))
    loaded = sum(count(table) for table in ("user_activity_events", "ai_request_metrics"))
    yield Measured(
        "seed_demo", loaded / seconds, "rows/s", note=f"{loaded / seconds / floor:.2f} of COPY; and all the rest"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chats.jsonl"
        with file.open("w") as out:
            for number in range(chats):
                out.write(chat(number) + "\n")
        seconds = timed(lambda: quietly("import_chats", str(file)))
    # A chat becomes a conversation, two messages, a request and a thumb.
    yield Measured("import_chats", 5 * chats / seconds, "rows/s", note=f"{chats / seconds * 60:,.0f} chats a minute")


def copy_floor(rows: int) -> float:
    """Rows a second of COPY into a table like ai_request_metrics, indexes and all, from ready-made lines."""
    from django.db import connection

    now = dt.datetime.now(dt.UTC)
    lines = "".join(
        f"{uuid.uuid4()}\t{uuid.uuid4()}\t{uuid.uuid4()}\t{uuid.uuid4()}\tgpt-5-mini\t2000\t150\t2150\t600\t1900\t1\t"
        f'[{{"name": "get_portfolio_complete"}}]\t{now - dt.timedelta(seconds=number)}\n'
        for number in range(rows)
    ).encode()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE floor (LIKE ai_request_metrics INCLUDING ALL)")

        def load() -> None:
            with cursor.copy(
                "COPY floor (id, conversation_id, message_id, user_id, model, input_tokens, output_tokens,"
                " total_tokens, first_token_ms, total_latency_ms, tool_calls_count, tool_calls, created_at) FROM STDIN"
            ) as copy:
                copy.write(lines)

        seconds = timed(load)
        cursor.execute("DROP TABLE floor")
    return rows / seconds


def chat(number: int) -> str:
    """A line as import_chats reads it, of the usual length."""
    words = f"What is my beta against the index, question {number}? " * 4
    return json.dumps(
        {
            "id": f"bench-{number}",
            "messages": [{"role": "user", "content": words}, {"role": "assistant", "content": words * 3}],
            "model": "gpt-5-mini",
            "feedback": {"rating": "up" if number % 3 else "down", "comment": "ok", "edited_text": None},
            "metadata": {"set": "bench"},
        }
    )


def count(table: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
        return int(cursor.fetchone()[0])


def quietly(command: str, *args: str, **options: object) -> None:
    from django.core.management import call_command

    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        call_command(command, *args, **options)
