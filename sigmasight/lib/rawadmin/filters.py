"""Filters whose choices cost next to nothing: fixed, or found through an index; never SELECT DISTINCT over a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db import connections, router
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from psycopg import sql

if TYPE_CHECKING:
    Table = ModelAdmin[Any]
else:
    Table = ModelAdmin

WHEN = "when"
WINDOWS = {
    "1h": dt.timedelta(hours=1),
    "24h": dt.timedelta(days=1),
    "7d": dt.timedelta(days=7),
    "30d": dt.timedelta(days=30),
}
WINDOW_WORDS = {"1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days"}
# What a filter without an index of its own is held to where no time was chosen.
DEFAULT_WINDOW = "7d"
MOST_CHOICES = 100
RECENT_ROWS = 2_000


class RawFilter(SimpleListFilter):
    """A filter on `field`. `needs_window`: no index helps it, so that choosing it chooses a period too."""

    field = ""
    needs_window = False

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        name = str(self.parameter_name)
        extra: dict[str, str] = {}
        if self.needs_window and not _has_period(changelist):
            extra = {WHEN: DEFAULT_WINDOW}
        yield {
            "selected": self.value() is None,
            "query_string": changelist.get_query_string({name: None}),
            "display": "any",
        }
        for value, display in self.lookup_choices:
            yield {
                "selected": self.value() == str(value),
                "query_string": changelist.get_query_string({name: value, **extra}),
                "display": display,
            }

    @property
    def chosen(self) -> str:
        """What is chosen, in words; "" where nothing is."""
        value = self.value()
        if value is None:
            return ""
        return str(next((display for key, display in self.lookup_choices if str(key) == value), value))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset if value is None else self.narrow(queryset, value)

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(**{self.field: value})


class IsSet(RawFilter):
    """Whether a column holds anything, or (for booleans) holds."""

    words = ("yes", "no")
    boolean = False

    def lookups(self, request: HttpRequest, model_admin: Table) -> list[tuple[str, str]]:
        return [("1", self.words[0]), ("0", self.words[1])]

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        if self.boolean:
            return queryset.filter(**{self.field: value == "1"})
        return queryset.filter(**{f"{self.field}__isnull": value != "1"})


class TimeWindow(RawFilter):
    """The last hour, day, week or month."""

    parameter_name = WHEN

    def lookups(self, request: HttpRequest, model_admin: Table) -> list[tuple[str, str]]:
        return list(WINDOW_WORDS.items())

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        window = WINDOWS.get(value)
        return queryset if window is None else queryset.filter(**{f"{self.field}__gte": timezone.now() - window})


class FixedChoices(RawFilter):
    """The values that the column may have at all."""

    pairs: tuple[tuple[str, str], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: Table) -> list[tuple[str, str]]:
        return list(self.pairs)


class IndexedChoices(RawFilter):
    """The values that an index on the column knows, hopping from one to the next: a few probes per value."""

    def lookups(self, request: HttpRequest, model_admin: Table) -> list[tuple[str, str]]:
        return [(value, value) for value in indexed_values(model_admin.model, self.field)]


class RecentChoices(RawFilter):
    """The values among the newest rows."""

    def lookups(self, request: HttpRequest, model_admin: Table) -> list[tuple[str, str]]:
        newest = model_admin.model._default_manager.order_by(*model_admin.ordering or ["-pk"])
        values = set(newest.values_list(self.field, flat=True)[:RECENT_ROWS])
        chosen = self.used_parameters.get(self.parameter_name or "")
        return [(str(v), str(v)) for v in sorted({*values, chosen} - {None, ""}, key=str)][:MOST_CHOICES]


def indexed_values(model: type[Model], field: str, most: int = MOST_CHOICES) -> list[str]:
    """The distinct values of a column, in order, `most` of them at most. The column must lead an index."""
    column: Any = model._meta.get_field(field)
    name, table = sql.Identifier(column.column), sql.Identifier(model._meta.db_table)
    # ORDER BY … LIMIT 1 rather than min(): for a partial index (on what isn't NULL) the planner scans under min().
    query = sql.SQL(
        """
        WITH RECURSIVE steps(value, n) AS (
            SELECT (SELECT {name} FROM {table} WHERE {name} IS NOT NULL ORDER BY {name} LIMIT 1), 1
             UNION ALL
            SELECT (SELECT {name} FROM {table} WHERE {name} IS NOT NULL AND {name} > steps.value
                     ORDER BY {name} LIMIT 1), n + 1
              FROM steps WHERE steps.value IS NOT NULL AND n < {most}
        )
        SELECT value FROM steps WHERE value IS NOT NULL
        """
    ).format(name=name, table=table, most=sql.Literal(most))
    with connections[router.db_for_read(model)].cursor() as cursor:
        cursor.execute(query)
        return [value for (value,) in cursor.fetchall()]


def choices(
    field: str, pairs: Iterable[tuple[str, str]], title: str = "", needs_window: bool = False
) -> type[RawFilter]:
    """A filter on the fixed values of a column."""
    return _filter(FixedChoices, field, title, pairs=tuple(pairs), needs_window=needs_window)


def indexed_choices(field: str, title: str = "") -> type[RawFilter]:
    """A filter on the values found in an index that starts with the column."""
    return _filter(IndexedChoices, field, title)


def recent_choices(field: str, title: str = "", needs_window: bool = False) -> type[RawFilter]:
    """A filter on the values that the newest rows have."""
    return _filter(RecentChoices, field, title, needs_window=needs_window)


def is_set(
    field: str,
    title: str = "",
    words: tuple[str, str] = ("yes", "no"),
    boolean: bool = False,
    needs_window: bool = False,
) -> type[RawFilter]:
    """A filter on whether a column is NULL, or on a boolean."""
    return _filter(IsSet, field, title, words=words, boolean=boolean, needs_window=needs_window)


def time_window(field: str = "created_at") -> type[RawFilter]:
    """A quick filter on the last hour, day, week or month."""
    return _filter(TimeWindow, field, "time", parameter_name=WHEN)


def _filter(base: type[RawFilter], field: str, title: str, **attributes: Any) -> type[RawFilter]:
    name = attributes.pop("parameter_name", f"is_{field}" if base is IsSet else field)
    words = title or field.replace("_", " ")
    return type(
        f"{base.__name__}Of{field.title().replace('_', '')}",
        (base,),
        {"field": field, "title": words, "parameter_name": name, **attributes},
    )


def _has_period(changelist: ChangeList) -> bool:
    hierarchy = changelist.date_hierarchy
    return WHEN in changelist.params or bool(hierarchy and f"{hierarchy}__year" in changelist.params)
