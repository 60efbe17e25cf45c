"""Whom the API does not let in."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid

import jwt
import pytest
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.utils import timezone

from admin_portal.models import AdminSession
from admin_portal.sessions import SessionStore, token_hash
from tests.api.conftest import ApiClient
from tests.api.test_auth import COOKIE, browser, claims_of, key_of

__all__ = ["browser"]

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


def altered(token, **claims):
    """The token with other claims and its own signature."""
    head, body, signature = token.split(".")
    held = json.loads(base64.urlsafe_b64decode(body + "=="))
    changed = base64.urlsafe_b64encode(json.dumps({**held, **claims}).encode()).decode().rstrip("=")
    return f"{head}.{changed}.{signature}"


FORGERIES = {
    "alg none": lambda claims, token: jwt.encode(claims, None, algorithm="none"),
    "another key": lambda claims, token: jwt.encode(claims, "another key of thirty-two bytes!", algorithm="HS256"),
    "the secret key itself": lambda claims, token: jwt.encode(claims, settings.SECRET_KEY, algorithm="HS256"),
    "another algorithm": lambda claims, token: jwt.encode(claims, key_of() * 2, algorithm="HS512"),
    "our key, another algorithm": lambda claims, token: jwt.encode(claims, key_of() * 2, algorithm="HS384"),
    "a user's token": lambda claims, token: jwt.encode({**claims, "type": "user"}, key_of(), algorithm="HS256"),
    "no type": lambda claims, token: jwt.encode(
        {name: value for name, value in claims.items() if name != "type"}, key_of(), algorithm="HS256"
    ),
    "a type that is a list": lambda claims, token: jwt.encode({**claims, "type": ["admin"]}, key_of()),
    "no end": lambda claims, token: jwt.encode(
        {name: value for name, value in claims.items() if name != "exp"}, key_of()
    ),
    "expired": lambda claims, token: jwt.encode({**claims, "exp": claims["iat"] - 1}, key_of()),
    "an end that is a word": lambda claims, token: altered(token, exp="never"),
    "altered role": lambda claims, token: altered(token, role="super_admin"),
    "altered subject": lambda claims, token: altered(token, sub=str(uuid.uuid4())),
    "another's session": lambda claims, token: jwt.encode({**claims, "sub": str(uuid.uuid4())}, key_of()),
    "no live row": lambda claims, token: jwt.encode({**claims, "jti": str(uuid.uuid4())}, key_of()),
    "no uuid": lambda claims, token: jwt.encode({**claims, "jti": "x\x00"}, key_of()),
    "cut": lambda claims, token: token[:-1],
    "longer": lambda claims, token: token + "A",
    "garbage": lambda claims, token: "garbage",
    "three dots": lambda claims, token: "...",
    "no signature": lambda claims, token: token.rsplit(".", 1)[0] + ".",
    "a megabyte": lambda claims, token: "A" * 1_000_000,
    "nothing": lambda claims, token: "",
    "not ASCII": lambda claims, token: "ü.ü.ü",
    "a NUL": lambda claims, token: token + "\x00",
    "the session's hash": lambda claims, token: AdminSession.objects.get().token_hash,
}


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("how", FORGERIES)
def test_a_forged_token_lets_nobody_in(api, how):
    forged = FORGERIES[how](claims_of(api.token), api.token)
    answer = ApiClient().get("/admin/auth/me", Authorization=f"Bearer {forged}")
    assert answer.status_code == 401
    assert answer.json().keys() == {"detail"}
    assert 'error="invalid_token"' in answer["WWW-Authenticate"]


def test_without_any_credentials_it_says_how_to_get_some(anonymous):
    answer = anonymous.get("/admin/auth/me")
    assert answer.status_code == 401
    assert "/api/v1/admin/auth/login" in answer.json()["detail"]
    assert answer["WWW-Authenticate"] == 'Bearer realm="SigmaSight Admin"'


@pytest.mark.parametrize("header", ["Basic aW5lczpwdw==", "Token x", "Bearer", "bearer", "  ", "x" * 100_000])
def test_an_authorization_of_another_kind_is_nobodys(anonymous, header):
    assert anonymous.get("/admin/auth/me", Authorization=header).status_code == 401


def test_bearer_may_be_written_in_any_case(api):
    assert ApiClient().get("/admin/auth/me", Authorization=f"BEARER   {api.token} ").status_code == 200


def test_a_bad_token_is_not_rescued_by_a_good_cookie(browser):
    assert browser.get("/admin/auth/me").status_code == 200
    assert browser.get("/admin/auth/me", Authorization="Bearer garbage").status_code == 401


def test_a_cookie_that_is_garbage_lets_nobody_in(anonymous):
    for value in ("garbage", "x" * 5000, "\x01"):
        anonymous.client.cookies[COOKIE] = value
        assert anonymous.get("/admin/auth/me").status_code == 401


def test_rows_of_the_old_backend_let_nobody_in(anonymous, admin):
    AdminSession.objects.create(
        admin_user=admin, token_hash=token_hash("old"), expires_at=timezone.now() + dt.timedelta(hours=1)
    )
    anonymous.client.cookies[COOKIE] = "old"
    assert anonymous.get("/admin/auth/me").status_code == 401


def test_a_row_whose_data_was_moved_to_another_admin_lets_nobody_in(api, super_admin):
    AdminSession.objects.update(admin_user=super_admin)
    assert api.get("/admin/auth/me").status_code == 401


def test_a_row_whose_data_does_not_name_the_password_lets_nobody_in(api):
    row = AdminSession.objects.get()
    data = SessionStore().decode(row.session_data)
    assert data[SESSION_KEY]
    del data[HASH_SESSION_KEY]
    AdminSession.objects.update(session_data=SessionStore().encode(data))
    assert api.get("/admin/auth/me").status_code == 401
