"""What the list of conversations is asked."""

from __future__ import annotations

from typing import Any

from django import forms

from ai_tuning.conversations import ConversationFilter

TEXT = 200
# Of a model's name, as in the table.
NAME = 100


class Text(forms.CharField):
    """A text without the NULs that PostgreSQL refuses."""

    default_error_messages = {"max_length": f"More than {TEXT} characters find nothing: use fewer words."}

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.replace("\x00", "") if isinstance(value, str) else value)


class ConversationFilterForm(forms.Form):
    """Search, person, model, rating. `models`: those to choose from."""

    q = Text(
        label="Search",
        required=False,
        max_length=TEXT,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "words in a message, or an id"}),
    )
    user = Text(
        label="Person",
        required=False,
        max_length=TEXT,
        widget=forms.TextInput(attrs={"placeholder": "name or e-mail"}),
    )
    model = forms.ChoiceField(
        label="Model",
        required=False,
        error_messages={"invalid_choice": "There is no such model: choose one from the list."},
    )
    rating = forms.ChoiceField(
        label="Rating",
        required=False,
        choices=[("", "Any"), ("down", "Thumbs-down"), ("up", "Thumbs-up")],
        error_messages={"invalid_choice": "A rating is up or down: choose one from the list."},
    )

    def __init__(self, *args: Any, models: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = str(self.data.get("model", ""))
        possible = chosen and len(chosen) <= NAME and "\x00" not in chosen
        names = sorted({*models, chosen}) if possible else models
        self.fields["model"].choices = [("", "Any"), *((name, name) for name in names)]  # type: ignore[attr-defined]

    def problems(self) -> list[str]:
        """What is wrong with the fields, and so did not narrow the list: a sentence each."""
        return [f"{self.fields[name].label}: {error}" for name, errors in self.errors.items() for error in errors]

    def as_filter(self) -> ConversationFilter:
        """The filter asked for. A field that makes no sense says so in the form, and narrows nothing."""
        self.is_valid()
        data = self.cleaned_data
        return ConversationFilter(
            text=data.get("q", ""),
            person=data.get("user", ""),
            model=data.get("model", ""),
            rating=data.get("rating", ""),
        )
