"""What the list of conversations is asked."""

from __future__ import annotations

from typing import Any

from django import forms

from ai_tuning.conversations import ConversationFilter

TEXT = 200


class ConversationFilterForm(forms.Form):
    """Search, person, model, rating. `models`: those to choose from."""

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=TEXT,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "words in a message, or an id"}),
    )
    user = forms.CharField(
        label="Person",
        required=False,
        max_length=TEXT,
        widget=forms.TextInput(attrs={"placeholder": "name or e-mail"}),
    )
    model = forms.ChoiceField(label="Model", required=False)
    rating = forms.ChoiceField(
        label="Rating",
        required=False,
        choices=[("", "Any"), ("down", "Thumbs-down"), ("up", "Thumbs-up")],
    )

    def __init__(self, *args: Any, models: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = str(self.data.get("model", ""))
        names = models if not chosen or chosen in models else sorted({*models, chosen[:100]})
        self.fields["model"].choices = [("", "Any"), *((name, name) for name in names)]  # type: ignore[attr-defined]

    def as_filter(self) -> ConversationFilter:
        """The filter asked for. A field that makes no sense says so in the form, and narrows nothing."""
        self.is_valid()
        data = self.cleaned_data
        return ConversationFilter(
            text=data.get("q", "").replace("\x00", ""),
            person=data.get("user", "").replace("\x00", ""),
            model=data.get("model", ""),
            rating=data.get("rating", ""),
        )
