"""UUIDs that point at another table's row, in the same database or in the other one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.db import OperationalError, router
from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sigmasight.lib.rawadmin import show


@dataclass(frozen=True, slots=True)
class Labels:
    """What is known of the rows pointed at: their labels by primary key; `away` names a database without answer."""

    by_key: dict[Any, str]
    away: str = ""


def target_of(label: str) -> type[Model]:
    """The model a link names (`"activity.User"`): apps may point upwards without importing."""
    model: type[Model] = apps.get_model(label)
    return model


def row_url(site: AdminSite, label: str, key: Any) -> str | None:
    """The page of a row, None where its table is not on the site."""
    app, _, name = label.lower().partition(".")
    try:
        return reverse(f"admin:{app}_{name}_change", args=(quote(key),), current_app=site.name)
    except NoReverseMatch:
        return None


def list_url(site: AdminSite, model: type[Model], query: str = "") -> str:
    """The list of a table, narrowed by `query`."""
    meta = model._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist", current_app=site.name)
    return f"{url}?{query}" if query else url


def database_name(alias: str) -> str:
    """What people call the database behind an alias."""
    return "gondola" if alias == "default" else alias


def labels(site: AdminSite, label: str, keys: Iterable[Any]) -> Labels:
    """The labels of the rows with these keys: one query at most. Keys that are missing have no row (any more)."""
    wanted = {key for key in keys if key is not None}
    if not wanted:
        return Labels({})
    model = target_of(label)
    table: Any = site._registry.get(model)
    rows = model._default_manager.filter(pk__in=wanted)
    fields: tuple[str, ...] = table.label_fields if hasattr(table, "label_fields") else ()
    if fields:
        rows = rows.only("pk", *fields)
    alias = router.db_for_read(model)
    try:
        return Labels({row.pk: show.clip(str(row), 60) for row in rows})
    except OperationalError:
        return Labels({}, away=database_name(alias))


def short(key: Any) -> str:
    return str(key)[:8]


def link(site: AdminSite, label: str, key: Any, known: Labels | None, whole: bool = False) -> SafeString:
    """A link to the row, with its label where labels were looked up; says so where there is no such row."""
    text = str(key) if whole else short(key)
    url = row_url(site, label, key)
    if known is not None and known.away:
        return format_html(
            '<a class="mono" href="{}" title="{}">{}</a> <span class="tag warn">{} is away</span>',
            url,
            key,
            text,
            known.away,
        )
    if known is not None and key not in known.by_key:
        return format_html('<span class="mono" title="{}">{}</span> <span class="mute">not found</span>', key, text)
    if url is None:
        return format_html('<span class="mono" title="{}">{}</span>', key, text)
    if known is None:
        return format_html('<a class="mono" href="{}" title="{}">{}</a>', url, key, text)
    if whole:
        return format_html('<a href="{}">{}</a> <span class="mono mute">{}</span>', url, known.by_key[key], text)
    return format_html('<a href="{}" title="{}">{}</a>', url, key, known.by_key[key])
