"""What a raw-table page answers when its database doesn't, or takes too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, IntegrityError, OperationalError, connections, transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse
from psycopg import errors

# A page that takes longer than this is a mistake; the database then has better things to do.
TIME_LIMIT_SECONDS = 8


@contextmanager
def limited(using: str) -> Iterator[None]:
    """Within, a statement on this database that takes longer is cancelled with OperationalError."""
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{int(TIME_LIMIT_SECONDS * 1000)}ms"])
        yield


@contextmanager
def by_bitmap(using: str) -> Iterator[None]:
    """Within, the planner reads tables through bitmaps of index entries alone, as only an inverted index gives.

    It takes a search for a rare word under ORDER BY … LIMIT for one that the ordered index answers sooner, and then
    parses a million texts.
    """
    with transaction.atomic(using=using):
        settings = ("enable_seqscan", "enable_indexscan")
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT current_setting(name) FROM unnest(%s::text[]) AS name", [list(settings)])
            before = [value for (value,) in cursor.fetchall()]
            cursor.execute("SELECT set_config(name, 'off', true) FROM unnest(%s::text[]) AS name", [list(settings)])
            yield
            for name, value in zip(settings, before, strict=True):
                cursor.execute("SELECT set_config(%s, %s, true)", [name, value])


def took_too_long(error: DatabaseError) -> bool:
    """Whether the time limit ended it."""
    return isinstance(error.__cause__, errors.QueryCanceled)


def refers_elsewhere(error: DatabaseError) -> bool:
    """Whether another row stands in the way: a foreign key or a unique constraint."""
    return isinstance(error, IntegrityError)


def answer(
    request: HttpRequest,
    using: str,
    view: Callable[[], HttpResponse],
    failed: Callable[[HttpRequest, DatabaseError], HttpResponse],
) -> HttpResponse:
    """The view's response, rendered here so that its queries are covered too; what `failed` says where the database
    is away, ran out of time, or refused the change."""
    try:
        if request.method in {"GET", "HEAD"}:
            with limited(using):
                return _rendered(view())
        return _rendered(view())
    except (OperationalError, IntegrityError) as error:
        return failed(request, error)


def _rendered(response: HttpResponse) -> HttpResponse:
    unrendered: Any = response
    if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
        unrendered = response.render()
    rendered: HttpResponse = unrendered
    return rendered
