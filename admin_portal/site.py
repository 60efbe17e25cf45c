"""Django's admin, at /admin/db/: every row of both databases. `admin` may look, `super_admin` may change.

The tables are declared in each app's `admin.py`; what they share is `sigmasight.lib.rawadmin`. Signing in and out and
one's own password are the product's, not this site's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from django.contrib.admin import AdminSite
from django.contrib.admin.models import LogEntry
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.text import capfirst
from django.views.decorators.cache import never_cache

from activity.admin import RAW_TABLES as ACTIVITY
from admin_portal.admin import RAW_TABLES as ADMINS
from admin_portal.views.auth import sign_out
from ai_tuning.admin import RAW_TABLES as TUNING
from metrics.admin import RAW_TABLES as METRICS
from sigmasight.lib import format as fmt
from sigmasight.lib.rawadmin import RawTable
from sigmasight.lib.rawadmin.counts import TableSize, table_sizes

GROUPS = (
    ("Activity", "gondola", ACTIVITY),
    ("Metrics", "gondola", METRICS),
    ("AI tuning", "metro", TUNING),
    ("Admins", "gondola", ADMINS),
)
RECENT_CHANGES = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """A table in the navigation and on the first page."""

    table: RawTable
    name: str
    url: str
    current: bool
    size: TableSize | None = None

    @property
    def rows(self) -> str:
        return fmt.NOTHING if self.size is None else str(self.size)

    @property
    def disk(self) -> str:
        return fmt.NOTHING if self.size is None else str(fmt.filesize(self.size.bytes))


@dataclass(frozen=True, slots=True)
class Group:
    """Tables that belong together, all in one database; `away` where that one doesn't answer."""

    label: str
    database: str
    entries: tuple[Entry, ...]
    away: bool = False


class HouseAdminSite(AdminSite):
    """The raw tables. Everybody who is signed in may look."""

    site_title = "SigmaSight Admin"
    site_header = "Raw tables"
    index_title = "Raw tables"
    site_url = "/admin"
    enable_nav_sidebar = False
    # It would take every path below, and then none without its slash could lead to the page.
    final_catch_all_view = False

    def has_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_authenticated

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), "raw_groups": list(self.groups(request))}

    def groups(self, request: HttpRequest) -> Iterator[Group]:
        """The tables, by what they are about. No query."""
        match = request.resolver_match
        here = match.url_name or "" if match else ""
        for label, database, tables in GROUPS:
            entries = []
            for model in tables:
                meta = model._meta
                name = f"{meta.app_label}_{meta.model_name}"
                table = cast("RawTable", self._registry[model])
                url = reverse(f"admin:{name}_changelist", current_app=self.name)
                current = here.startswith(f"{name}_")
                entries.append(Entry(table, capfirst(str(meta.verbose_name_plural)), url, current))
            yield Group(label, database, tuple(entries))

    def index(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        """Every table with its rows and its size; the last changes made here."""
        context = {
            **self.each_context(request),
            "title": self.index_title,
            "sized_groups": [_sized(group) for group in self.groups(request)],
            "changes": LogEntry.objects.select_related("content_type", "user").order_by("-action_time")[
                :RECENT_CHANGES
            ],
            **(extra_context or {}),
        }
        request.current_app = self.name
        return TemplateResponse(request, "admin/index.html", context)

    def app_index(self, request: HttpRequest, app_label: str, extra_context: Any = None) -> HttpResponse:  # type: ignore[override]
        """The tables of one app are on the first page, with all the others."""
        return redirect("admin:index")

    @method_decorator(never_cache)
    @login_not_required
    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """There is one way in, and it isn't here."""
        wanted = request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index", current_app=self.name)
        return redirect_to_login(wanted, reverse("login"))

    def logout(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:  # type: ignore[override]
        """Ends the session, as the product's own sign-out does. POST only."""
        return sign_out(request)

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:  # type: ignore[override]
        return redirect("account")

    def password_change_done(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:  # type: ignore[override]
        return redirect("account")

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        """Nothing here asks for it, and its search would not be bounded."""
        raise Http404


def _sized(group: Group) -> Group:
    """The group with the size of each table; without, where the database doesn't answer."""
    using = group.entries[0].table.using
    try:
        sizes = table_sizes([entry.table.opts.db_table for entry in group.entries], using)
    except OperationalError:
        return Group(group.label, group.database, group.entries, away=True)
    sized = (Entry(e.table, e.name, e.url, e.current, sizes.get(e.table.opts.db_table)) for e in group.entries)
    return Group(group.label, group.database, tuple(sized))


site = HouseAdminSite(name="admin")
for _label, _database, _tables in GROUPS:
    for _model, _table in _tables.items():
        site.register(_model, _table)
