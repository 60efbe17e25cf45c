"""Form fields that give back exactly what they got: no lost microseconds, no trimmed blanks; JSON one can read."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.db import models
from django.utils import timezone


class PrettyJSON(json.JSONEncoder):
    """Two blanks of indent, whatever the caller wanted."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "indent": 2})


class JSONText(forms.JSONField):
    """JSON as text. `empty` is what an emptied field means."""

    def __init__(self, *args: Any, empty: Any = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.empty = empty

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)

    def clean(self, value: Any) -> Any:
        cleaned = super().clean(value)
        return self.empty if cleaned is None else cleaned


class MomentInput(forms.DateTimeInput):
    """A moment as text, in UTC, to the microsecond."""

    supports_microseconds = True

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs, format="%Y-%m-%d %H:%M:%S.%f")


def form_field(column: models.Field[Any, Any]) -> forms.Field | None:
    """The form field of a raw column; None where it can't be edited."""
    mono = {"class": "field mono", "spellcheck": "false", "autocomplete": "off"}
    plain = {"class": "field", "autocomplete": "off"}
    if isinstance(column, models.ForeignKey):
        # A UUID to type, never a <select> over all rows of the other table.
        return column.formfield(widget=forms.TextInput(attrs=mono))
    if isinstance(column, models.JSONField):
        empty = None if column.null else column.get_default() if column.has_default() else None
        return column.formfield(
            form_class=JSONText,
            encoder=PrettyJSON,
            show_hidden_initial=False,
            empty=empty,
            widget=forms.Textarea(attrs={**mono, "class": "field mono rt-code", "rows": 8}),
        )
    if isinstance(column, models.DateTimeField):
        options: dict[str, Any] = {"initial": timezone.now} if column.has_db_default() else {}
        return column.formfield(widget=MomentInput(mono), help_text=column.help_text or "UTC", **options)
    if isinstance(column, models.DateField):
        return column.formfield(widget=forms.DateInput(format="%Y-%m-%d", attrs={**plain, "type": "date"}))
    if isinstance(column, models.UUIDField):
        return column.formfield(widget=forms.TextInput(attrs=mono))
    if column.choices:
        return column.formfield(widget=forms.Select(attrs={"class": "field"}))
    if isinstance(column, models.TextField):
        return column.formfield(
            strip=False,
            empty_value=None if column.null else "",
            widget=forms.Textarea(attrs={**plain, "class": "field rt-prose", "rows": 6}),
        )
    if isinstance(column, models.CharField) and not isinstance(column, models.EmailField):
        return column.formfield(strip=False, widget=forms.TextInput(attrs=plain))
    if isinstance(column, models.BooleanField):
        return column.formfield()
    field: forms.Field | None = column.formfield()
    if field is not None:
        field.widget.attrs.setdefault("class", "field")
    return field
