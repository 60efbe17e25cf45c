"""Views of a page that an admin keeps."""

from __future__ import annotations

import uuid
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from admin_portal import savedviews
from admin_portal.models import SavedView
from tests.pages import read

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

URL = "/admin/views"


def keep(browser, name="Stalled", page="people", query="status=stalled&since=7d"):
    return browser.post(f"{URL}/save", {"name": name, "page": page, "query": query}, follow=True)


def test_nobody_keeps_a_view_without_signing_in(client):
    assert client.get(f"{URL}?page=people").status_code == 302
    assert client.post(f"{URL}/save").status_code == 302
    assert not SavedView.objects.exists()


def test_a_view_is_kept_and_leads_back_to_what_it_shows(as_admin, admin):
    answer = keep(as_admin, query="since=7d&after=abc&status=stalled&q=&format=csv")
    assert answer.redirect_chain == [("/admin/users?since=7d&status=stalled", 302)]
    assert "The view is kept." in answer.content.decode()
    row = SavedView.objects.get()
    assert (row.admin_user_id, row.page, row.name, row.query) == (
        admin.pk,
        "people",
        "Stalled",
        "since=7d&status=stalled",
    )


def test_the_menu_lists_them_by_name_and_marks_the_one_that_is_open(as_admin):
    keep(as_admin, "Stalled")
    keep(as_admin, "All", query="")
    page = as_admin.get(f"{URL}?page=people&query=status%3Dstalled%26since%3D7d").content.decode()
    assert page.index(">All<") < page.index(">Stalled<")
    assert '<a href="/admin/users?since=7d&amp;status=stalled" aria-current="true">Stalled</a>' in page
    menu = as_admin.get(f"{URL}?page=people", headers={"HX-Request": "true", "HX-Target": "views-menu"})
    assert menu.content.decode().lstrip().startswith('<div id="views-menu"')


def test_the_same_name_replaces_what_was_kept(as_admin):
    keep(as_admin)
    keep(as_admin, query="status=completed")
    assert SavedView.objects.get().query == "status=completed"


def test_views_of_others_are_neither_seen_nor_removed(as_admin, super_admin):
    other = SavedView.objects.create(admin_user=super_admin, page="people", name="Theirs", query="")
    assert "Theirs" not in read(as_admin.get(f"{URL}?page=people")).text
    assert as_admin.post(f"{URL}/{other.pk}/remove").status_code == 404
    assert SavedView.objects.filter(pk=other.pk).exists()
    assert as_admin.post(f"{URL}/{uuid.uuid4()}/remove").status_code == 404


def rename(client, view, name, **more):
    return client.post(f"{URL}/{view.pk}/rename", {"name": name, **more}, follow=True)


def test_a_view_is_renamed_and_no_other_replaced(as_admin, super_admin):
    keep(as_admin)
    keep(as_admin, name="Other", query="status=completed")
    view = SavedView.objects.exclude(name="Other").get()
    answer = rename(as_admin, view, "  Much   better ", back="/admin/views?page=people")
    assert "The view is called “Much better” now." in read(answer).text
    assert answer.redirect_chain[0][0] == "/admin/views?page=people"
    assert "There is a view “Other” of this page already" in read(rename(as_admin, view, "Other")).text
    assert "needs a name" in read(rename(as_admin, view, " ")).text
    assert sorted(SavedView.objects.values_list("name", flat=True)) == ["Much better", "Other"]
    theirs = SavedView.objects.create(admin_user=super_admin, page="people", name="Theirs", query="")
    assert rename(as_admin, theirs, "Mine").status_code == 404
    # Whatever the form says, it leads nowhere else.
    assert rename(as_admin, view, "Again", back="https://example.org/").redirect_chain[0][0].startswith("/admin/users")


def test_removing_asks_first_also_without_javascript(as_admin):
    keep(as_admin)
    page = as_admin.get(f"{URL}?page=people").content.decode()
    asked = page.index("Remove “Stalled” for good?")
    # The button that does it is inside what the first one opens.
    assert page.rindex("<details", 0, asked) > page.rindex("</details>", 0, asked)
    assert asked < page.index('type="submit">Remove</button>')


def test_a_view_that_another_window_removes_meanwhile_is_not_there_to_rename(as_admin, monkeypatch):
    keep(as_admin)
    view = SavedView.objects.get()
    named = savedviews._named
    monkeypatch.setattr(savedviews, "_named", lambda name: SavedView.objects.all().delete() and named(name))
    assert rename(as_admin, view, "Too late").status_code == 404


def test_a_view_is_removed(as_admin):
    keep(as_admin)
    answer = as_admin.post(f"{URL}/{SavedView.objects.get().pk}/remove", follow=True)
    assert "The view is removed." in answer.content.decode()
    assert not SavedView.objects.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "  "}, "needs a name"),
        ({"name": "x" * 81}, "80 characters at most"),
        ({"page": "https://example.org/"}, "no such page"),
        ({"page": "person"}, "no such page"),
    ],
)
def test_what_can_t_be_kept_says_why(as_admin, change, says):
    answer = keep(as_admin, **change)
    assert says in answer.content.decode()
    assert not SavedView.objects.exists()


def test_there_is_a_bound_and_it_says_what_to_do(as_admin, monkeypatch):
    monkeypatch.setattr(savedviews, "MOST", 2)
    for number in range(3):
        answer = keep(as_admin, f"View {number}")
    assert "remove one first" in answer.content.decode()
    assert SavedView.objects.count() == 2


def test_it_never_leads_elsewhere(as_admin):
    answer = as_admin.post(f"{URL}/save", {"name": "a", "page": "people", "query": "//example.org"})
    assert answer["Location"].startswith("/admin/users")


def test_pages_with_filters_offer_it_and_others_do_not(as_admin):
    for path in ("/admin", "/admin/users", "/admin/ai/feedback", "/admin/batch"):
        assert "views-of" in as_admin.get(path).content.decode(), path
    assert "views-of" not in as_admin.get("/admin/account").content.decode()


@pytest.mark.parametrize("name", ["page", "query"])
def test_no_parameter_breaks_it(as_admin, name):
    for text in ("%00", "'%22", "x" * 5000, "..%2f", "%F0%9F%99%82"):
        assert as_admin.get(f"{URL}?page=people&{name}={text}").status_code in (200, 404)


def test_every_page_that_keeps_views_can_be_gone_to():
    from admin_portal.nav import KEEPS_VIEWS, every_item

    assert {item.view for item, _ in every_item()} >= KEEPS_VIEWS


def test_views_of_the_page_that_was_called_tuning_go_with_it(as_admin, admin):
    migration = import_module("admin_portal.migrations.0003_views_of_conversations")
    SavedView.objects.create(admin_user=admin, page="tuning", name="Angry", query="rating=down")
    SavedView.objects.create(admin_user=admin, page="tuning", name="Both", query="q=old")
    SavedView.objects.create(admin_user=admin, page="conversations", name="Both", query="q=new")
    with connection.schema_editor() as editor:
        migration.renamed("tuning", "conversations")(apps, editor)
    assert {view.name: view.href for view in savedviews.views_of(admin, "conversations", "")} == {
        "Angry": "/admin/ai/conversations?rating=down",
        "Both": "/admin/ai/conversations?q=new",
    }
