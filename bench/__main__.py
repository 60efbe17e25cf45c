"""Measures loading and the first pages. `make bench ARGS="--requests 1_000_000 --events 2_000_000"`.

Each figure stands beside a floor taken in the same run: for loading, a bare psycopg COPY of ready-made rows into a
table with the same columns and indexes; for a page, the plainest SQL that yields one of its figures. The machine may
be noisy: only the ratio says something. Databases of its own, on the tests' servers; dropped at the end.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psycopg
from psycopg import sql

BASE = Path(__file__).resolve().parent.parent
DATABASES = ("bench_gondola", "bench_metro")
REPEATS = 7


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table. `ratio`: ours over the floor, of rates (more is better) or of times (less is better)."""

    what: str
    ours: float
    floor: float
    unit: str
    note: str

    @property
    def ratio(self) -> float:
        return self.ours / self.floor if self.floor else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000, help="AI requests (default: %(default)s)")
    parser.add_argument("--events", type=int, default=400_000, help="activity events (default: %(default)s)")
    parser.add_argument("--chats", type=int, default=5_000, help="conversations to import (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    with databases():
        results = [*loading(options), *pages()]
    show(results)
    if options.json:
        options.json.write_text(json.dumps([{**asdict(each), "ratio": each.ratio} for each in results], indent=2))
    return 0


class databases:  # noqa: N801 (reads as a sentence where it is used)
    """Two fresh databases, migrated, and Django set up on them."""

    def __enter__(self) -> None:
        from sigmasight.local.testing import ensure_test_servers

        self.url = ensure_test_servers(BASE).database_url
        self._each("CREATE DATABASE {}")
        gondola, metro = (self.url.rsplit("/", 1)[0] + f"/{name}" for name in DATABASES)
        os.environ.update(
            DATABASE_URL=gondola, AI_DATABASE_URL=metro, SECRET_KEY="x" * 64, HTTPS="false", DEBUG="false"
        )
        os.environ["LOG_LEVEL"] = "ERROR"
        os.environ["DJANGO_SETTINGS_MODULE"] = "sigmasight.settings"
        self.folder = tempfile.TemporaryDirectory()
        os.environ["STATIC_ROOT"] = self.folder.name
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)

    def __exit__(self, *args: object) -> None:
        from django.db import connections

        connections.close_all()
        self._each(None)
        self.folder.cleanup()

    def _each(self, statement: str | None) -> None:
        with psycopg.connect(self._admin(), autocommit=True) as connection:
            for name in DATABASES:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
                if statement:
                    connection.execute(sql.SQL(statement).format(sql.Identifier(name)))

    def _admin(self) -> str:
        import environ

        config = environ.Env.db_url_config(self.url)
        return f"host={config['HOST']} user={config['USER']} dbname={config['NAME']}"


def loading(options: argparse.Namespace) -> Iterator[Result]:
    """Rows a second of seed_demo and import_chats, beside bare COPY."""
    rows = options.requests + options.events
    floor = copy_floor(min(rows, 200_000))
    seconds = timed(lambda: quietly("seed_demo", days=30, events=options.events, requests=options.requests))
    loaded = sum(count(table) for table in ("user_activity_events", "ai_request_metrics"))
    yield Result("seed_demo", loaded / seconds, floor, "rows/s", f"{loaded:,} events and requests, and the rest")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chats.jsonl"
        with file.open("w") as out:
            for number in range(options.chats):
                out.write(chat(number) + "\n")
        seconds = timed(lambda: quietly("import_chats", str(file)))
    # A chat becomes a conversation, two messages, a request and a thumb.
    yield Result(
        "import_chats",
        5 * options.chats / seconds,
        floor,
        "rows/s",
        f"{options.chats / seconds * 60:,.0f} chats a minute",
    )


def pages() -> Iterator[Result]:
    """Each page's time at the server, beside the plainest percentile query over the same rows."""
    from django.test import Client

    from admin_portal.models import AdminUser

    admin = AdminUser.objects.create_admin("bench@example.com", uuid.uuid4().hex, "Bench")
    client = Client(SERVER_NAME="localhost")
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    asked = {"/admin": 1, "/admin?period=30d": 30, "/admin/ai?period=30d": 30, "/admin/ai/tuning": 30}
    for path, days in asked.items():
        since = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
        floor = median(timed(lambda since=since: one_percentile(since)) for _ in range(REPEATS))  # type: ignore[misc]
        assert client.get(path).status_code == 200
        ours = median(timed(lambda path=path: client.get(path)) for _ in range(REPEATS))  # type: ignore[misc]
        yield Result(path, ours * 1000, floor * 1000, "ms", "beside one exact p95 of the period")


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


def one_percentile(since: dt.datetime) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), percentile_cont(0.95) WITHIN GROUP (ORDER BY total_latency_ms)"
            " FROM ai_request_metrics WHERE created_at >= %s AND error_type IS NULL",
            [since],
        )
        cursor.fetchone()


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


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def show(results: list[Result]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "ours", "floor", "ratio", "", box=None, pad_edge=False)
    for each in results:
        table.add_row(
            each.what, f"{each.ours:,.0f} {each.unit}", f"{each.floor:,.0f} {each.unit}", f"{each.ratio:.2f}", each.note
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
