"""Where a request came from, and slashes at the end of paths."""

from __future__ import annotations

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from sigmasight.lib.http import client_ip

PEER = "203.0.113.9"


def came_from(forwarded=None, peer=PEER):
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return client_ip(RequestFactory().get("/", REMOTE_ADDR=peer, **headers))


@pytest.mark.parametrize("forwarded", [None, "", "198.51.100.7", "198.51.100.7, 10.0.0.1", "rubbish"])
def test_without_a_proxy_the_header_is_not_believed(settings, forwarded):
    settings.TRUSTED_PROXY_COUNT = 0
    assert came_from(forwarded) == PEER


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("1.2.3.4, 198.51.100.7", "198.51.100.7"),
        ("1.2.3.4,,  198.51.100.7 ", "198.51.100.7"),
        ("2001:DB8::0001", "2001:db8::1"),
        ("fe80::1%" + "e" * 100, "fe80::1"),
        (None, PEER),
        ("", PEER),
        (" , ,", PEER),
        ("198.51.100.7:4711", PEER),
        ("1.2.3.4, unknown", PEER),
        ("999.1.1.1", PEER),
    ],
)
def test_behind_one_proxy_it_is_what_that_one_saw(settings, forwarded, expected):
    settings.TRUSTED_PROXY_COUNT = 1
    assert came_from(forwarded) == expected


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("198.51.100.7, 10.0.0.1", "198.51.100.7"),
        ("1.2.3.4, 5.6.7.8, 198.51.100.7, 10.0.0.1", "198.51.100.7"),
        ("10.0.0.1", PEER),
    ],
)
def test_behind_two_it_is_what_the_outer_one_saw(settings, forwarded, expected):
    settings.TRUSTED_PROXY_COUNT = 2
    assert came_from(forwarded) == expected


def test_over_a_unix_socket_there_may_be_no_address_at_all(settings):
    settings.TRUSTED_PROXY_COUNT = 0
    assert came_from(peer="") == ""


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), st.integers(0, 3))
def test_whatever_is_claimed_it_fits_the_column(forwarded, proxies):
    from django.test import override_settings

    with override_settings(TRUSTED_PROXY_COUNT=proxies):
        assert len(came_from(forwarded)) <= 45


# --- Slashes ---


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        ("/admin/", "/admin"),
        ("/admin/ai/", "/admin/ai"),
        ("/admin/ai//", "/admin/ai"),
        ("/admin/ai/?period=7d&q=%C3%BC", "/admin/ai?period=7d&q=%C3%BC"),
        ("/admin/ai/?next=/admin/ai/", "/admin/ai?next=/admin/ai/"),
        (
            "/admin/ai/conversations/0dd8c5a2-2f4f-4c5e-9a52-8c9b7d0f4e11/",
            "/admin/ai/conversations/0dd8c5a2-2f4f-4c5e-9a52-8c9b7d0f4e11",
        ),
        ("/healthz/", "/healthz"),
        ("/admin/db", "/admin/db/"),
        ("/admin/db/activity/event", "/admin/db/activity/event/"),
        ("/admin/db/activity/event?q=x", "/admin/db/activity/event/?q=x"),
    ],
)
def test_a_slash_too_many_or_too_few_leads_to_the_page(client, asked, leads_to):
    response = client.get(asked)
    assert (response.status_code, response["Location"]) == (301, leads_to)
    assert client.head(asked).status_code == 301


@pytest.mark.parametrize("name", ["a%20b", "a%3Fb", "a%25b", "%C3%BC", "a%23b"], ids=["space", "?", "%", "ü", "#"])
@pytest.mark.parametrize("query", ["", "?x=1"])
def test_what_was_escaped_in_a_path_stays_escaped(client, name, query):
    response = client.get(f"/admin/db/activity/event/{name}/change{query}")
    assert response.status_code == 301
    assert response["Location"] == f"/admin/db/activity/event/{name}/change/{query}"


def test_under_a_prefix_the_prefix_stays(client):
    response = client.get("/admin/ai/?q=x", SCRIPT_NAME="/tools")
    assert (response.status_code, response["Location"]) == (301, "/tools/admin/ai?q=x")


@pytest.mark.parametrize("path", ["//evil.example/", "//evil.example/admin/", "///admin/", "//", "/\\evil.example/"])
def test_no_path_leads_to_another_site(client, path):
    response = client.get(path)
    assert response.status_code != 301 or response["Location"].startswith("/admin")


def test_a_post_is_not_led_anywhere_as_its_form_would_be_lost(client):
    assert client.post("/admin/login/").status_code != 301


@pytest.mark.parametrize("path", ["/nothing/here/", "/nothing/here", "/admin/ai/nothing/"])
def test_what_is_no_page_either_way_is_not_found(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.django_db(databases=["default", "metro"])
@pytest.mark.parametrize("path", ["/admin", "/admin/ai/conversations", "/admin/db/", "/admin/nowhere"])
def test_no_page_is_kept_by_the_browser(as_admin, path):
    assert "no-store" in as_admin.get(path)["Cache-Control"]
