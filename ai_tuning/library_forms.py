"""What the lists of documents, memories and feedback are asked."""

from __future__ import annotations

from django import forms

from activity.forms import PersonField
from ai_tuning.forms import TEXT, Text
from ai_tuning.models import Memory
from ai_tuning.voices import VoiceFilter


class LibraryForm(forms.Form):
    """A form whose fields narrow a list. One that makes no sense says so, and narrows nothing."""

    def problems(self) -> list[str]:
        """A sentence for each field that makes no sense."""
        return [f"{self.fields[name].label}: {error}" for name, errors in self.errors.items() for error in errors]

    def labels(self) -> dict[str, str]:
        """The names of the fields that do, by parameter."""
        return {name: str(field.label) for name, field in self.fields.items() if name not in self.errors}


def _search(placeholder: str) -> Text:
    return Text(
        label="Search",
        required=False,
        max_length=TEXT,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": placeholder}),
    )


def _choice(label: str, *choices: tuple[str, str]) -> forms.ChoiceField:
    possible = ", ".join(key for key, _ in choices)
    return forms.ChoiceField(
        label=label,
        required=False,
        choices=[("", "Any"), *choices],
        error_messages={"invalid_choice": f"Write one of {possible}, or leave it out."},
    )


class DocumentForm(LibraryForm):
    """Words, scope, embedding, staleness."""

    q = _search("words in the title or text")
    scope = Text(
        label="Scope",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"placeholder": "global, page:portfolio"}),
    )
    embedding = _choice("Embedding", ("yes", "Embedded"), ("no", "Not embedded"))
    state = _choice("State", ("stale", "Stale"), ("fresh", "Fresh"))


class MemoryForm(LibraryForm):
    """Words, person, scope, source."""

    q = _search("words in the memory")
    user = PersonField()
    scope = _choice("Scope", *((scope.value, scope.label) for scope in Memory.Scope))
    source = _choice("Source", ("learned", "Learnt from feedback"), ("told", "From the application"))


class FeedbackForm(LibraryForm):
    """Rating, review, text, person."""

    rating = _choice("Rating", ("down", "Thumbs-down"), ("up", "Thumbs-up"))
    review = _choice("Review", ("open", "Waits for review"), ("done", "Reviewed"))
    text = _choice("Came with", ("edited", "A better text"), ("commented", "A comment"))
    user = PersonField()

    def as_filter(self) -> VoiceFilter:
        self.is_valid()
        data = self.cleaned_data
        return VoiceFilter(data.get("rating", ""), data.get("review", ""), data.get("text", ""), data.get("user"))
