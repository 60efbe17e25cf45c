"""What the AI remembers, of whom: lists and figures."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count

from ai_tuning.models import Memory
from ai_tuning.querysets import MemoryQuerySet
from sigmasight.lib.pagination import Cursor

SHOWN = 50


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """All memories, counted. `people`: how many the AI remembers something of. Every scope is there, zeros included."""

    total: int
    by_scope: dict[str, int]
    people: int


def narrowed(scope: str | None = None, user_id: UUID | None = None, search: str | None = None) -> MemoryQuerySet:
    """The memories that are like this in everything that is given."""
    found = Memory.objects.all()
    if scope is not None:
        found = found.in_scope(scope)
    if user_id is not None:
        found = found.of_user(user_id)
    return found.mentioning(search) if search else found


def page(found: MemoryQuerySet, after: Cursor | None, size: int = SHOWN) -> tuple[list[Memory], Cursor | None]:
    """A page of memories, newest first, and where the next begins."""
    ordered = found.newest_first()
    rows = list((ordered.after(after) if after is not None else ordered)[: size + 1])
    shown = rows[:size]
    return shown, Cursor(shown[-1].created_at, shown[-1].pk) if len(rows) > size else None


def figures() -> MemoryFigures:
    """In two queries, which read indexes alone."""
    by_scope = dict.fromkeys(Memory.Scope.values, 0)
    by_scope |= dict(Memory.objects.values_list("scope").annotate(count=Count("pk")).order_by())
    # Counted as groups, which are hashed: count(DISTINCT) would sort every row.
    people = Memory.objects.filter(user_id__isnull=False).order_by().values("user_id").distinct().count()
    return MemoryFigures(sum(by_scope.values()), by_scope, people)
