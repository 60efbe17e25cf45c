"""/admin/jump: anywhere, by anything known of it."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from activity.rollups import ACTIVITY
from admin_portal.models import SavedView
from ai_tuning.models import Memory
from metrics.rollups import REQUEST_SOURCE
from sigmasight.lib.rollups.fill import fill
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import EventFactory, UserFactory, talk
from tests.factories.ai_tuning import AnnotationFactory, DocumentFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

URL = "/admin/jump"


def look(browser, text):
    """What the palette shows for a text."""
    return read(browser.get(URL, {"q": text}, headers={"HX-Request": "true", "HX-Target": "jump-found"}))


def test_nobody_sees_it_without_signing_in(client):
    assert client.get(URL).status_code == 302


def test_with_nothing_asked_it_offers_every_page_and_shortcuts(as_admin):
    page = read(as_admin.get(URL))
    assert {"/admin", "/admin/users", "/admin/ai", "/admin/batch", "/admin/system", "/admin/account"} <= set(page.links)
    assert "Errors of last week, as CSV" in page.text
    for link in page.links:
        if link.startswith("/admin/") and "logout" not in link:
            assert as_admin.get(link).status_code == 200, link


def test_every_page_has_it_in_its_head(as_admin):
    page = as_admin.get("/admin/users").content.decode()
    assert 'href="/admin/jump"' in page
    assert 'id="jump"' in page


@pytest.mark.parametrize("words", ["funnel", "conversion cohorts", "thumbs", "health", "rag"])
def test_pages_go_by_other_names_too(as_admin, words):
    assert "page" in look(as_admin, words).text


def test_a_person_is_found_by_name_address_id_and_the_beginning_of_it(as_admin):
    ada = UserFactory(full_name="Ada Byron", email="ada.byron@example.com")
    UserFactory(full_name="Bob")
    for text in ("ada byr", "ada.byron@", str(ada.pk), str(ada.pk)[:9], ada.pk.hex[:5].upper()):
        assert f"/admin/users/{ada.pk}" in look(as_admin, text).links, text


def test_somebody_without_an_account_is_found_by_what_they_did(as_admin):
    who = uuid.uuid4()
    make_room(timezone.now())
    EventFactory(user_id=who)
    assert f"/admin/users/{who}" in look(as_admin, str(who)).links


def test_a_conversation_and_its_messages_are_found(as_admin):
    answer = talk(user_id=UserFactory().pk)
    answer.content = "Semiconductors weigh 31 %"
    answer.save()
    thread = f"/admin/ai/conversations/{answer.conversation_id}"
    assert thread in look(as_admin, str(answer.conversation_id)).links
    assert thread in look(as_admin, answer.conversation_id.hex[:8]).links
    assert f"{thread}#m-{answer.pk}" in look(as_admin, str(answer.pk)).links
    assert f"{thread}#m-{answer.pk}" in look(as_admin, "semiconductors").links


def test_a_request_leads_to_its_answer(as_admin):
    answer = talk(user_id=UserFactory().pk)
    row = AIRequestFactory(conversation_id=answer.conversation_id, message_id=answer.pk)
    assert f"/admin/ai/conversations/{answer.conversation_id}#m-{answer.pk}" in look(as_admin, str(row.pk)).links


@pytest.mark.parametrize("text", ["nightly-2026", "yesterday", "15 nov", "Nov 15", "2026-11-15", "batch 15 november"])
def test_a_run_is_found_by_its_name_and_by_its_day(as_admin, time_machine, text):
    time_machine.move_to(TIME_ZERO, tick=False)
    run = BatchRunFactory(batch_run_id="nightly-20261115", started_at=TIME_ZERO - dt.timedelta(days=1))
    BatchRunFactory(batch_run_id="other", started_at=TIME_ZERO - dt.timedelta(days=4))
    links = look(as_admin, text).links
    assert f"/admin/batch/{run.pk}" in links
    assert sum("/admin/batch/" in link for link in links) == 1


def test_a_day_later_in_the_year_is_last_year_s(as_admin, time_machine):
    time_machine.move_to(TIME_ZERO, tick=False)
    run = BatchRunFactory(started_at=dt.datetime(2025, 12, 24, 3, tzinfo=dt.UTC))
    assert f"/admin/batch/{run.pk}" in look(as_admin, "24 dec").links


def test_errors_and_models_lead_to_their_rows(as_admin):
    make_room(timezone.now())
    EventFactory(user_id=uuid.uuid4(), error_code="CSV_UNREADABLE")
    AIRequestFactory(model="gpt-5-mini", error_type="rate_limit_exceeded")
    for source in (ACTIVITY, REQUEST_SOURCE):
        fill(source, timezone.now() + dt.timedelta(minutes=1), budget=None)
    assert "/admin/onboarding/events?period=30d&error=CSV_UNREADABLE" in look(as_admin, "csv_un").links
    assert "/admin/ai?period=30d&error=rate_limit_exceeded" in look(as_admin, "rate_limit").links
    assert "/admin/ai?period=30d&model=gpt-5-mini" in look(as_admin, "GPT-5").links


def test_what_metro_knows_is_found_and_named_where_metro_is_away(as_admin, away):
    paper, note = DocumentFactory(title="Wash sales"), AnnotationFactory()
    memory = Memory.objects.create(scope="global", content="Speak plainly", tags={})
    assert f"/admin/ai/knowledge/{paper.pk}" in look(as_admin, "wash").links
    assert f"/admin/db/ai_tuning/annotation/{note.pk}/change/" in look(as_admin, str(note.pk)).links
    assert f"/admin/db/ai_tuning/memory/{memory.pk}/change/" in look(as_admin, str(memory.pk)).links
    user = UserFactory(full_name="Washington")
    away("metro")
    page = look(as_admin, "wash")
    assert f"/admin/users/{user.pk}" in page.links
    assert "Documents: the metro database doesn’t answer." in page.text


def test_saved_views_are_found_one_s_own_only(as_admin, admin, super_admin):
    for owner, name in ((admin, "Stalled this week"), (super_admin, "Stalled for ever")):
        SavedView.objects.create(admin_user=owner, page="people", name=name, query="status=stalled&since=7d")
    page = look(as_admin, "stalled")
    assert "/admin/users?status=stalled&since=7d" in page.links
    assert "Stalled for ever" not in page.text


def test_an_address_of_ours_that_is_pasted_leads_there(as_admin):
    assert "/admin/users?status=stalled" in look(as_admin, "https://admin.example.com/admin/users?status=stalled").links
    assert as_admin.get(URL, {"q": "/admin/users"})["Location"] == "/admin/users"
    for elsewhere in ("https://example.org/", "/admin/nowhere/at/all", "//example.org/admin"):
        assert "this address" not in look(as_admin, elsewhere).text


def test_without_script_a_whole_id_leads_there_at_once(as_admin):
    user = UserFactory()
    answer = as_admin.get(URL, {"q": str(user.pk)})
    assert answer.status_code == 302
    assert answer["Location"] == f"/admin/users/{user.pk}"


def test_nothing_found_says_what_finds_more(as_admin):
    assert "Nothing is called so" in look(as_admin, "zzzzqqqq").text


def test_no_text_breaks_it(as_admin):
    read_all_nonsense(as_admin, URL, "q")


@pytest.mark.parametrize("text", ["person", "e"])
def test_it_costs_as_many_queries_for_fifty_as_for_one(as_admin, text):
    UserFactory(full_name="Person 0")
    with counted() as one:
        look(as_admin, text)
    for number in range(49):
        user = UserFactory(full_name=f"Person {number}")
        talk(user_id=user.pk)
        DocumentFactory(title=f"Person {number}")
    with counted() as fifty:
        look(as_admin, text)
    assert len(fifty) <= len(one) + 6, "\n".join(fifty)


def test_what_was_looked_for_is_not_logged(as_admin, caplog):
    look(as_admin, "ada.byron@example.com")
    assert "ada.byron" not in caplog.text
