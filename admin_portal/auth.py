"""Signing in and out, and what an admin may do with their own account: forms and the answer to guessers."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from admin_portal.models import AdminUser, one_spelling

# Argon2 reads all of it: a megabyte of password is an attack, not a password.
PASSWORD_CHARACTERS = 1024


class SignInForm(AuthenticationForm):
    """E-mail and password. Which of the two was wrong is not said."""

    error_messages = {
        "invalid_login": "This e-mail address and password don’t go together. Passwords tell capitals apart.",
        "inactive": "This account is switched off. A super admin can switch it on again.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "E-mail"
        self.fields["username"].widget.attrs.update(
            {"type": "email", "autocomplete": "username", "inputmode": "email", "spellcheck": "false"}
        )
        self.fields["password"].widget.attrs.update({"autocomplete": "current-password"})
        self.fields["password"].max_length = PASSWORD_CHARACTERS  # type: ignore[attr-defined]
        self.fields["password"].validators.append(forms.CharField(max_length=PASSWORD_CHARACTERS).validators[0])


class PasswordForm(forms.Form):
    """A change of one's own password: the current one, and the new one once. Browsers keep it from then on."""

    current = forms.CharField(
        label="Current password",
        strip=False,
        max_length=PASSWORD_CHARACTERS,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new = forms.CharField(
        label="New password",
        strip=False,
        max_length=PASSWORD_CHARACTERS,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="12 characters or more, and not one that is in every list of common passwords.",
    )
    again = forms.CharField(
        label="New password again",
        strip=False,
        max_length=PASSWORD_CHARACTERS,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, admin: AdminUser, *args: Any, **kwargs: Any) -> None:
        self.admin = admin
        super().__init__(*args, **kwargs)

    def clean_current(self) -> str:
        current: str = self.cleaned_data["current"]
        if not self.admin.check_password(current):
            raise ValidationError("That is not your current password.")
        return current

    def clean_new(self) -> str:
        new: str = self.cleaned_data["new"]
        validate_password(new, self.admin)
        return new

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "new" in data and "again" in data and data["new"] != data["again"]:
            self.add_error("again", "The two don’t match: type the new password the same way twice.")
        return data

    def save(self) -> AdminUser:
        """Stores the new password. The caller ends the other sessions."""
        self.admin.set_password(self.cleaned_data["new"])
        self.admin.save(update_fields=["password", "updated_at"])
        return self.admin


def locked_out(request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None) -> HttpResponse:
    """The answer to somebody who has guessed too often (called by django-axes)."""
    answer = render(request, "admin_portal/login.html", {"form": SignInForm(request), "locked": True}, status=429)
    answer["Retry-After"] = str(15 * 60)
    return answer


def address_typed(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """Whose password was tried, in one spelling (called by django-axes, which counts by it)."""
    given = (credentials or {}).get("username") or request.POST.get("username", "")
    return one_spelling(str(given))[:255]
