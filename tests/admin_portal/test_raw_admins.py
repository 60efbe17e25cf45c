"""The admins' own raw tables: nobody is locked out, and a lost right ends at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.forms import modelform_factory
from django.test import Client
from django.urls import reverse

from admin_portal.admin import AdminUserForm
from admin_portal.models import AdminSession, AdminUser
from tests.conftest import PASSWORD
from tests.factories.ai_tuning import AnnotationFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


LIST = "/admin/db/admin_portal/adminuser/"
NEW_PASSWORD = "an entirely different phrase"
BOTH = {"new_password": NEW_PASSWORD, "again": NEW_PASSWORD}
SESSIONS = "/admin/db/admin_portal/adminsession/"


def change(client: Any, admin: AdminUser, **values: str) -> Any:
    data = {"email": admin.email, "full_name": admin.full_name, "role": admin.role, "is_active": "on", **values}
    return client.post(f"{LIST}{admin.pk}/change/", {k: v for k, v in data.items() if v})


@pytest.fixture
def other(admin: AdminUser) -> Any:
    """A second browser, in which the admin is signed in."""
    browser = Client()
    browser.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get("/admin/db/").status_code == 200
    return browser


def test_a_new_admin_can_sign_in(as_super_admin: Any) -> None:
    response = as_super_admin.post(
        reverse("admin:admin_portal_adminuser_add"),
        {
            "email": "Kim@Example.com",
            "full_name": "Kim Ode",
            "role": "admin",
            "is_active": "on",
            "new_password": NEW_PASSWORD,
            "again": NEW_PASSWORD,
        },
    )

    assert response.status_code == 302
    kim = AdminUser.objects.get(email="kim@example.com")
    assert kim.password.startswith("argon2")
    assert kim.check_password(NEW_PASSWORD)
    assert NEW_PASSWORD not in str(list(LogEntry.objects.values()))


@pytest.mark.parametrize(
    ("password", "again", "field"),
    [("", "", "new_password"), ("short", "short", "new_password"), (NEW_PASSWORD, "another", "again")],
)
def test_a_bad_password_is_refused(as_super_admin: Any, password: str, again: str, field: str) -> None:
    response = as_super_admin.post(
        reverse("admin:admin_portal_adminuser_add"),
        {"email": "kim@example.com", "full_name": "K", "role": "admin", "new_password": password, "again": again},
    )

    assert field in response.context["adminform"].form.errors
    assert not AdminUser.objects.filter(email="kim@example.com").exists()


def test_an_address_that_is_taken_in_another_case_is_refused(as_super_admin: Any, admin: AdminUser) -> None:
    response = as_super_admin.post(
        reverse("admin:admin_portal_adminuser_add"),
        {
            "email": "INES@example.com",
            "full_name": "I",
            "role": "admin",
            "new_password": NEW_PASSWORD,
            "again": NEW_PASSWORD,
        },
    )

    assert response.status_code == 200
    assert AdminUser.objects.filter(email__iexact="ines@example.com").count() == 1


@pytest.mark.parametrize("values", [{"is_active": ""}, {"role": "super_admin"}, BOTH])
def test_a_change_of_rights_or_password_ends_the_admins_sessions(
    as_super_admin: Any, admin: AdminUser, other: Any, values: dict[str, str]
) -> None:
    assert change(as_super_admin, admin, **values).status_code == 302

    assert not AdminSession.objects.of(admin.pk).live().exists()
    assert other.get("/admin/db/").status_code == 302


def test_a_change_of_name_ends_nothing(as_super_admin: Any, admin: AdminUser, other: Any) -> None:
    change(as_super_admin, admin, full_name="Ines M.")

    assert other.get("/admin/db/").status_code == 200


def test_a_password_set_here_is_hashed_and_an_empty_one_changes_nothing(as_super_admin: Any, admin: AdminUser) -> None:
    change(as_super_admin, admin, full_name="Ines M.")
    admin.refresh_from_db()
    assert admin.check_password(PASSWORD)

    change(as_super_admin, admin, new_password=NEW_PASSWORD, again=NEW_PASSWORD)
    admin.refresh_from_db()
    assert admin.check_password(NEW_PASSWORD)


def test_one_cannot_take_ones_own_rights(as_super_admin: Any, super_admin: AdminUser) -> None:
    page = as_super_admin.get(f"{LIST}{super_admin.pk}/change/").content.decode()
    assert 'name="role"' not in page
    assert 'name="is_active"' not in page
    assert 'name="new_password"' not in page

    change(as_super_admin, super_admin, role="admin", is_active="")

    super_admin.refresh_from_db()
    assert super_admin.is_super_admin
    assert super_admin.is_active
    assert as_super_admin.get("/admin/db/").status_code == 200


def test_one_cannot_delete_oneself(as_super_admin: Any, super_admin: AdminUser) -> None:
    assert as_super_admin.post(f"{LIST}{super_admin.pk}/delete/", {"post": "yes"}).status_code == 403
    as_super_admin.post(
        LIST, {"action": "delete_selected", "_selected_action": str(super_admin.pk), "index": 0, "post": "yes"}
    )

    assert AdminUser.objects.filter(pk=super_admin.pk).exists()


def test_the_last_active_super_admin_stays_one(as_super_admin: Any, super_admin: AdminUser) -> None:
    """Two who demote each other at once: the second finds that no other is left."""
    second = AdminUser.objects.create_admin("lee@example.com", PASSWORD, role="super_admin")
    AdminUser.objects.filter(pk=super_admin.pk).update(role="admin")

    fields = ["email", "full_name", "role", "is_active"]
    data = {"email": second.email, "full_name": "Lee", "role": "admin", "is_active": "on", **BOTH}
    form = modelform_factory(AdminUser, form=AdminUserForm, fields=fields)(data, instance=second)

    assert "This is the last active super admin: make somebody else one first." in form.non_field_errors()


def test_another_super_admin_may_be_demoted(as_super_admin: Any) -> None:
    second = AdminUser.objects.create_admin("lee@example.com", PASSWORD, role="super_admin")

    assert change(as_super_admin, second, role="admin").status_code == 302

    second.refresh_from_db()
    assert second.role == "admin"


def test_an_admin_who_left_traces_is_deactivated_not_deleted(as_super_admin: Any, admin: AdminUser) -> None:
    AnnotationFactory(admin_user_id=admin.pk)
    url = f"{LIST}{admin.pk}/delete/"

    assert "Annotations name this admin" in as_super_admin.get(url).content.decode()
    as_super_admin.post(url, {"post": "yes"})

    assert AdminUser.objects.filter(pk=admin.pk).exists()


def test_an_admin_without_traces_is_deleted_with_their_sessions(
    as_super_admin: Any, admin: AdminUser, other: Any
) -> None:
    assert as_super_admin.post(f"{LIST}{admin.pk}/delete/", {"post": "yes"}).status_code == 302

    assert not AdminUser.objects.filter(pk=admin.pk).exists()
    assert other.get("/admin/db/").status_code == 302


def test_without_metro_nobody_can_say_what_an_admin_left(
    as_super_admin: Any, admin: AdminUser, away: Any, settings: Any
) -> None:
    if settings.METRO_IS_GONDOLA:
        pytest.skip("one database")
    away("metro")

    assert "Metro doesn’t answer" in as_super_admin.get(f"{LIST}{admin.pk}/delete/").content.decode()


def test_a_super_admin_ends_sessions_of_others(as_super_admin: Any, admin: AdminUser, other: Any) -> None:
    session = AdminSession.objects.of(admin.pk).get()

    as_super_admin.post(
        SESSIONS,
        {"action": "end_sessions", "_selected_action": str(session.pk), "index": 0},
    )

    assert other.get("/admin/db/").status_code == 302
    assert LogEntry.objects.get().object_id == str(session.pk)


def test_an_admin_ends_nobodys_session(as_admin: Any, super_admin: AdminUser) -> None:
    Client().force_login(super_admin, backend="django.contrib.auth.backends.ModelBackend")
    session = AdminSession.objects.of(super_admin.pk).get()

    as_admin.post(
        SESSIONS,
        {"action": "end_sessions", "_selected_action": str(session.pk), "index": 0},
    )

    assert AdminSession.objects.of(super_admin.pk).live().exists()


def test_a_session_is_not_edited_by_hand(as_super_admin: Any) -> None:
    session = AdminSession.objects.get()

    assert as_super_admin.post(f"/admin/db/admin_portal/adminsession/{session.pk}/change/", {}).status_code == 403
    assert as_super_admin.get("/admin/db/admin_portal/adminsession/add/").status_code == 403
