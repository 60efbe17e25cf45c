"""Tables partitioned by day: a row's key in a URL holds its time, so that one partition is asked, read and written."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.contrib.admin.utils import quote, unquote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from sigmasight.lib.rawadmin.table import RawTable, as_uuid

FORMAT = "%Y%m%dT%H%M%S.%fZ"


class PartitionedRawTable(RawTable):
    """A table whose key in the database is (`created_at`, `id`).

    Django knows it by `id` alone, for which there is no index: each look-up, UPDATE and DELETE would visit every
    partition. So a row is named `<created_at>~<id>` here. A bare id is looked for, newest day first and for a few
    seconds at most, and answered with a redirect to the full name.
    """

    ordering = ["-created_at", "-id"]
    date_hierarchy = "created_at"
    bulk_delete = False  # it goes by id

    @property
    def key_fields(self) -> tuple[str, ...]:
        return ("pk", "created_at")

    def object_key(self, obj: Any) -> str:
        return row_key(obj.created_at, obj.pk)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = read_key(object_id)
        if found is None:
            return None
        created_at, key = found
        return self._whole(self.detail_queryset().filter(created_at=created_at, pk=key).first())

    def write(self, obj: Any, names: list[str]) -> None:
        self._row(obj).update(**{name: getattr(obj, name) for name in names})

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._row(obj)._raw_delete(self.using)

    def _row(self, obj: Any) -> Any:
        return self.model._base_manager.using(self.using).filter(created_at=obj.created_at, pk=obj.pk)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if object_id is not None and (key := as_uuid(unquote(object_id))):
            return self._answer(request, self._to_full_name, request, key)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _to_full_name(self, request: HttpRequest, key: uuid.UUID) -> HttpResponse:
        row = self.model._default_manager.filter(pk=key).only("pk", "created_at").order_by("-created_at").first()
        if row is None:
            return self.nothing_to_show(request, "gone", 404)
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        url = reverse(name, args=(quote(self.object_key(row)),), current_app=self.admin_site.name)
        query = request.META.get("QUERY_STRING")
        return HttpResponseRedirect(f"{url}?{query}" if query else url)


def row_key(created_at: dt.datetime, pk: uuid.UUID) -> str:
    """A row's full name, as its page's address has it: its day is in it, so that one partition is looked at."""
    return f"{created_at.astimezone(dt.UTC).strftime(FORMAT)}~{pk}"


def read_key(text: str) -> tuple[dt.datetime, uuid.UUID] | None:
    """The time and id in a row's full name, None where it is none."""
    at, _, key = text.partition("~")
    try:
        moment = dt.datetime.strptime(at, FORMAT).replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    found = as_uuid(key)
    return (moment, found) if found else None
