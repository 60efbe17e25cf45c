"""Signing in, staying in, getting out."""

from __future__ import annotations

import datetime as dt
import re

import bcrypt
import pytest
import time_machine
from django.contrib.messages import get_messages
from django.contrib.sessions.backends.base import UpdateError
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from admin_portal.models import AdminSession, AdminUser
from admin_portal.sessions import token_hash
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db(databases=["default", "metro"])
COOKIE = "sigmasight_admin"


def sign_in(client, email="ines@example.com", password=PASSWORD, **extra):
    return client.post(reverse("login"), {"username": email, "password": password}, **extra)


def test_it_lets_an_admin_in_and_leads_to_the_overview(client, admin):
    response = sign_in(client)
    assert response.status_code == 302
    assert response["Location"] == "/admin"
    assert client.get("/admin").status_code == 200


def test_it_takes_the_address_in_any_case(client, admin):
    assert sign_in(client, "INES@Example.com").status_code == 302


def test_it_leads_back_to_the_page_that_was_asked_for(client, admin):
    asked = client.get("/admin/ai?period=7d")
    assert asked.status_code == 302
    assert asked["Location"] == "/admin/login?next=/admin/ai%3Fperiod%3D7d"
    response = client.post(
        "/admin/login", {"username": admin.email, "password": PASSWORD, "next": "/admin/ai?period=7d"}
    )
    assert response["Location"] == "/admin/ai?period=7d"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_it_never_leads_to_another_site(client, admin, target):
    response = client.post("/admin/login", {"username": admin.email, "password": PASSWORD, "next": target})
    assert response["Location"] == "/admin"


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(client, admin):
    wrong, unknown = sign_in(client, password="wrong"), sign_in(client, "nobody@example.com")
    assert wrong.status_code == unknown.status_code == 200
    assert "don’t go together" in wrong.content.decode()
    assert "don’t go together" in unknown.content.decode()
    assert not AdminSession.objects.exists()


def test_somebody_switched_off_does_not_get_in(client, admin):
    AdminUser.objects.filter(pk=admin.pk).update(is_active=False)
    assert sign_in(client).status_code == 200
    assert not AdminSession.objects.exists()


def test_being_switched_off_ends_a_session_at_once(as_admin, admin):
    assert as_admin.get("/admin").status_code == 200
    AdminUser.objects.filter(pk=admin.pk).update(is_active=False)
    assert as_admin.get("/admin").status_code == 302


def test_ten_wrong_passwords_lock_that_address_out_from_there(client, admin):
    answers = [sign_in(client, password="wrong").status_code for _ in range(10)]
    assert answers[-1] == 429
    locked = sign_in(client)
    assert locked.status_code == 429
    assert "quarter of an hour" in locked.content.decode()
    assert locked["Retry-After"] == "900"
    assert sign_in(client, "INES@example.com").status_code == 429
    assert sign_in(client, REMOTE_ADDR="198.51.100.7").status_code == 302


@pytest.mark.parametrize(
    "spelling", [" Ines@Example.com ", "\uff49nes@example.com", "\u0131nes@example.com", "\u0130nes@example.com"]
)
def test_no_other_spelling_of_the_address_gets_round_a_lock_out(client, admin, spelling):
    for _ in range(10):
        sign_in(client, password="wrong")
    assert sign_in(client, spelling).status_code != 302


def test_a_lock_out_does_not_touch_others_at_the_same_place(client, admin, super_admin):
    for _ in range(10):
        sign_in(client, password="wrong")
    assert sign_in(client, "sam@example.com").status_code == 302


def test_a_lock_out_ends_after_a_quarter_of_an_hour(client, admin):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(10):
            sign_in(client, password="wrong")
        clock.shift(dt.timedelta(minutes=16))
        assert sign_in(client).status_code == 302


def test_a_megabyte_of_password_is_refused_before_it_is_hashed(client, admin):
    response = sign_in(client, password="x" * 2_000_000)
    assert response.status_code == 200
    assert "1024" in response.content.decode()


def test_every_sign_in_is_a_row_with_where_it_came_from(client, admin):
    sign_in(client, HTTP_USER_AGENT="Firefox/145.0", REMOTE_ADDR="203.0.113.9")
    session = AdminSession.objects.get()
    assert (session.admin_user_id, session.ip_address, session.user_agent) == (admin.pk, "203.0.113.9", "Firefox/145.0")
    assert session.expires_at - session.created_at == pytest.approx(dt.timedelta(hours=8), abs=dt.timedelta(seconds=5))


def test_the_table_holds_no_key_that_lets_anybody_in(client, admin):
    sign_in(client)
    key = client.cookies[COOKIE].value
    session = AdminSession.objects.get()
    assert session.token_hash == token_hash(key)
    assert key not in session.session_data


def test_the_cookie_is_for_this_browser_session_and_for_no_script(client, admin):
    sign_in(client)
    cookie = client.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["max-age"] == ""


def test_eight_hours_after_sign_in_it_is_over_however_busy_one_was(client, admin):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        sign_in(client)
        for _ in range(8):
            assert client.get("/admin").status_code == 200
            clock.shift(dt.timedelta(minutes=59))
        clock.shift(dt.timedelta(minutes=7))
        assert client.get("/admin").status_code == 200
        clock.shift(dt.timedelta(minutes=2))
        assert client.get("/admin").status_code == 302


def test_signing_out_revokes_at_once_also_for_a_copy_of_the_cookie(client, admin):
    sign_in(client)
    stolen = client.cookies[COOKIE].value
    assert client.post(reverse("logout")).status_code == 302
    session = AdminSession.objects.get()
    assert session.revoked_at is not None
    client.cookies[COOKIE] = stolen
    assert client.get("/admin").status_code == 302


def test_signing_out_takes_a_post(as_admin):
    assert as_admin.get(reverse("logout")).status_code == 405


def test_two_sign_ins_in_the_same_second_are_two_sessions(client, admin):
    with time_machine.travel(timezone.now(), tick=False):
        sign_in(client)
        client.cookies.clear()
        sign_in(client)
    assert AdminSession.objects.live().count() == 2


def test_signing_in_again_starts_a_fresh_eight_hours_and_ends_the_old_session(client, admin):
    sign_in(client)
    sign_in(client)
    assert AdminSession.objects.live().count() == 1


def test_nothing_is_stored_for_an_anonymous_visitor(client):
    client.get(reverse("login"))
    assert COOKIE not in client.cookies
    assert not AdminSession.objects.exists()


def test_a_request_under_way_does_not_revive_a_session_that_was_ended(client, admin):
    from admin_portal.sessions import SessionStore

    sign_in(client)
    key = client.cookies[COOKIE].value
    store = SessionStore(key)
    store["seen"] = True
    AdminSession.objects.all().revoke()
    with pytest.raises(UpdateError):
        store.save()
    assert not AdminSession.objects.live().exists()


# --- Passwords of the old backend ---


@pytest.mark.parametrize("prefix", ["$2b$", "$2a$", "$2y$"])
def test_raw_bcrypt_signs_in_and_is_argon2_from_then_on(client, admin, prefix):
    raw = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", prefix)
    AdminUser.objects.filter(pk=admin.pk).update(password=raw)
    assert sign_in(client, password="wrong").status_code == 200
    assert AdminUser.objects.get(pk=admin.pk).password == raw
    assert sign_in(client).status_code == 302
    assert AdminUser.objects.get(pk=admin.pk).password.startswith("argon2$argon2id$")
    client.cookies.clear()
    assert sign_in(client).status_code == 302


def test_a_bcrypt_password_longer_than_bcrypt_reads_still_signs_in(client, admin):
    long = "ü" * 60  # 120 bytes; the old backend stored the first 72
    raw = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()
    AdminUser.objects.filter(pk=admin.pk).update(password=raw)
    assert sign_in(client, password=long).status_code == 302


@pytest.mark.parametrize("stored", ["$2b$", "$2b$12$short", "", "plain", "$2b$99$" + "x" * 53])
def test_a_broken_hash_is_a_wrong_password_and_not_an_error(client, admin, stored):
    AdminUser.objects.filter(pk=admin.pk).update(password=stored)
    assert sign_in(client).status_code == 200


# --- One's own account ---


def test_the_account_page_shows_ones_own_sessions_only(as_admin, super_admin, admin):
    AdminSession.objects.create(
        admin_user=super_admin,
        token_hash="x",
        ip_address="192.0.2.77",
        expires_at=timezone.now() + dt.timedelta(hours=1),
    )
    text = as_admin.get(reverse("account")).content.decode()
    assert "this one" in text
    assert "192.0.2.77" not in text


def other_session(admin, key="other"):
    return AdminSession.objects.create(
        admin_user=admin, token_hash=token_hash(key), expires_at=timezone.now() + dt.timedelta(hours=1)
    )


def test_it_ends_another_session_of_ones_own(as_admin, admin):
    other = other_session(admin)
    assert as_admin.post(reverse("end-session", args=[other.pk])).status_code == 302
    other.refresh_from_db()
    assert other.revoked_at is not None
    assert as_admin.get("/admin").status_code == 200


def test_it_does_not_end_somebody_elses(as_admin, super_admin):
    other = other_session(super_admin)
    assert as_admin.post(reverse("end-session", args=[other.pk])).status_code == 404
    other.refresh_from_db()
    assert other.revoked_at is None


def test_it_ends_all_others_at_once(as_admin, admin):
    other_session(admin, "a")
    other_session(admin, "b")
    as_admin.post(reverse("end-other-sessions"))
    assert AdminSession.objects.of(admin.pk).live().count() == 1
    assert as_admin.get("/admin").status_code == 200


def change(client, current=PASSWORD, new="a much better passphrase", again=None):
    return client.post(reverse("account"), {"current": current, "new": new, "again": new if again is None else again})


def test_a_new_password_ends_every_other_session_and_keeps_this_one(as_admin, admin):
    other = other_session(admin)
    ends = AdminSession.objects.exclude(pk=other.pk).get().expires_at
    answer = change(as_admin)
    assert answer.status_code == 302
    assert "1 other session ended" in str(next(iter(get_messages(answer.wsgi_request))))
    other.refresh_from_db()
    assert other.revoked_at is not None
    live = AdminSession.objects.of(admin.pk).live().get()
    assert live.expires_at == ends  # not eight more hours
    assert as_admin.get("/admin").status_code == 200
    assert AdminUser.objects.get(pk=admin.pk).check_password("a much better passphrase")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"current": "wrong"}, "not your current password"),
        ({"new": "short"}, "at least 12 characters"),
        ({"again": "something else"}, "don’t match"),
        ({"new": "password1234"}, "too common"),
        ({"new": "ines@example.com"}, "too similar"),
    ],
)
def test_a_bad_change_of_password_says_why_and_changes_nothing(as_admin, admin, fields, says):
    response = change(as_admin, **fields)
    assert response.status_code == 422
    assert says in response.content.decode().replace("&#x27;", "'")
    assert AdminUser.objects.get(pk=admin.pk).check_password(PASSWORD)


# --- Everything else takes a sign-in ---

OPEN = {"healthz", "readyz", "login"}


def patterns(resolver, prefix=""):
    for each in resolver.url_patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from patterns(each, route)
        elif isinstance(each, URLPattern):
            yield route, each


def test_everything_but_the_door_and_the_probes_requires_sign_in(client):
    checked = 0
    for route, pattern in patterns(get_resolver()):
        if pattern.name in OPEN or route.startswith("^") or "admin/db/" in route:
            continue
        path = "/" + re.sub(r"<(?:\w+:)?\w+>", "9b2f7e9e-4d0e-4f42-9f9e-000000000000", route)
        assert "<" not in path, f"give {route} an example"
        response = client.get(path)
        # Programs are told, people are led to the door. (405: what only takes a POST.)
        told = {401, 405} if path.startswith("/api/") and not path.endswith("/docs") else {301, 302, 405}
        assert response.status_code in told, path
        if response.status_code == 302 and path != "/":
            assert response["Location"].startswith("/admin/login"), path
        checked += 1
    assert checked >= 8


def test_the_health_probes_are_open(client):
    assert client.get("/healthz").content == b"ok\n"
    assert client.get("/readyz").status_code == 200
