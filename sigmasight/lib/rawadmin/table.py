"""The base of every raw table's pages."""

from __future__ import annotations

import ipaddress
import json
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin, ShowFacets, display
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models, router
from django.db.models import Q, QuerySet
from django.forms import Media
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from sigmasight.lib.rawadmin import answering, links, show
from sigmasight.lib.rawadmin.changelist import WindowChangeList
from sigmasight.lib.rawadmin.columns import Columns
from sigmasight.lib.rawadmin.filters import WHEN
from sigmasight.lib.rawadmin.forms import form_field

if TYPE_CHECKING:
    Base = ModelAdmin[Any]
else:
    Base = ModelAdmin

MOST_NAMED = 20


class RawTable(Columns, Base):
    """One table: what is shown of it, searched in it, and where its UUIDs point.

    A column of `columns` is a field's attribute name, or a name for which the class has a method `show_<name>`; what
    such a method reads of the row stands in `needs`. `searched` fields are compared exactly (UUIDs only with a UUID).
    """

    # ---- what a subclass says ----
    owner: ClassVar[str] = "ours"
    about: ClassVar[str] = ""
    searched: ClassVar[tuple[str, ...]] = ()
    label_fields: ClassVar[tuple[str, ...]] = ()
    hidden: ClassVar[tuple[str, ...]] = ()
    fixed: ClassVar[tuple[str, ...]] = ()
    addable: ClassVar[bool] = True
    editable: ClassVar[bool] = True
    deletable: ClassVar[bool] = True
    bulk_delete: ClassVar[bool] = True

    # ---- Django's own ----
    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    view_on_site = False
    actions_selection_counter = False
    empty_value_display = show.NOTHING

    def __init__(self, model: type[models.Model], admin_site: AdminSite) -> None:
        super().__init__(model, admin_site)
        foreign = {
            f.attname: f.related_model._meta.label
            for f in model._meta.concrete_fields
            if isinstance(f, models.ForeignKey) and not isinstance(f.related_model, str)
        }
        self.all_links: dict[str, str] = {**foreign, **self.pointers}
        for field in model._meta.concrete_fields:
            if not hasattr(self, f"show_{field.attname}"):
                setattr(self, f"show_{field.attname}", self._shower(field))
        self.list_display = [f"show_{name}" for name in self.columns]

    @property
    def key_fields(self) -> tuple[str, ...]:
        """What `object_key` reads of a row."""
        return ("pk",)

    @property
    def database(self) -> str:
        """The database's name as people say it: gondola or metro."""
        return links.database_name(self.using)

    @property
    def using(self) -> str:
        return router.db_for_read(self.model)

    @property
    def media(self) -> Media:
        return Media()

    def object_key(self, obj: Any) -> str:
        """What names a row in a URL and in the history."""
        return str(obj.pk)

    # ---- the list ----

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[WindowChangeList]:
        return WindowChangeList

    def list_annotations(self) -> dict[str, Any]:
        """What a list computes beside its columns."""
        return {}

    def get_list_display_links(self, request: HttpRequest, list_display: Sequence[Any]) -> Any:
        return list(list_display)[:1] if self.list_display_links == () else self.list_display_links

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """A URL may filter by what points elsewhere, by the filters and by date; by nothing that would scan."""
        own = {getattr(spec, "parameter_name", "") for spec in self.list_filter}
        dates = (
            {f"{self.date_hierarchy}__{part}" for part in ("year", "month", "day")} if self.date_hierarchy else set()
        )
        return lookup.removesuffix("__exact") in {*self.all_links, *self.searched, *own, *dates, WHEN, "id"}

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return self.searched

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip().replace("\x00", "")
        return (queryset.filter(self.search(term)) if term else queryset), False

    def search(self, term: str) -> Q:
        """The rows that a search finds: by default those that hold exactly this in one of the `searched` columns."""
        found = Q(pk__in=[])
        for name in self.searched:
            field = self.column(name)
            if isinstance(field, models.UUIDField | models.ForeignKey):
                if key := as_uuid(term):
                    found |= Q(**{field.attname: key})
            elif not isinstance(field, models.GenericIPAddressField) or is_address(term):
                found |= Q(**{name: term})
        return found

    @display(description="")
    def action_checkbox(self, obj: Any) -> SafeString:
        box = forms.CheckboxInput(
            {"class": "action-select", "aria-label": f"Choose {links.short(obj.pk)}"}, lambda v: False
        )
        return box.render(ACTION_CHECKBOX_NAME, str(obj.pk))

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        if not (self.bulk_delete and self.has_delete_permission(request)):
            actions.pop("delete_selected", None)
        return actions

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any) -> HttpResponse | None:
        """Only what was ticked: never "all that match", whose number nobody knows."""
        data = request.POST.copy()
        data["select_across"] = "0"
        request.POST = data  # type: ignore[assignment]
        return super().response_action(request, queryset, *args)

    # ---- one row ----

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.addable and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.editable and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.deletable and super().has_delete_permission(request, obj)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        try:
            key = self.model._meta.pk.to_python(object_id)
        except ValidationError:
            return None
        return self._whole(self.detail_queryset().filter(pk=key).first())

    def detail_queryset(self) -> QuerySet[Any]:
        """What a row's own page reads."""
        rows: QuerySet[Any] = self.model._default_manager.all()
        return rows

    def _whole(self, obj: Any) -> Any:
        if obj is not None:
            obj._in_list = False
        return obj

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Every column, in the table's order: as a form field where it may be changed, as its value otherwise."""
        may = self.has_add_permission(request) if obj is None else self.has_change_permission(request, obj)
        fixed = {"id", "created_at", "updated_at", *self.masked, *self.fixed}
        fields: list[str] = []
        for field in self.model._meta.concrete_fields:
            if field.attname in self.hidden:
                continue
            if may and field.editable and field.attname not in fixed:
                fields.append(field.name)
            elif obj is not None:
                fields.append(f"show_{field.attname}")
        return fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [name for name in self.get_fields(request, obj) if name.startswith("show_")]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest | None, **kwargs: Any) -> forms.Field | None:
        field = form_field(db_field)
        if field is not None:
            field.label = self.heading(db_field.attname)
        return field

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context["title"] = f"Add {self.opts.verbose_name}" if obj is None else show.clip(str(obj), 80)
        context["table"] = self
        if obj is not None:
            context["object_key"] = self.object_key(obj)
            context["points_to"] = self._points_to(obj)
            context["points_here"] = self._points_here(obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _points_to(self, obj: Any) -> list[tuple[str, SafeString]]:
        """Links to what this row points at, each with a label: one query for each table."""
        known = obj.__dict__.setdefault("_labels", {})
        found = []
        for name, target in self.all_links.items():
            value = getattr(obj, name)
            if value is not None:
                known[name] = links.labels(self.admin_site, target, [value])
                found.append((self.heading(name), links.link(self.admin_site, target, value, known[name])))
        return found

    def _points_here(self, obj: Any) -> list[tuple[str, str, str]]:
        """Links to the lists of rows that point at this one: table, column, URL. No query."""
        found = []
        for model, table in self.admin_site._registry.items():
            for name, target in getattr(table, "all_links", {}).items():
                if target.lower() == self.model._meta.label_lower:
                    url = links.list_url(self.admin_site, model, f"{name}={obj.pk}")
                    found.append((str(model._meta.verbose_name_plural), name, url))
        return found

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Writes only the columns that were changed: the application may be writing the others."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        names = {f.name for f in self.model._meta.concrete_fields}
        changed = [name for name in form.changed_data if name in names]
        if not changed:
            return
        if "updated_at" in names:
            obj.updated_at = timezone.now()
            changed.append("updated_at")
        self.write(obj, changed)

    def write(self, obj: Any, names: list[str]) -> None:
        """Stores these columns of a row."""
        obj.save(update_fields=names)

    # ---- deleting ----

    def blockers(self, obj: Any) -> list[str]:
        """Why this row can't be deleted, in sentences; nothing where it can."""
        return []

    def goes_along(self, obj: Any) -> list[str]:
        """What the database deletes with this row."""
        return []

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        rows = list(objs)
        named = [show.clip(str(row), 80) for row in rows[:MOST_NAMED]]
        if len(rows) > MOST_NAMED:
            named.append(f"and {len(rows) - MOST_NAMED} more")
        for row in rows:
            named.extend(self.goes_along(row))
        return (
            named,
            {str(self.opts.verbose_name_plural): len(rows)},
            set(),
            [b for row in rows for b in self.blockers(row)],
        )

    def render_delete_form(self, request: HttpRequest, context: Any) -> HttpResponse:
        context |= {"table": self, "object_key": self.object_key(context["object"])}
        context["title"] = f"Delete {self.opts.verbose_name}"
        return super().render_delete_form(request, context)

    # ---- history: Django's own, under the row's key ----

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return self._log(request, obj, ADDITION, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return self._log(request, obj, CHANGE, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return [self._log(request, obj, DELETION, "") for obj in queryset]

    def _log(self, request: HttpRequest, obj: Any, action: int, message: Any) -> LogEntry:
        return LogEntry.objects.create(
            user_id=request.user.pk or "",
            content_type_id=ContentType.objects.get_for_model(obj, for_concrete_model=False).pk,
            object_id=self.object_key(obj),
            object_repr=show.clip(str(obj), 200),
            action_flag=action,
            change_message=json.dumps(message) if isinstance(message, list) else message,
        )

    def message_user(self, request: HttpRequest, message: Any, *args: Any, **kwargs: Any) -> None:
        """Django's sentences, without "successfully"."""
        text = str(message).replace("Successfully deleted", "Deleted").replace(" successfully", "")
        kept = mark_safe(text) if isinstance(message, SafeString) else text  # noqa: S308 (as safe as it was)
        super().message_user(request, kept, *args, **kwargs)

    # ---- answers, whatever the database does ----

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        context = {"table": self, **(extra_context or {})}
        return self._answer(request, super().changelist_view, request, context)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return self._answer(request, super().changeform_view, request, object_id, form_url, extra_context)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return self._answer(request, super().delete_view, request, object_id, extra_context)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        context = {"table": self, "object_key": object_id, **(extra_context or {})}
        return self._answer(request, super().history_view, request, object_id, context)

    def _answer(self, request: HttpRequest, view: Any, *args: Any) -> HttpResponse:
        return answering.answer(request, self.using, lambda: view(*args), self._failed)

    def _failed(self, request: HttpRequest, error: DatabaseError) -> HttpResponse:
        if answering.refers_elsewhere(error):
            why = str(error).partition("\n")[2].removeprefix("DETAIL:").strip() or str(error)
            messages.error(request, f"Not saved: the database refused. {why}")
            return HttpResponseRedirect(request.get_full_path())
        kind = "slow" if answering.took_too_long(error) else "away"
        return self.nothing_to_show(request, kind, 503)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        return self.nothing_to_show(request, "gone", 404)

    def nothing_to_show(self, request: HttpRequest, kind: str, status: int) -> HttpResponse:
        """A page that says why there is nothing: `gone`, `slow` or `away`."""
        list_url = reverse(
            f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist", current_app=self.admin_site.name
        )
        context = {
            **self.admin_site.each_context(request),
            "title": str(self.opts.verbose_name_plural).capitalize(),
            "opts": self.opts,
            "table": self,
            "kind": kind,
            "list_url": list_url,
            "searching": bool(request.GET.get(SEARCH_VAR)),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/nothing.html", context, status=status).render()


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def as_uuid(text: str) -> uuid.UUID | None:
    """The UUID that a text is, None where it is something else."""
    try:
        return uuid.UUID(text.strip())
    except ValueError:
        return None
