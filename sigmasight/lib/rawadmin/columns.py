"""How a raw table's columns are headed and shown: short in a list, whole on a row's own page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib.admin import AdminSite, display
from django.db import models
from django.utils.safestring import SafeString

from sigmasight.lib.rawadmin import links, show

# What an annotated beginning of a long column is called: this and the column's name.
CLIP_PREFIX = "clipped_"
# Words of column names that people write otherwise.
WORDS = {"id": "ID", "ip": "IP"}


class Columns:
    """The columns of one table."""

    model: type[models.Model]
    admin_site: AdminSite
    all_links: dict[str, str]

    columns: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    sortable: ClassVar[tuple[str, ...]] = ()
    labelled: ClassVar[tuple[str, ...]] = ()
    tones: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    masked: ClassVar[tuple[str, ...]] = ()
    pointers: ClassVar[Mapping[str, str]] = {}

    def column(self, name: str) -> models.Field[Any, Any] | None:
        """The field behind a column; None for one that is only a method."""
        return next((f for f in self.model._meta.concrete_fields if name in (f.attname, f.name)), None)

    def _shower(self, field: models.Field[Any, Any]) -> Any:
        def shower(obj: Any) -> SafeString | str:
            return self.show(obj, field)

        order = field.attname if field.attname in self.sortable else None
        return display(description=self.heading(field.attname), ordering=order)(shower)

    def heading(self, name: str) -> str:
        """A column's name over a list and beside a value."""
        if name.endswith("_ms"):
            return f"{name.removesuffix('_ms').replace('_', ' ')}, ms"
        words = (name.removesuffix("_id") if name in self.all_links else name).split("_")
        return " ".join(WORDS.get(word, word) for word in words)

    def show(self, obj: Any, field: models.Field[Any, Any]) -> SafeString | str:
        """A column of a row: short where the list's query cut it, whole otherwise."""
        name = field.attname
        if name in self.masked:
            return show.secret(getattr(obj, name))
        clipped = CLIP_PREFIX + field.name
        if clipped in obj.__dict__:
            return show.clipped(obj.__dict__[clipped] or "")
        value = getattr(obj, name)
        in_list = obj.__dict__.get("_in_list", True)
        if value is None or value == "":
            return show.nothing()
        if name in self.all_links:
            return links.link(self.admin_site, self.all_links[name], value, self._known(obj, name), whole=not in_list)
        if isinstance(field, models.JSONField):
            return show.json_block(value)
        if isinstance(value, bool):
            return show.yes_no(value)
        if isinstance(field, models.DateTimeField):
            return show.moment(value) if in_list else show.exact_moment(value)
        if isinstance(field, models.UUIDField):
            return show.key(value, whole=not in_list)
        if isinstance(field, models.IntegerField):
            return show.number(value)
        if name in self.tones or field.choices:
            return show.tag(str(value), self.tones.get(name, {}).get(str(value), ""))
        if isinstance(field, models.TextField):
            return show.text_block(value)
        return str(value)

    def _known(self, obj: Any, name: str) -> links.Labels | None:
        known: links.Labels | None = obj.__dict__.get("_labels", {}).get(name)
        return known
