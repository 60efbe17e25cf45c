"""The list of a raw table: one window of rows by keyset, and a count that never reads a big table."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.db import models
from django.db.models import QuerySet
from django.db.models.functions import Cast, Left
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property

from sigmasight.lib.pagination import BadCursorError
from sigmasight.lib.rawadmin import calendar, keyset, links, show
from sigmasight.lib.rawadmin.columns import CLIP_PREFIX
from sigmasight.lib.rawadmin.counts import TableSize, table_sizes

AFTER, BEFORE, END = "after", "before", "end"
PAGING = (AFTER, BEFORE, END)
# How far the rows of a narrowed list are counted.
COUNTED_TO = 1_000
# Characters of a long column that a list reads.
CLIPPED = 200


class WindowChangeList(ChangeList):
    """Django's change list, but paged by keyset in both directions, from either end."""

    model_admin: Any
    orders: tuple[keyset.Order, ...]
    next_url = previous_url = first_url = last_url = ""
    about = False

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        return {key: value for key, value in found.items() if key not in PAGING}

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        """Another filter starts from the first row again."""
        kept = {key: None for key in PAGING if key not in (new_params or {})}
        return super().get_query_string({**kept, **(new_params or {})}, remove)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        ordering = [str(part) for part in super().get_ordering(request, queryset)]
        if ordering[-1] == "-pk" and not ordering[0].startswith("-"):
            ordering[-1] = "pk"  # one direction, so that one index serves it
        self.orders = keyset.orders(self.model, ordering)
        return ordering

    def get_results(self, request: HttpRequest) -> None:
        size = self.list_per_page
        after, before = self.params.get(AFTER), self.params.get(BEFORE)
        at_end = END in self.params
        try:
            if before or at_end:
                rows, more = self._window(keyset.flipped(self.orders), before, size)
                rows.reverse()
                has_next, has_previous = not at_end, more
                if before and not more:  # that was the first page: whole, as it is without a cursor
                    rows, has_next = self._window(self.orders, None, size)
            else:
                rows, has_next = self._window(self.orders, after, size)
                has_previous = bool(after)
        except BadCursorError as error:
            raise IncorrectLookupParameters(error) from error
        if rows and has_next:
            self.next_url = self.get_query_string({AFTER: keyset.cursor_of(rows[-1], self.orders)})
            self.last_url = self.get_query_string({END: "1"})
        if has_previous:
            self.first_url = self.get_query_string()
            if rows:
                self.previous_url = self.get_query_string({BEFORE: keyset.cursor_of(rows[0], self.orders)})
        self._count(len(rows), alone=not has_next and not has_previous)
        self._label(rows)
        self.result_list = rows
        self.show_full_result_count = False
        self.full_result_count = None
        self.show_admin_actions = True
        self.can_show_all = False
        self.multi_page = has_next or has_previous
        self.paginator = None

    def _window(self, orders: tuple[keyset.Order, ...], cursor: str | None, size: int) -> tuple[list[Any], bool]:
        queryset = self.queryset.order_by(*map(str, orders))
        if cursor:
            queryset = queryset.filter(keyset.beyond(self.model, orders, cursor))
        rows = list(self._light(queryset)[: size + 1])
        return rows[:size], len(rows) > size

    def _light(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only the columns shown, and of long ones only the beginning."""
        admin = self.model_admin
        wanted = {order.name for order in self.orders} | {"pk", *admin.key_fields}
        clipped: dict[str, Any] = {}
        for name in admin.columns:
            field = admin.column(name)
            if field is None:
                wanted.update(admin.needs.get(name, ()))
            elif isinstance(field, models.TextField | models.JSONField) and field.name not in admin.masked:
                text = Cast(field.name, models.TextField()) if isinstance(field, models.JSONField) else field.name
                clipped[CLIP_PREFIX + field.name] = Left(text, CLIPPED)
            else:
                wanted.add(field.attname)
        light: QuerySet[Any] = queryset.only(*wanted).annotate(**clipped, **admin.list_annotations())
        return light

    @cached_property
    def narrowed(self) -> bool:
        """Whether anything narrows the list."""
        return bool(self.query or self.get_filters_params())

    def _count(self, shown: int, *, alone: bool) -> None:
        if alone:
            self.result_count = shown
        elif self.narrowed:
            self.result_count = self.queryset.order_by().values("pk")[: COUNTED_TO + 1].count()
            self.about = self.result_count > COUNTED_TO
        else:
            self.result_count, self.about = self.size.rows, not self.size.exact

    @cached_property
    def size(self) -> TableSize:
        table = self.opts.db_table
        return table_sizes([table], self.queryset.db)[table]

    @property
    def count_words(self) -> str:
        """How many rows this list has, as exactly as that is known."""
        if self.narrowed and self.about:
            return f"more than {COUNTED_TO:,} rows"
        if self.about:
            return f"{self.size} rows"
        return f"{self.result_count:,} row{'' if self.result_count == 1 else 's'}"

    def _label(self, rows: list[Any]) -> None:
        """Looks up the labels of the rows that these point at: one query for each table, whatever the rows."""
        admin = self.model_admin
        for name in admin.labelled:
            found = links.labels(admin.admin_site, admin.all_links[name], (getattr(row, name) for row in rows))
            for row in rows:
                row.__dict__.setdefault("_labels", {})[name] = found

    @cached_property
    def calendar(self) -> calendar.Calendar | None:
        """The date hierarchy, None for an empty table."""
        field = self.date_hierarchy
        if not field:
            return None
        ends = self.root_queryset.values_list(field, flat=True)
        first, last = ends.order_by(field).first(), ends.order_by(f"-{field}").first()
        if first is None or last is None:
            return None
        first, last = (end.astimezone(dt.UTC).date() if isinstance(end, dt.datetime) else end for end in (first, last))
        chosen = [self.params.get(f"{field}__{part}") for part in ("year", "month", "day")]
        year, month, day = (int(part) if part and part.isdigit() else None for part in chosen)
        return calendar.draw(field, first, last, year, month, day, self.get_query_string)

    @property
    def chips(self) -> list[tuple[str, str]]:
        """What narrows the list beside its filters: words, and the list without it."""
        found = []
        if self.query:
            found.append((f"“{show.clip(self.query, 60)}”", self.get_query_string(remove=["q"])))
        own = {name for spec in self.filter_specs for name in spec.expected_parameters()}
        dates = f"{self.date_hierarchy}__"
        for key, values in self.get_filters_params().items():
            if key not in own and not key.startswith(dates):
                name = key.removesuffix("__exact").removesuffix("_id").replace("_", " ")
                found.append((f"{name}: {values[-1]}", self.get_query_string({key: None})))
        return found

    @property
    def everything_url(self) -> str:
        """The list with nothing narrowing it."""
        order = self.params.get(ORDER_VAR)
        return f"?{ORDER_VAR}={order}" if order else "?"

    def url_for_result(self, result: Any) -> str:
        return reverse(
            f"admin:{self.opts.app_label}_{self.opts.model_name}_change",
            args=(quote(self.model_admin.object_key(result)),),
            current_app=self.model_admin.admin_site.name,
        )
