"""What the AI page is asked."""

from __future__ import annotations

from typing import Any

from django import forms

from activity.forms import PersonField, Text
from metrics.figures import AIFilter

# Of names, as in the table: longer ones are no one's.
NAME = 100


def _name(label: str, placeholder: str) -> Text:
    attrs = {"placeholder": placeholder, "maxlength": NAME, "list": f"known-{label.lower()}s", "autocomplete": "off"}
    return Text(label=label, required=False, strip=False, widget=forms.TextInput(attrs=attrs))


class AIFilterForm(forms.Form):
    """Model, tool, error and person. The page offers the names of its period."""

    model = _name("Model", "gpt-5-mini")
    tool = _name("Tool", "get_positions")
    error = _name("Error", "rate_limit_exceeded")
    user = PersonField()

    def problems(self) -> list[str]:
        """What is wrong with the fields, and so did not narrow the page: a sentence each."""
        return [f"{self.fields[name].label}: {error}" for name, errors in self.errors.items() for error in errors]

    def as_filter(self) -> AIFilter:
        """The filter asked for. A field that makes no sense says so in the form, and narrows nothing."""
        self.is_valid()
        data: dict[str, Any] = self.cleaned_data
        return AIFilter(data.get("model", ""), data.get("error", ""), data.get("tool", ""), data.get("user"))
