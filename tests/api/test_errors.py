"""What goes wrong is JSON that says so; and what is different about the answers' headers."""

from __future__ import annotations

import gzip
import logging
import re

import pytest
from django.db import OperationalError
from django.http import Http404
from django.test import Client

from admin_portal import tokens
from sigmasight.api.errors import sentence
from tests.api.conftest import ROOT, ApiClient
from tests.factories.activity import UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


def is_detail(answer, status):
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/json; charset=utf-8"
    found = answer.json()
    assert found.keys() == {"detail"}
    assert isinstance(found["detail"], str)
    return found["detail"]


@pytest.mark.parametrize(
    "path", ["", "/", "/nothing", "/admin", "/admin/auth", "/admin/auth/me/x", "/%00", "/ü", "/x" * 900]
)
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_an_address_that_is_not_there_is_a_404(anonymous, method, path):
    is_detail(getattr(anonymous, method)(path), 404)


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v2/admin/auth/me"])
def test_other_addresses_under_api_are_too(client, path):
    answer = client.get(path)
    assert answer.status_code == 404


def test_a_trailing_slash_leads_to_the_address_without(api):
    answer = api.get("/admin/auth/me/")
    assert answer.status_code in (301, 404)


def test_a_method_that_is_not_there_is_a_405_that_names_the_others(api):
    answer = api.delete("/admin/auth/me")
    assert is_detail(answer, 405) == "DELETE is not for this address: it takes GET."
    assert answer["Allow"] == "GET"


def test_a_body_that_is_too_large_is_a_413(api, anonymous):
    body = b'{"email": "' + b"x" * 3_000_000 + b'"}'
    assert "2.5 MB" in is_detail(anonymous.post("/admin/auth/login", body), 413)


def test_more_parameters_than_anybody_needs_are_a_400(api):
    query = "&".join(f"a{n}=1" for n in range(2000))
    is_detail(api.get(f"/admin/ai/metrics?{query}"), 400)


def test_another_hosts_name_is_a_400(client):
    is_detail(client.get(ROOT + "/admin/auth/me", headers={"Host": "evil.example.com"}), 400)


def test_what_nobody_expected_is_a_500_with_the_requests_name_and_no_trace(api, monkeypatch, caplog):
    def fail(*args):
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(tokens, "by_token", fail)
    with caplog.at_level(logging.ERROR):
        answer = api.get("/admin/auth/me", X_Request_ID="from-the-proxy-7")
    detail = is_detail(answer, 500)
    assert "from-the-proxy-7" in detail
    assert "secret" not in detail
    assert answer["X-Request-ID"] == "from-the-proxy-7"
    assert any("the secret of the house" in str(record.exc_info) for record in caplog.records if record.exc_info)


def test_a_failure_outside_of_the_views_is_json_too(api, monkeypatch):
    def fail(*args):
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("django.middleware.csrf.CsrfViewMiddleware.process_request", fail)
    assert "secret" not in is_detail(api.get("/admin/auth/me"), 500)


def test_an_http404_of_a_view_is_a_404(api, monkeypatch):
    def fail(*args):
        raise Http404

    monkeypatch.setattr(tokens, "by_token", fail)
    is_detail(api.get("/admin/auth/me"), 404)


def test_signing_in_says_which_database_is_away(anonymous, admin, away):
    away("default")
    answer = anonymous.login(admin.email)
    assert "gondola" in is_detail(answer, 503)
    assert answer["Retry-After"] == "30"


def test_signing_in_does_without_metro(anonymous, admin, away):
    away("metro")
    assert anonymous.login(admin.email).status_code == 200


def test_a_database_that_fails_at_the_very_end_is_a_503_too(anonymous, admin, monkeypatch, away):
    def fail(*args, **kwargs):
        away("default")
        raise OperationalError("connection refused: host=10.0.0.5 password=secret")

    monkeypatch.setattr("admin_portal.sessions.SessionStore.save", fail)
    detail = is_detail(anonymous.login(admin.email), 503)
    assert "gondola" in detail
    assert "10.0.0.5" not in detail


def test_a_422_says_in_one_sentence_what_is_wrong(anonymous):
    found = anonymous.post("/admin/auth/login", {}).json()
    assert found.keys() == {"detail", "message"}
    assert found["detail"] == [
        {"loc": ["body", "email"], "msg": "Field required", "type": "missing"},
        {"loc": ["body", "password"], "msg": "Field required", "type": "missing"},
    ]
    assert found["message"] == "email: Field required (and 1 more)."


def test_a_sentence_is_one_whatever_is_wrong():
    assert sentence([]) == "Something in this call can’t be read."
    assert sentence([{"loc": ["query", "days"], "msg": "Value error, Too many.", "type": "x"}]) == "days: Too many."
    assert sentence([{"loc": ["body"], "msg": "It is not JSON", "type": "x"}]) == "body: It is not JSON."


def test_what_was_sent_is_not_said_again_at_length(anonymous):
    answer = anonymous.post("/admin/auth/login", {"x" * 5000: 1})
    assert answer.status_code == 422
    assert len(answer.content) < 2000


def test_answers_are_kept_by_nobody_and_differ_by_who_asks(api):
    answer = api.get("/admin/auth/me")
    assert answer["Cache-Control"] == "private, no-store"
    assert {"Authorization", "Cookie"} <= {each.strip() for each in answer["Vary"].split(",")}
    assert answer["X-Content-Type-Options"] == "nosniff"


# --- gzip ---


def test_long_answers_are_compressed_for_those_who_can_read_it(api):
    assert api.get("/openapi.json", Accept_Encoding="gzip")["Content-Encoding"] == "gzip"
    assert not api.get("/openapi.json").has_header("Content-Encoding")
    assert not api.get("/admin/auth/me", Accept_Encoding="gzip").has_header("Content-Encoding")


def test_pages_are_compressed_with_a_token_that_is_another_each_time(as_admin):
    answers = [as_admin.get("/admin/account", headers={"Accept-Encoding": "gzip"}) for _ in range(2)]
    assert [each["Content-Encoding"] for each in answers] == ["gzip", "gzip"]
    pages = [gzip.decompress(each.content).decode() for each in answers]
    tokens = [re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[0] for page in pages]
    assert tokens[0] != tokens[1]
    assert not as_admin.get("/admin/account").has_header("Content-Encoding")


def test_a_streamed_file_comes_compressed_and_whole(as_admin):
    UserFactory.create_batch(30)
    plain = b"".join(as_admin.get("/admin/users?format=csv"))
    packed = as_admin.get("/admin/users?format=csv", headers={"Accept-Encoding": "gzip"})
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(b"".join(packed)) == plain
    assert plain.count(b"\n") == 31


# --- Pages of other origins ---


def test_no_other_origin_may_read_answers(api):
    answer = api.get("/admin/auth/me", Origin="https://tools.example.com")
    assert not answer.has_header("Access-Control-Allow-Origin")


@pytest.fixture
def _tools_may(settings):
    settings.CORS_ALLOWED_ORIGINS, settings.CORS_URLS_REGEX = ["https://tools.example.com"], r"^/api/"


@pytest.mark.usefixtures("_tools_may")
def test_an_origin_that_was_named_may_with_a_token_and_never_with_a_cookie(api):
    answer = api.get("/admin/auth/me", Origin="https://tools.example.com")
    assert answer["Access-Control-Allow-Origin"] == "https://tools.example.com"
    assert not answer.has_header("Access-Control-Allow-Credentials")
    assert "ETag" in answer["Access-Control-Expose-Headers"]
    other = api.get("/admin/auth/me", Origin="https://evil.example.com")
    assert not other.has_header("Access-Control-Allow-Origin")


@pytest.mark.usefixtures("_tools_may")
def test_a_browser_may_ask_before_it_calls(anonymous):
    asked = {"Origin": "https://tools.example.com", "Access-Control-Request-Method": "POST"}
    answer = Client().options(ROOT + "/admin/auth/login", headers=asked)
    assert answer.status_code == 200
    assert "authorization" in answer["Access-Control-Allow-Headers"]


@pytest.mark.usefixtures("_tools_may")
def test_an_error_can_be_read_by_a_named_origin_too(anonymous):
    answer = anonymous.get("/nothing", Origin="https://tools.example.com")
    is_detail(answer, 404)
    assert answer["Access-Control-Allow-Origin"] == "https://tools.example.com"


@pytest.mark.usefixtures("_tools_may")
def test_pages_are_for_no_other_origin(as_admin):
    answer = as_admin.get("/admin/account", headers={"Origin": "https://tools.example.com"})
    assert not answer.has_header("Access-Control-Allow-Origin")


def test_a_client_is_not_redirected_to_a_page(anonymous):
    for call in (anonymous.get, anonymous.post):
        assert call("/admin/auth/me").status_code in (401, 405)
    assert ApiClient("garbage").post("/admin/auth/logout").status_code == 401
