"""What only a browser can tell."""

from __future__ import annotations

import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.django_db(databases=["default", "metro"], transaction=True)]

PAGES = ["/admin?period=30d", "/admin/ai?period=30d", "/admin/ai/conversations", "/admin/account", "/admin/db/"]
WIDE = {"width": 1440, "height": 900}
PHONE = {"width": 375, "height": 812}


def first_conversation(page):
    page.goto("/admin/ai/conversations")
    return page.locator("table.conversations a").first.get_attribute("href")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE, {"width": 1920, "height": 1080}], ids=["1440", "375", "1920"])
def test_no_page_is_wider_than_its_window_and_nothing_complains(visit, viewport, scheme):
    window = visit(viewport=viewport, color_scheme=scheme)
    for path in [*PAGES, first_conversation(window.page)]:
        page = window.open(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path
    assert window.complaints == []


def test_signing_in_and_out_by_hand(visit, live_server):
    window = visit()
    page = window.open("/admin")
    page.locator("[popovertarget=account-menu]").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/admin/login"))
    page.get_by_label("E-mail").fill("ines@example.com")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    assert page.get_by_text("don’t go together").is_visible()
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{live_server.url}/admin")


def test_everything_can_be_read_without_script(visit):
    window = visit(java_script_enabled=False)
    page = window.open("/admin/ai/conversations?period=30d")
    page.get_by_label("Rating").select_option("down")
    page.get_by_role("button", name="Filter").click()
    assert "rating=down" in page.url
    page.locator("table.conversations a").first.click()
    assert page.locator(".turn").count() >= 2
    page = window.open("/admin/ai?period=30d")
    assert page.locator(".chart svg").count() >= 4
    page.get_by_text("Table", exact=True).first.click()
    assert page.locator("details.behind table").first.is_visible()


def test_a_filter_swaps_the_list_and_its_address_can_be_sent_to_somebody(visit):
    window = visit()
    page = window.open("/admin/ai/conversations?period=30d")
    page.get_by_label("Rating").select_option("down")
    page.wait_for_url(re.compile("rating=down"))
    page.wait_for_function("document.querySelectorAll('#list .tag.bad').length > 0")
    rows = page.locator("table.conversations tbody tr").count()
    again = window.open(page.url)
    assert again.locator("table.conversations tbody tr").count() == rows
    assert window.complaints == []


def test_arrow_keys_walk_through_a_chart(visit):
    page = visit().open("/admin/ai?period=30d")
    chart = page.locator("[data-chart] .feel").first
    chart.focus()
    page.keyboard.press("ArrowLeft")
    first = page.locator(".readout").first.inner_text()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".readout").first.inner_text() != first


def test_dragging_across_a_chart_asks_for_that_stretch(visit):
    page = visit().open("/admin/ai?period=30d")
    box = page.locator("[data-chart] .plot").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=8)
    page.mouse.up()
    page.wait_for_url(re.compile("period=custom&from=.*&to="))


def test_the_chosen_theme_holds_on_the_next_page(visit):
    page = visit(color_scheme="light").open("/admin")
    page.locator("[popovertarget=account-menu]").click()
    page.get_by_role("button", name="Dark").click()
    page.goto("/admin/ai")
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_the_custom_period_is_a_form(visit):
    page = visit().open("/admin/ai?model=gpt-5")
    page.get_by_role("button", name="Custom").click()
    page.get_by_label("From").fill("2026-01-01T00:00")
    page.get_by_role("button", name="Show").click()
    assert "period=custom" in page.url
    assert "model=gpt-5" in page.url
