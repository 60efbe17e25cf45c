"""Raw tables of the admins themselves. Nobody can lock everybody out here, and a lost right ends at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from axes.models import AccessAttempt
from django import forms
from django.contrib import messages
from django.contrib.admin import action, display
from django.contrib.admin.models import LogEntry
from django.contrib.auth.password_validation import validate_password
from django.db import OperationalError
from django.db.models import Model, Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from admin_portal.auth import PASSWORD_CHARACTERS
from admin_portal.models import AdminSession, AdminUser, SavedView, one_spelling
from ai_tuning.models import Annotation
from sigmasight.lib.rawadmin import RawTable, choices, is_set, show, time_window
from sigmasight.lib.rawadmin.filters import RawFilter
from sigmasight.lib.rawadmin.table import as_uuid

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[AdminUser]
else:
    ModelForm = forms.ModelForm

# A change of any of these ends every session of the admin.
ENDS_SESSIONS = frozenset({"role", "is_active", "email", "new_password"})


def password_field(label: str, required: bool, help_text: str = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        required=required,
        strip=False,
        max_length=PASSWORD_CHARACTERS,
        help_text=help_text,
        widget=forms.PasswordInput(attrs={"class": "field", "autocomplete": "new-password"}),
    )


class AdminUserForm(ModelForm):
    """An admin, with a password to set. The password's hash is neither shown nor typed."""

    new_password = password_field(
        "password", True, "12 characters or more. Hand it over in person; it can be changed at /admin/account."
    )
    again = password_field("password again", True)

    def clean_email(self) -> str:
        return one_spelling(self.cleaned_data["email"])

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        if password:
            validate_password(password, self.instance)
        return password

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "new_password" in data and "again" in data and data["new_password"] != data["again"]:
            self.add_error("again", "The two don’t match: type the password the same way twice.")
        if self.instance.pk and not self.instance._state.adding:
            self._keep_one_super_admin(data)
        return data

    def _keep_one_super_admin(self, data: dict[str, Any]) -> None:
        stays = data.get("role") == AdminUser.Role.SUPER_ADMIN and data.get("is_active")
        if stays or not {"role", "is_active"} & set(data):
            return
        # Locked, so that two who demote each other in the same second take turns.
        supers = AdminUser.objects.select_for_update().filter(role=AdminUser.Role.SUPER_ADMIN, is_active=True)
        if not supers.exclude(pk=self.instance.pk):
            self.add_error(None, "This is the last active super admin: make somebody else one first.")


class AdminUserTable(RawTable):
    about = "Those who may sign in here."
    columns = ("email", "full_name", "role", "is_active", "last_login", "created_at")
    sortable = ("email", "full_name", "last_login", "created_at")
    ordering = ["email", "id"]
    list_filter = [choices("role", AdminUser.Role.choices), is_set("is_active", "active", boolean=True)]
    searched = ("id", "email", "full_name")
    search_help_text = "A part of a name or an e-mail address, or an admin’s id."
    label_fields = ("full_name", "email")
    masked = ("password",)
    fixed = ("last_login",)
    tones = {"role": {"super_admin": "on"}}
    bulk_delete = False
    form = AdminUserForm

    def search(self, term: str) -> Q:
        if key := as_uuid(term):
            return Q(pk=key)
        return Q(email__icontains=term) | Q(full_name__icontains=term)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """One's own rights and password are not changed here: the first by another super admin, the second at
        /admin/account."""
        fields = super().get_fields(request, obj)
        if obj is not None and obj.pk == request.user.pk:
            own = {"role", "is_active"}
            return [f"show_{name}" if name in own else name for name in fields]
        if self.has_add_permission(request) if obj is None else self.has_change_permission(request, obj):
            return [*fields, "new_password", "again"]
        return fields

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if "new_password" not in self.get_fields(request, obj):
            return type(form.__name__, (form,), {"new_password": None, "again": None})
        if obj is None:
            return form
        optional = {
            "new_password": password_field("new password", False, "Left empty, it stays as it is."),
            "again": password_field("new password again", False),
        }
        return type(form.__name__, (form,), optional)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        password = form.cleaned_data.get("new_password")
        if password:
            obj.set_password(password)
        super().save_model(request, obj, form, change)
        if change and password:
            obj.save(update_fields=["password", "updated_at"])
        if change and ENDS_SESSIONS & set(form.changed_data) and obj.pk != request.user.pk:
            ended = AdminSession.objects.of(obj.pk).revoke()
            if ended:
                messages.info(request, f"{ended} session{'' if ended == 1 else 's'} of {obj} ended.")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        own = obj is not None and obj.pk == request.user.pk
        return not own and super().has_delete_permission(request, obj)

    def blockers(self, obj: Any) -> list[str]:
        """What an admin has done keeps its author: such an admin is deactivated instead."""
        found = []
        if LogEntry.objects.filter(user_id=obj.pk).exists():
            found.append("The history of changes names this admin. Deactivate the account instead.")
        try:
            if Annotation.objects.filter(admin_user_id=obj.pk).exists():
                found.append("Annotations name this admin. Deactivate the account instead.")
        except OperationalError:
            found.append(
                "Metro doesn’t answer, so nobody can say whether annotations name this admin. Try again later."
            )
        return found

    def goes_along(self, obj: Any) -> list[str]:
        count = obj.sessions.count()
        return [f"the record of {count:,} sign-in{'' if count == 1 else 's'}"] if count else []


class SessionState(RawFilter):
    """Live, or over."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("live", "live"), ("ended", "ended")]

    def narrow(self, queryset: Any, value: str) -> Any:
        return queryset.live() if value == "live" else queryset.ended()


class AdminSessionTable(RawTable):
    about = "Sign-ins: from where, with what, until when. The row is the session."
    columns = ("created_at", "admin_user_id", "state", "ip_address", "user_agent", "expires_at", "revoked_at")
    needs = {"state": ("expires_at", "revoked_at")}
    sortable = ("created_at", "expires_at")
    ordering = ["-created_at", "-id"]
    list_filter = [time_window(), SessionState]
    searched = ("admin_user_id", "ip_address")
    search_help_text = "An IP address, whole, or an admin’s id."
    labelled = ("admin_user_id",)
    masked = ("token_hash", "session_data")
    addable = editable = False
    actions = ["end_sessions"]

    @display(description="state")
    def show_state(self, obj: Any) -> SafeString:
        return show.tag("live", "good") if obj.is_live(timezone.now()) else show.tag("ended")

    def has_end_permission(self, request: HttpRequest) -> bool:
        """A session isn't edited, but a super admin may end it."""
        return bool(request.user.has_perm("admin_portal.change_adminsession"))

    @action(description="End the chosen sessions", permissions=["end"])
    def end_sessions(self, request: HttpRequest, queryset: Any) -> None:
        """Ends them at once; the rows stay as a record."""
        sessions = list(queryset.live())
        ended = queryset.revoke()
        for session in sessions:
            self.log_change(request, session, "Ended.")
        messages.success(request, f"{ended} session{'' if ended == 1 else 's'} ended.")


class LogEntryTable(RawTable):
    about = "What was changed on these pages, by whom."
    columns = ("action_time", "user_id", "action_flag", "content_type_id", "object_repr", "message")
    needs = {
        "action_flag": ("action_flag",),
        "content_type_id": ("content_type",),
        "message": ("change_message", "action_flag"),
    }
    sortable = ("action_time",)
    ordering = ["-action_time", "-id"]
    date_hierarchy = "action_time"
    list_filter = [time_window("action_time")]
    searched = ("user_id", "object_id")
    search_help_text = "An admin’s id, or the key of the row that was changed."
    labelled = ("user_id",)
    list_select_related = ["content_type"]
    addable = editable = deletable = False

    @display(description="action")
    def show_action_flag(self, obj: Any) -> SafeString:
        words = {1: ("added", "good"), 2: ("changed", ""), 3: ("deleted", "bad")}
        return show.tag(*words.get(obj.action_flag, (str(obj.action_flag), "")))

    @display(description="table")
    def show_content_type_id(self, obj: Any) -> str:
        return str(obj.content_type) if obj.content_type_id else show.NOTHING

    @display(description="what")
    def show_message(self, obj: Any) -> str:
        return show.clip(obj.get_change_message())


class AccessAttemptTable(RawTable):
    about = "Wrong passwords of late. Deleting a row lets that pair of address and place try again."
    columns = ("attempt_time", "username", "ip_address", "failures_since_start", "user_agent")
    sortable = ("attempt_time",)
    ordering = ["-attempt_time", "-id"]
    list_filter = [time_window("attempt_time")]
    searched = ("username", "ip_address")
    search_help_text = "An e-mail address or an IP address, whole."
    masked = ("get_data", "post_data")
    addable = editable = False


class SavedViewTable(RawTable):
    about = "Pages with their filters and period, kept by admins under a name."
    columns = ("name", "page", "query", "admin_user_id", "created_at")
    sortable = ("created_at",)
    ordering = ["-created_at", "-id"]
    list_filter = [time_window()]
    searched = ("admin_user_id",)
    search_help_text = "An admin’s id."
    labelled = ("admin_user_id",)
    addable = editable = False


RAW_TABLES: Mapping[type[Model], type[RawTable]] = {
    AdminUser: AdminUserTable,
    AdminSession: AdminSessionTable,
    LogEntry: LogEntryTable,
    AccessAttempt: AccessAttemptTable,
    SavedView: SavedViewTable,
}
