"""What the explorer of events is asked."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms

from activity.events import EventFilter
from activity.people import found_by


class Text(forms.CharField):
    """A text without the NULs that PostgreSQL refuses."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.replace("\x00", "") if isinstance(value, str) else value)


def _text(label: str, longest: int, placeholder: str) -> Text:
    return Text(
        label=label,
        required=False,
        max_length=longest,
        error_messages={"max_length": f"It has {longest} characters at most."},
        widget=forms.TextInput(attrs={"placeholder": placeholder}),
    )


class PersonField(Text):
    """Somebody, by id, address or name: their id, None for an empty field."""

    def __init__(self) -> None:
        super().__init__(
            label="Person",
            required=False,
            max_length=200,
            error_messages={"max_length": "It has 200 characters at most."},
            widget=forms.TextInput(attrs={"placeholder": "id, e-mail or name"}),
        )

    def clean(self, value: Any) -> UUID | None:
        """Who is meant. Of several, none: a wrong person's rows would be worse than a question."""
        text = str(super().clean(value)).strip()
        if not text:
            return None
        found = list(found_by(text)[:2])  # type: ignore[index]
        if len(found) == 1:
            return UUID(str(found[0]))
        raise forms.ValidationError(
            "More than one account has that in its name: write the whole e-mail."
            if found
            else "There is no such account: write an id, or part of an e-mail or name."
        )


class EventFilterForm(forms.Form):
    """Type, category, error, person, session; errors only."""

    type = _text("Event", 100, "onboarding.login_error")
    category = _text("Category", 100, "onboarding")
    error = _text("Error code", 50, "AUTH_001")
    user = PersonField()
    session = _text("Session", 255, "id")
    show = forms.ChoiceField(
        label="Show",
        required=False,
        choices=[("", "All events"), ("errors", "Errors only")],
        error_messages={"invalid_choice": "Write show=errors for errors only, or leave it out."},
    )

    def problems(self) -> list[str]:
        """What is wrong with the fields, and so did not narrow the list: a sentence each."""
        return [f"{self.fields[name].label}: {error}" for name, errors in self.errors.items() for error in errors]

    def as_filter(self) -> EventFilter:
        """The filter asked for. A field that makes no sense says so in the form, and narrows nothing."""
        self.is_valid()
        data = self.cleaned_data
        return EventFilter(
            event_type=data.get("type") or None,
            category=data.get("category") or None,
            user_id=data.get("user"),
            session_id=data.get("session") or None,
            error_code=data.get("error") or None,
            errors_only=data.get("show") == "errors",
        )
