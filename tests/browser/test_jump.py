"""Ctrl-K, the keys to pages, kept views; and first-time tasks, by the keyboard alone."""

from __future__ import annotations

import re

import pytest

from activity.funnel_models import FunnelProgress
from activity.models import User
from tests.browser.conftest import count_everything

pytestmark = [pytest.mark.browser, pytest.mark.django_db(databases=["default", "metro"], transaction=True)]

PHONE = {"width": 375, "height": 812}


def shown(page, text):
    """Types into the palette, and waits until it shows what that means."""
    page.keyboard.type(text)
    page.wait_for_function(
        "text => document.querySelector('#jump input').dataset.shows === text"
        " && !document.querySelector('#jump-found[aria-busy]')",
        arg=text,
    )


def test_it_opens_finds_walks_and_closes_by_keyboard(visit):
    window = visit()
    page = window.open("/admin/users")
    email = User.objects.order_by("-created_at").first().email
    page.keyboard.press("Control+k")
    assert page.locator("#jump").is_visible()
    page.wait_for_selector("#jump-found a")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.closest('#jump-found') !== null")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.matches('#jump input')")
    shown(page, email)
    page.keyboard.press("Escape")
    page.wait_for_selector("#jump", state="hidden")
    page.keyboard.press("Control+k")
    page.locator("#jump input").fill("")
    shown(page, email)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/admin/users/[0-9a-f-]{36}"))
    page.go_back()
    page.wait_for_url(re.compile("/admin/users$"))
    assert window.complaints == []


def test_g_and_a_letter_go_to_a_page_but_not_while_one_types(visit):
    page = visit().open("/admin")
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.wait_for_url(re.compile("/admin/batch"))
    page = visit().open("/admin/users")
    page.keyboard.press("/")
    page.keyboard.type("gb")
    assert page.url.endswith("/admin/users")


def test_without_script_it_is_a_page(visit):
    page = visit(java_script_enabled=False, viewport=PHONE).open("/admin")
    page.get_by_role("link", name="Go to…").click()
    page.wait_for_url(re.compile("/admin/jump"))
    page.get_by_role("searchbox").fill("funnel")
    page.get_by_role("button", name="Find").click()
    page.locator("#jump-found").get_by_role("link", name="Onboarding").first.click()
    page.wait_for_url(re.compile("/admin/onboarding"))


def test_a_view_is_kept_opened_and_removed(visit):
    window = visit()
    page = window.open("/admin/users?status=stalled")
    page.get_by_text("Views", exact=True).click()
    page.get_by_label("Keep these filters").fill("Stalled ones")
    page.get_by_role("button", name="Keep").click()
    page.wait_for_url(re.compile(r"/admin/users\?status=stalled"))
    page = window.open("/admin/users")
    page.get_by_text("Views", exact=True).click()
    page.get_by_role("link", name="Stalled ones").click()
    page.wait_for_url(re.compile("status=stalled"))
    page.get_by_text("Views", exact=True).click()
    page.get_by_label("Remove Stalled ones").click()
    page.get_by_text("Remove “Stalled ones” for good?").wait_for()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.wait_for_selector("text=The view is removed.")
    assert window.complaints == []


# ---- tasks, from /admin, by the keyboard alone, in six actions at the most ----


def test_find_why_somebody_is_stuck(visit):
    window = visit()
    count_everything()
    stuck = FunnelProgress.objects.exclude(stopped_by="").filter(session_id=None, subject__in=User.objects.values("pk"))
    one = stuck.order_by("-entered_at").first()
    email = User.objects.get(pk=one.subject).email
    page = window.open("/admin")
    page.keyboard.press("Control+k")  # 1
    shown(page, email)  # 2
    page.keyboard.press("Enter")  # 3
    page.wait_for_url(re.compile(f"/admin/users/{one.subject}"))
    assert one.stopped_by in page.locator("main").inner_text()


def test_find_the_slowest_answer_of_yesterday_and_its_conversation(visit):
    page = visit().open("/admin")
    page.keyboard.press("Control+k")  # 1
    shown(page, "slowest")  # 2
    page.keyboard.press("Enter")  # 3
    page.wait_for_url(re.compile(r"/admin/ai\?period=custom.*#slowest-rows"))
    page.locator("#slowest-rows").wait_for()
    page.keyboard.press("Tab")  # 4: its first row, as the address leads to the table
    assert page.evaluate("document.activeElement.closest('#slowest tbody tr:first-child') !== null")
    page.keyboard.press("Enter")  # 5
    page.wait_for_url(re.compile(r"#m-|airequest"))


def test_see_which_phase_made_the_last_run_late(visit):
    page = visit().open("/admin")
    page.keyboard.press("Control+k")  # 1
    shown(page, "last batch")  # 2
    page.keyboard.press("Enter")  # 3
    page.wait_for_url(re.compile("/admin/batch/[0-9a-f-]{36}"))
    assert "phase_3_factors" in page.locator("main").inner_text()


def test_export_last_weeks_errors(visit):
    page = visit().open("/admin")
    page.keyboard.press("Control+k")  # 1
    shown(page, "errors csv")  # 2
    with page.expect_download() as download:
        page.keyboard.press("Enter")  # 3
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("id,created_at,event_type")
    assert len(lines) > 5
