"""Keyset paging over any ordering by columns: a cursor holds the last row's values, so every page costs the same.

PostgreSQL's own place for NULL is kept to: last where ascending, first where descending.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, Q

from sigmasight.lib.pagination import BadCursorError


@dataclass(frozen=True, slots=True)
class Order:
    """One column of an ordering: its attribute's name, its direction, whether it may be NULL."""

    name: str
    descending: bool
    nullable: bool

    def __str__(self) -> str:
        return f"-{self.name}" if self.descending else self.name


def orders(model: type[Model], ordering: Sequence[str]) -> tuple[Order, ...]:
    """Django's ordering (`"-created_at"`, `"pk"`) as columns, up to the primary key, which decides the rest."""
    found = []
    pk: Any = model._meta.pk
    for text in ordering:
        name = text.removeprefix("-")
        field: Any = pk if name == "pk" else model._meta.get_field(name)
        found.append(Order(field.attname, text.startswith("-"), bool(field.null)))
        if field is pk:
            break
    return tuple(found)


def flipped(wanted: Sequence[Order]) -> tuple[Order, ...]:
    """The same columns from the other end."""
    return tuple(Order(order.name, not order.descending, order.nullable) for order in wanted)


def cursor_of(row: Model, wanted: Sequence[Order]) -> str:
    """The cursor that stands at `row`, as text for a URL."""
    values: list[str | None] = []
    for order in wanted:
        value = getattr(row, order.name)
        values.append(value if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value))
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def beyond(model: type[Model], wanted: Sequence[Order], cursor: str) -> Q:
    """The rows after the cursor's in this ordering. Raises BadCursorError for one that was not made for it."""
    values = _read(model, wanted, cursor)
    found, equal = Q(), Q()
    for order, value in zip(wanted, values, strict=True):
        after = _after(order, value)
        if after is not None:
            found |= equal & after
        equal &= Q(**{order.name: value}) if value is not None else Q(**{f"{order.name}__isnull": True})
    first, value = wanted[0], values[0]
    if not found:
        return Q(pk__in=[])
    if not first.nullable:
        # Says the same once more, in the one form that an index and the pruning of partitions can use.
        return Q(**{f"{first.name}__{'lte' if first.descending else 'gte'}": value}) & found
    return found


def _after(order: Order, value: Any) -> Q | None:
    if order.descending:
        return Q(**{f"{order.name}__isnull": False}) if value is None else Q(**{f"{order.name}__lt": value})
    if value is None:
        return None
    later = Q(**{f"{order.name}__gt": value})
    return later | Q(**{f"{order.name}__isnull": True}) if order.nullable else later


def _read(model: type[Model], wanted: Sequence[Order], cursor: str) -> list[Any]:
    try:
        texts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(texts, list) or len(texts) != len(wanted):
            raise ValueError("another ordering")
        values = []
        for order, text in zip(wanted, texts, strict=True):
            if not isinstance(text, str | None) or (text is None and not order.nullable):
                raise ValueError("not a value of this column")
            field: Any = model._meta.get_field(order.name)
            values.append(
                None
                if text is None
                else field.target_field.to_python(text)
                if field.remote_field
                else field.to_python(text)
            )
    except (ValueError, binascii.Error, ValidationError, RecursionError) as error:
        raise BadCursorError("This page of the list is gone: start from the top of it.") from error
    return values
