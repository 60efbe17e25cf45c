"""Signing in by the API, staying in, getting out."""

from __future__ import annotations

import datetime as dt
import json
import threading

import bcrypt
import jwt
import pytest
import time_machine
from django.conf import settings
from django.db import connections
from django.utils import timezone

from admin_portal import tokens
from admin_portal.models import AdminSession, AdminUser
from admin_portal.sessions import token_hash
from tests.api.conftest import ROOT, ApiClient, signed_in
from tests.conftest import PASSWORD
from tests.pages import counted

pytestmark = pytest.mark.django_db(databases=["default", "metro"])
COOKIE = "sigmasight_admin"


@pytest.fixture
def browser(admin):
    """Somebody who signed in by the API and goes on with the cookie; `csrf` is what the answer gave them."""
    client = ApiClient()
    client.csrf = client.login(admin.email).json()["csrf_token"]
    return client


def key_of(secret=None):
    return tokens._key(secret or settings.SECRET_KEY)


def claims_of(token):
    return jwt.decode(token, key_of(), algorithms=["HS256"])


# --- Signing in ---


def test_it_gives_a_token_for_eight_hours_and_the_same_sign_in_as_a_cookie(anonymous, admin):
    answer = anonymous.login("INES@example.com ")
    said = answer.json()
    assert answer.status_code == 200
    session = AdminSession.objects.get()
    claims = claims_of(said["access_token"])
    assert (said["token_type"], said["expires_in"]) == ("bearer", 28800)
    assert (said["admin_id"], said["email"]) == (str(admin.pk), admin.email)
    assert (said["role"], said["full_name"]) == ("admin", "Ines Marchetti")
    assert claims["exp"] - claims["iat"] in (28799, 28800, 28801)
    assert (claims["type"], claims["sub"], claims["role"], claims["jti"]) == (
        *("admin", str(admin.pk), "admin"),
        str(session.pk),
    )
    cookie = answer.cookies[COOKIE]
    assert cookie["httponly"]
    assert token_hash(cookie.value) == session.token_hash
    assert said["access_token"] not in session.session_data


def test_signing_in_is_recorded_with_where_it_came_from(anonymous, admin):
    anonymous.login(admin.email, User_Agent="sigma-cli/1.2")
    session, admin = AdminSession.objects.get(), AdminUser.objects.get()
    assert (session.ip_address, session.user_agent) == ("127.0.0.1", "sigma-cli/1.2")
    assert timezone.now() - admin.last_login < dt.timedelta(minutes=1)


def test_two_sign_ins_in_one_second_give_two_tokens_and_both_are_good(admin):
    with time_machine.travel(timezone.now(), tick=False):
        first, second = signed_in(admin.email), signed_in(admin.email)
    assert first.token != second.token
    assert [each.get("/admin/auth/me").status_code for each in (first, second)] == [200, 200]


def test_a_second_sign_in_from_one_cookie_jar_leaves_the_first_as_it_is(browser, admin):
    first = AdminSession.objects.get()
    second = browser.login(admin.email).json()["access_token"]
    assert AdminSession.objects.live().count() == 2
    assert claims_of(second)["jti"] != str(first.pk)


@pytest.mark.django_db(databases=["default", "metro"], transaction=True)
def test_twenty_sign_ins_at_once_are_twenty_sessions(admin):
    answers = []

    def sign_in():
        try:
            answers.append(ApiClient().login(admin.email))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=sign_in) for _ in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["access_token"] for answer in answers}) == 20
    assert AdminSession.objects.live().count() == 20


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(anonymous, admin):
    wrong, unknown = anonymous.login(admin.email, "wrong"), anonymous.login("nobody@example.com")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json() == {"detail": "This e-mail address and password don’t go together."}
    assert wrong["WWW-Authenticate"].startswith("Bearer")
    assert COOKIE not in wrong.cookies


def test_somebody_switched_off_does_not_get_in(anonymous, admin):
    AdminUser.objects.update(is_active=False)
    assert anonymous.login(admin.email).status_code == 401


def test_a_password_of_the_old_backend_is_taken_and_stored_anew(anonymous, admin):
    AdminUser.objects.update(password=bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode())
    token = anonymous.login(admin.email).json()["access_token"]
    assert AdminUser.objects.get().password.startswith("argon2$")
    assert ApiClient(token).get("/admin/auth/me").status_code == 200


def test_ten_wrong_passwords_lock_the_address_out_from_there(anonymous, admin, client):
    answers = [anonymous.login(admin.email, "wrong").status_code for _ in range(10)]
    assert answers[:9] == [401] * 9
    locked = anonymous.login(admin.email)
    assert (locked.status_code, locked["Retry-After"]) == (429, "900")
    assert locked["Content-Type"].startswith("application/json")
    assert "quarter of an hour" in locked.json()["detail"]
    page = client.post("/admin/login", {"username": admin.email, "password": PASSWORD})
    assert page.status_code == 429
    assert page["Content-Type"].startswith("text/html")
    elsewhere = anonymous.client.post(
        ROOT + "/admin/auth/login",
        {"email": admin.email, "password": PASSWORD},
        content_type="application/json",
        REMOTE_ADDR="198.51.100.7",
    )
    assert elsewhere.status_code == 200


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "email"),
        ({"email": "ines@example.com"}, "password"),
        ({"email": "a", "password": ""}, "password"),
        ({"email": "a", "password": "x" * 1025}, "password"),
        ({"email": "x" * 256, "password": "x"}, "email"),
        ({"email": 5, "password": "x"}, "email"),
        ({"email": None, "password": "x"}, "email"),
        ({"email": "a\x00b", "password": "x"}, "email"),
        ({"email": "a", "password": "x", "remember": True}, "remember"),
        ({"email": "a", "password": ["x"]}, "password"),
    ],
)
def test_it_says_what_is_wrong_with_a_body(anonymous, body, where):
    answer = anonymous.post("/admin/auth/login", body)
    assert answer.status_code == 422
    assert where in answer.json()["detail"][0]["loc"]
    assert where in answer.json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"", b"null", b"[]", b'"text"', b"7", b"\xff\xfe", b"[" * 100_000, b'{"email": NaN}', b"{'a': 1}"),
        b'{"email": 1e999, "password": "x"}',
        b'{"email": "\\ud800", "password": "x"}',
        b'{"\\udc00": 1}',
    ],
)
def test_what_is_no_json_object_is_a_422(anonymous, body):
    answer = anonymous.post("/admin/auth/login", body)
    assert answer.status_code == 422
    assert answer.json()["message"].endswith(".")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"])
def test_a_form_of_another_site_signs_nobody_in(anonymous, admin, kind):
    body = json.dumps({"email": admin.email, "password": PASSWORD})
    answer = anonymous.client.generic("POST", ROOT + "/admin/auth/login", body, content_type=kind)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]
    assert COOKIE not in answer.cookies


# --- Staying in ---


def test_it_says_who_one_is(api, admin):
    said = api.get("/admin/auth/me").json()
    assert (said["id"], said["email"], said["full_name"]) == (str(admin.pk), admin.email, "Ines Marchetti")
    assert (said["role"], said["is_active"], said["csrf_token"]) == ("admin", True, None)
    assert dt.datetime.fromisoformat(said["last_login_at"]).utcoffset() == dt.timedelta(0)
    assert dt.datetime.fromisoformat(said["created_at"]).utcoffset() == dt.timedelta(0)


def test_the_cookie_is_as_good_as_the_token_for_reading(browser, admin):
    assert browser.get("/admin/auth/me").json()["email"] == admin.email


def test_somebody_signed_in_on_the_pages_is_signed_in_here(as_admin, admin):
    assert as_admin.get(ROOT + "/admin/auth/me").json()["email"] == admin.email


def test_the_cookie_of_a_sign_in_here_opens_the_pages(browser):
    assert browser.client.get("/admin/account").status_code == 200


@pytest.mark.parametrize("by", ["api", "browser"])
def test_who_is_asking_costs_one_query(by, request):
    client = request.getfixturevalue(by)
    with counted() as queries:
        assert client.get("/admin/auth/me").status_code == 200
    assert len(queries) == 1


def test_eight_hours_after_sign_in_it_is_over(admin):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        api = signed_in(admin.email)
        clock.shift(dt.timedelta(hours=7, minutes=59))
        assert api.get("/admin/auth/me").status_code == 200
        clock.shift(dt.timedelta(minutes=2))
        assert api.get("/admin/auth/me").status_code == 401


def test_a_token_is_over_when_its_row_says_so(api):
    AdminSession.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    assert api.get("/admin/auth/me").status_code == 401


def test_a_role_that_changes_counts_at_once(api, admin):
    assert api.get("/admin/auth/me").json()["role"] == "admin"
    AdminUser.objects.update(role="super_admin")
    assert api.get("/admin/auth/me").json()["role"] == "super_admin"


def test_being_switched_off_ends_it_at_once(api, browser):
    AdminUser.objects.update(is_active=False)
    assert [each.get("/admin/auth/me").status_code for each in (api, browser)] == [401, 401]


def test_a_change_of_password_ends_every_token(api, browser, as_admin, admin):
    new = {"current": PASSWORD, "new": "another horse entirely", "again": "another horse entirely"}
    assert as_admin.post("/admin/account", new).status_code == 302
    assert [each.get("/admin/auth/me").status_code for each in (api, browser)] == [401, 401]


def test_a_password_set_behind_its_back_ends_every_token(api, browser, admin):
    admin.set_password("another horse entirely")
    admin.save()
    assert [each.get("/admin/auth/me").status_code for each in (api, browser)] == [401, 401]


def test_ending_the_session_on_the_pages_ends_its_token(api, as_admin):
    row = claims_of(api.token)["jti"]
    assert as_admin.post(f"/admin/account/sessions/{row}/end").status_code == 302
    assert api.get("/admin/auth/me").status_code == 401


def test_a_secret_key_that_was_replaced_still_reads_its_tokens(api, settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the new one " * 5
    assert api.get("/admin/auth/me").status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert api.get("/admin/auth/me").status_code == 401


# --- Getting out ---


def test_signing_out_ends_the_token_at_once_and_every_copy_of_it(api):
    copy = ApiClient(api.token)
    answer = api.post("/admin/auth/logout")
    assert (answer.status_code, answer.json()) == (200, {"message": "Signed out."})
    assert [each.get("/admin/auth/me").status_code for each in (api, copy)] == [401, 401]
    assert api.post("/admin/auth/logout").status_code == 401


def test_signing_out_ends_the_cookie_too_and_the_pages(browser):
    stolen = browser.client.cookies[COOKIE].value
    answer = browser.post("/admin/auth/logout", X_CSRFToken=browser.csrf)
    assert answer.status_code == 200
    assert answer.cookies[COOKIE]["max-age"] == 0
    browser.client.cookies[COOKIE] = stolen
    assert browser.get("/admin/auth/me").status_code == 401
    assert browser.client.get("/admin/account").status_code == 302


def test_signing_out_by_token_ends_the_cookie_of_the_same_sign_in(anonymous, admin):
    anonymous.token = anonymous.login(admin.email).json()["access_token"]
    answer = anonymous.post("/admin/auth/logout")
    assert answer.cookies[COOKIE]["max-age"] == 0


def test_signing_out_by_token_leaves_another_sign_in_of_the_browser(api, as_admin):
    answer = as_admin.post(ROOT + "/admin/auth/logout", headers={"Authorization": f"Bearer {api.token}"})
    assert answer.status_code == 200
    assert COOKIE not in answer.cookies
    assert as_admin.get("/admin/account").status_code == 200


def test_refreshing_gives_a_new_session_and_ends_the_old_one(admin):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        api = signed_in(admin.email)
        clock.shift(dt.timedelta(hours=7))
        said = api.post("/admin/auth/refresh").json()
        assert (said["expires_in"], said["admin_id"]) == (28800, str(admin.pk))
        assert api.get("/admin/auth/me").status_code == 401
        fresh = ApiClient(said["access_token"])
        clock.shift(dt.timedelta(hours=7))
        assert fresh.get("/admin/auth/me").status_code == 200
    assert AdminSession.objects.count() == 2


def test_refreshing_goes_on_for_the_cookie(browser):
    before = browser.client.cookies[COOKIE].value
    assert browser.post("/admin/auth/refresh", X_CSRFToken=browser.csrf).status_code == 200
    assert browser.client.cookies[COOKIE].value != before
    assert browser.get("/admin/auth/me").status_code == 200
    browser.client.cookies[COOKIE] = before
    assert browser.get("/admin/auth/me").status_code == 401


def test_refreshing_by_token_leaves_another_sign_in_of_the_browser(api, as_admin):
    answer = as_admin.post(ROOT + "/admin/auth/refresh", headers={"Authorization": f"Bearer {api.token}"})
    assert answer.status_code == 200
    assert COOKIE not in answer.cookies
    assert as_admin.get("/admin/account").status_code == 200


def test_a_refreshed_session_still_ends_with_the_password(api, admin):
    fresh = ApiClient(api.post("/admin/auth/refresh").json()["access_token"])
    admin.set_password("another horse entirely")
    admin.save()
    assert fresh.get("/admin/auth/me").status_code == 401


@pytest.mark.django_db(databases=["default", "metro"], transaction=True)
def test_of_eight_refreshes_at_once_one_is_given(api):
    answers = []

    def refresh():
        try:
            answers.append(ApiClient(api.token).post("/admin/auth/refresh").status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=refresh) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(answers) == [200, *[401] * 7]
    assert AdminSession.objects.live().count() == 1


# --- The cookie and other sites ---


def test_a_cookie_alone_changes_nothing(browser):
    answer = browser.post("/admin/auth/logout")
    assert answer.status_code == 403
    assert "X-CSRFToken" in answer.json()["detail"]
    assert browser.get("/admin/auth/me").status_code == 200


def test_a_cookie_with_a_made_up_csrf_token_changes_nothing(browser):
    answer = browser.post("/admin/auth/logout", X_CSRFToken="a" * 64)
    assert answer.status_code == 403
    assert "incorrect" in answer.json()["detail"]


def test_a_cookie_from_another_origin_changes_nothing_and_the_answer_says_why(browser):
    answer = browser.post("/admin/auth/logout", X_CSRFToken=browser.csrf, Origin="https://evil.example.com")
    assert answer.status_code == 403
    assert "https://evil.example.com" in answer.json()["detail"]


def test_whoever_has_a_cookie_is_told_its_csrf_token(browser):
    token = browser.get("/admin/auth/me").json()["csrf_token"]
    assert browser.post("/admin/auth/logout", X_CSRFToken=token).status_code == 200


def test_a_bearer_token_needs_no_csrf_token(api):
    assert api.post("/admin/auth/logout").status_code == 200


def test_content_type_and_set_cookie_are_headers_enough(anonymous, admin):
    """Through a proxy that passes nothing else back, a client can still sign in, read and write."""
    answer = anonymous.login(admin.email)
    passed = {"cookies": answer.cookies, "body": answer.json()}
    behind = ApiClient()
    for name, cookie in passed["cookies"].items():
        behind.client.cookies[name] = cookie.value
    assert behind.get("/admin/auth/me").status_code == 200
    assert behind.post("/admin/auth/refresh", X_CSRFToken=passed["body"]["csrf_token"]).status_code == 200


def test_what_holds_a_token_is_neither_stored_nor_compressed(anonymous, admin):
    answer = anonymous.login(admin.email, Accept_Encoding="gzip")
    assert answer["Cache-Control"] == "private, no-store"
    assert not answer.has_header("Content-Encoding")
    assert {"Cookie", "Authorization"} <= {each.strip() for each in answer["Vary"].split(",")}
