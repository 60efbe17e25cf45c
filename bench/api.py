"""How long each GET of the JSON API takes at the bench's size, as a web worker would serve it.

Calls go through the whole WSGI application, middleware and sign-in by bearer token included, without a socket. Each
takes turns with `GET /admin/auth/me`, the floor: what signing in, routing and JSON cost anyway. A busy machine slows
both, so the ratio says more than the time.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg import sql

from bench import generate, metro, talks
from bench.apicalls import AI_CALLS, NEXT, ROOT, Call, calls
from bench.databases import Pair, conninfo, use
from bench.measure import times
from bench.search import unindexed
from bench.upkeep import Measured

P95_MS, TOGETHER_MS = 50.0, 100.0
REPEATS = 40
# What the calls of one line may come to in all, in seconds, so that one slow call does not hold up the rest.
BUDGET, AT_LEAST = 20.0, 5
FLOOR = Call("/admin/auth/me")
EMAIL, PASSWORD = "bench-api@example.com", uuid.uuid4().hex

_TALKING_MOST = "SELECT user_id FROM agent_conversations GROUP BY 1 ORDER BY count(*) DESC, 1"
# The hundredth of those who talk most, and the first (with a million requests: 44 conversations, and 900); and rows
# that the lists begin with.
_SAMPLES = {
    "user_id": (
        "default",
        f"{_TALKING_MOST} LIMIT 1 OFFSET (SELECT least(99, count(DISTINCT user_id) - 1) FROM agent_conversations)",
    ),
    "heaviest_id": ("default", f"{_TALKING_MOST} LIMIT 1"),
    "conversation_id": ("default", "SELECT id FROM agent_conversations ORDER BY created_at DESC, id OFFSET 10 LIMIT 1"),
    "message_id": (
        "default",
        "SELECT id FROM agent_messages WHERE role = 'assistant' ORDER BY created_at DESC, id OFFSET 10 LIMIT 1",
    ),
    "session_id": (
        "default",
        "SELECT session_id FROM user_activity_events WHERE session_id IS NOT NULL ORDER BY created_at DESC LIMIT 1",
    ),
    "annotation_id": ("metro", "SELECT id FROM ai_admin_annotations ORDER BY created_at DESC LIMIT 1"),
    "admin_user_id": ("metro", "SELECT admin_user_id FROM ai_admin_annotations LIMIT 1"),
    "document_id": ("metro", "SELECT id FROM ai_kb_documents LIMIT 1"),
    "run_id": ("metro", "SELECT id FROM ai_learning_runs LIMIT 1"),
}


def fill(pair: Pair, size: generate.Size) -> None:
    """What `generate.everything` leaves out: messages, runs and daily figures, and all of metro but bare thumbs."""
    use(pair)
    with psycopg.connect(conninfo(pair.gondola), autocommit=True) as gondola:
        gondola.execute("SET synchronous_commit = off")
        with unindexed():
            talks.everything(gondola, size)
        _vacuum(gondola, talks.TABLES)
    with psycopg.connect(conninfo(pair.metro), autocommit=True) as connection:
        metro.everything(connection, size)
        _vacuum(connection, metro.TABLES)


def _vacuum(connection: psycopg.Connection[Any], tables: Sequence[str]) -> None:
    for table in tables:
        connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))


class Worker:
    """A web worker's application, and an admin's program that calls it with a bearer token."""

    def __init__(self) -> None:
        from django.core.wsgi import get_wsgi_application

        self.application: Callable[..., Any] = get_wsgi_application()
        self.token = ""

    def sign_in(self) -> None:
        from admin_portal.models import AdminUser

        AdminUser.objects.filter(email=EMAIL).delete()
        AdminUser.objects.create_admin(EMAIL, PASSWORD, "Bench")
        told = json.dumps({"email": EMAIL, "password": PASSWORD}).encode()
        status, body = self._run("POST", "/admin/auth/login", "", told)
        if status != 200:
            raise RuntimeError(f"Signing in answers {status}: {plain(body)[:300]!r}")
        self.token = json.loads(plain(body))["access_token"]

    def get(self, path: str, query: str = "") -> bytes:
        """The answer's body as it is sent; RuntimeError for any other than 200."""
        status, body = self._run("GET", path, query, b"")
        if status != 200:
            raise RuntimeError(f"{path}?{query} answers {status}: {plain(body)[:300]!r}")
        return body

    def _run(self, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": ROOT + path,
            "QUERY_STRING": query,
            "SCRIPT_NAME": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/json" if body else "",
            "CONTENT_LENGTH": str(len(body)) if body else "",
            "HTTP_AUTHORIZATION": f"Bearer {self.token}" if self.token else "",
            "HTTP_ACCEPT_ENCODING": "gzip",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        told: list[str] = []
        answer = self.application(environ, lambda status, headers, problem=None: told.append(status))
        try:
            sent = b"".join(answer)
        finally:
            answer.close()
        return int(told[0].split(" ", 1)[0]), sent


def figures(say: Callable[[str], None], only: str = "") -> Iterator[Measured]:
    """A line for each call, on the pair in use, which `fill` has filled and whose cells are there. `only`: calls that
    have this in their name."""
    from admin_portal.api.docs import document

    worker = Worker()
    worker.sign_in()
    asked = [call for call in calls(document()) if only in call.name]
    samples = samples_of()
    floors: list[float] = []
    for call in asked:
        say(f"api: {call.name}")
        yield measured(worker, call, samples, floors)
    yield _together(worker)
    floor = times(floors)
    yield Measured(
        f"GET {FLOOR.path}, the floor of all, p95",
        floor.p95,
        "ms",
        note=f"p50 {floor.p50:.1f} ms, {len(floors):,} calls",
    )


def plain(body: bytes) -> bytes:
    """A body that may have been compressed."""
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


def samples_of() -> dict[str, str]:
    """What stands for `{user_id}` and the like."""
    from django.db import connections

    found = {"batch_run_id": talks.LONGEST_RUN}
    for name, (alias, statement) in _SAMPLES.items():
        with connections[alias].cursor() as cursor:
            cursor.execute(statement)
            found[name] = str(cursor.fetchone()[0])
    return found


def measured(worker: Worker, call: Call, samples: dict[str, str], floors: list[float]) -> Measured:
    """One call's line: its p95, with its median and how many times the floor that is."""
    name = f"GET {call.name}, p95"
    try:
        address = address_of(worker, call, samples)
        if address is None:
            return Measured(name, 0.0, "ms", P95_MS, "one page has them all")
        body = worker.get(*address)
        worker.get(FLOOR.path)
        ours: list[float] = []
        floor: list[float] = []
        work: list[float] = []
        begun = time.perf_counter()
        while len(ours) < REPEATS and (len(ours) < AT_LEAST or time.perf_counter() - begun < BUDGET):
            before = cpu_seconds()
            ours.append(_timed(worker, *address))
            work.append(cpu_seconds() - before)
            floor.append(_timed(worker, FLOOR.path))
    except Exception as error:  # one call that fails is a line of the table, not the end of it
        return Measured(name, None, "ms", P95_MS, f"{type(error).__name__}: {error}".splitlines()[0][:200])
    floors += floor
    found = times(ours)
    body = plain(body)
    times_floor = found.p50 / median(floor) / 1000
    note = f"p50 {found.p50:.1f} ms, {median(work) * 1000:.1f} of CPU, × {times_floor:.1f} of the floor"
    return Measured(name, found.p95, "ms", P95_MS, f"{note}, {len(body) / 1000:,.1f} kB")


def address_of(worker: Worker, call: Call, samples: dict[str, str]) -> tuple[str, str] | None:
    """Path and query as they are sent; None for the next page of a list that has none."""
    path = call.path.format(**samples)
    query = {name: value.format(**samples) for name, value in call.query.items()}
    if query.get("cursor") == NEXT:
        following = json.loads(plain(worker.get(path, urlencode({**query, "cursor": ""}))))["next_cursor"]
        if following is None:
            return None
        query["cursor"] = following
    return path, urlencode(query)


def _together(worker: Worker) -> Measured:
    """The six AI calls, one after the other."""
    name = "The six AI calls together, p95"
    try:
        for path in AI_CALLS:
            worker.get(path)
        found = times([sum(_timed(worker, path) for path in AI_CALLS) for _ in range(REPEATS)])
    except RuntimeError as error:
        return Measured(name, None, "ms", TOGETHER_MS, str(error)[:200])
    return Measured(name, found.p95, "ms", TOGETHER_MS, f"p50 {found.p50:.1f} ms")


def cpu_seconds() -> float:
    """What this process and its PostgreSQL backends (not their parallel workers) have had of a processor so far: the
    figure that a busy machine leaves as it is. Without Linux's /proc it is the process's alone."""
    from django.db import connections

    spent = time.process_time()
    for wrapper in connections.all(initialized_only=True):
        if wrapper.connection is not None:
            status = Path(f"/proc/{wrapper.connection.info.backend_pid}/schedstat")
            with contextlib.suppress(OSError):
                spent += int(status.read_text().split()[0]) / 1e9
    return spent


def _timed(worker: Worker, path: str, query: str = "") -> float:
    begun = time.perf_counter()
    worker.get(path, query)
    return time.perf_counter() - begun
