"""How many rows a list has, where counting them all may take too long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet


@dataclass(frozen=True, slots=True)
class Total:
    """How many there are. Not `is_exact`: at least so many, and they were not counted further."""

    count: int
    is_exact: bool = True


def counted(rows: QuerySet[Any], most: int) -> Total:
    """How many rows a queryset has, up to `most`."""
    found = rows.order_by()[: most + 1].count()
    return Total(min(found, most), found <= most)
