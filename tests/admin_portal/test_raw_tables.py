"""/admin/db/: who gets in, what every list shows and costs, how rows are found, and a database that is away."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import pytest
from django.db import connections
from django.urls import reverse
from django.utils import timezone

from activity.models import Event, Message, User
from admin_portal.models import AdminSession, AdminUser
from admin_portal.site import site
from ai_tuning.models import Document
from sigmasight.lib.rawadmin import RawTable
from tests.admin_portal.raw import list_of, make_rows, page_of, queries, text_of
from tests.factories.activity import (
    EventFactory,
    MessageFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


TABLES = [pytest.param(model, table, id=model._meta.label_lower) for model, table in site._registry.items()]


# ---- who gets in ----


def test_outside_it_leads_to_our_own_sign_in(client: Any) -> None:
    response = client.get("/admin/db/activity/user/")

    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login?next=")


def test_djangos_own_login_is_ours(client: Any) -> None:
    assert client.get("/admin/db/login/?next=/admin/db/x/")["Location"] == "/admin/login?next=/admin/db/x/"
    assert client.get("/admin/db/login/")["Location"] == "/admin/login?next=/admin/db/"


def test_djangos_own_logout_revokes_and_needs_a_post(as_admin: Any, admin: AdminUser) -> None:
    assert as_admin.get("/admin/db/logout/").status_code == 405
    assert AdminSession.objects.of(admin.pk).live().exists()

    as_admin.post("/admin/db/logout/")

    assert not AdminSession.objects.of(admin.pk).live().exists()
    assert as_admin.get("/admin/db/").status_code == 302


@pytest.mark.parametrize("page", ["password_change", "password_change_done"])
def test_djangos_own_password_page_is_the_account(as_admin: Any, page: str) -> None:
    assert as_admin.get(reverse(f"admin:{page}"))["Location"] == "/admin/account"


def test_a_revoked_session_is_out_at_once(as_admin: Any, admin: AdminUser) -> None:
    AdminSession.objects.of(admin.pk).revoke()

    assert as_admin.get("/admin/db/").status_code == 302


# ---- every table ----


def test_every_model_has_a_table() -> None:
    from django.apps import apps

    ours = {
        m
        for label in ("activity", "metrics", "ai_tuning", "admin_portal")
        for m in apps.get_app_config(label).get_models()
    }

    assert ours <= set(site._registry)


def test_the_first_page_lists_them_with_their_rows(as_admin: Any) -> None:
    UserFactory.create_batch(3)

    page = text_of(as_admin.get("/admin/db/"))

    assert re.search(r"Users .* users the application 3 ", page)
    for model in site._registry:
        assert model._meta.db_table in page


@pytest.mark.parametrize(("model", "table"), TABLES)
def test_every_list_is_shown_empty_full_and_from_its_end(as_super_admin: Any, model: Any, table: Any) -> None:
    assert as_super_admin.get(list_of(model)).status_code == 200

    make_rows(3)

    assert as_super_admin.get(list_of(model) + "?end=1").status_code == 200
    for spec in table.list_filter:
        assert as_super_admin.get(f"{list_of(model)}?{spec.parameter_name}=1").status_code == 200


@pytest.mark.parametrize(("model", "table"), TABLES)
def test_a_list_costs_as_many_queries_at_fifty_rows_as_at_one_and_never_counts_or_scans(
    as_super_admin: Any, super_admin: AdminUser, model: Any, table: Any
) -> None:
    make_rows(1)
    as_super_admin.get(list_of(model))
    few = queries(as_super_admin, list_of(model))

    make_rows(49)
    many = queries(as_super_admin, list_of(model))

    assert len(many) == len(few)
    name = f'"{model._meta.db_table}"'
    for query in many:
        # A count is bounded, or PostgreSQL's estimate: never over the whole table.
        assert "count(" not in query.lower() or "LIMIT" in query or "pg_" in query
        assert "SELECT DISTINCT" not in query
        assert " OFFSET " not in query
        if query.startswith("SELECT") and f"FROM {name}" in query:
            assert "LIMIT" in query or "admin_" in query


@pytest.mark.parametrize(("model", "table"), TABLES)
def test_an_admin_looks_and_changes_nothing(as_admin: Any, model: Any, table: Any) -> None:
    make_rows(1)
    row = model.objects.first()
    page = as_admin.get(list_of(model)).content.decode()
    assert "/add/" not in page
    assert 'name="action"' not in page
    if row is None:
        return
    shown = as_admin.get(page_of(row)).content.decode()
    assert 'name="_save"' not in shown
    assert "/delete/" not in shown
    assert as_admin.get(page_of(row, "history")).status_code == 200

    assert as_admin.post(page_of(row), {}).status_code == 403
    assert as_admin.post(page_of(row, "delete"), {"post": "yes"}).status_code == 403
    add = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
    assert as_admin.get(add).status_code == 403
    as_admin.post(
        list_of(model), {"action": "delete_selected", "_selected_action": str(row.pk), "index": 0, "post": "yes"}
    )
    assert model.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize(("model", "table"), TABLES)
def test_every_row_page_opens_for_a_super_admin(as_super_admin: Any, model: Any, table: RawTable) -> None:
    make_rows(1)
    row = model.objects.first()
    if row is None:
        return
    assert as_super_admin.get(page_of(row)).status_code == 200
    assert as_super_admin.get(page_of(row, "history")).status_code == 200
    if not isinstance(row, AdminUser):
        assert as_super_admin.get(page_of(row, "delete")).status_code == (200 if table.deletable else 403)


def test_nothing_inline_that_the_content_security_policy_forbids(as_super_admin: Any) -> None:
    make_rows(1)
    event = Event.objects.get()
    for url in (
        "/admin/db/",
        list_of(Event),
        page_of(event),
        page_of(event, "delete"),
        reverse("admin:activity_user_add"),
    ):
        page = as_super_admin.get(url).content.decode()
        assert " style=" not in page
        assert "<style" not in page
        assert not re.search(r"<script(?![^>]*\bsrc=)", page)
        assert not re.search(r"\son\w+=", page)


# ---- paging ----


def test_pages_lead_through_all_rows_and_back(as_admin: Any) -> None:
    start = timezone.now()
    for n in range(120):
        EventFactory(created_at=start - dt.timedelta(seconds=n), session_id=f"s{n:03}")
    seen: list[str] = []
    url = list_of(Event)
    while url:
        cl = as_admin.get(url).context["cl"]
        seen += [row.session_id for row in cl.result_list]
        last = cl
        url = list_of(Event) + cl.next_url if cl.next_url else ""
    assert seen == [f"s{n:03}" for n in range(120)]

    back = as_admin.get(list_of(Event) + last.previous_url).context["cl"]
    assert [row.session_id for row in back.result_list] == [f"s{n:03}" for n in range(50, 100)]
    first = as_admin.get(list_of(Event) + back.previous_url).context["cl"]
    assert (first.previous_url, len(first.result_list)) == ("", 50)
    end = as_admin.get(list_of(Event) + "?end=1").context["cl"]
    assert [row.session_id for row in end.result_list] == [f"s{n:03}" for n in range(70, 120)]
    assert end.next_url == ""


def test_the_page_before_the_second_is_the_whole_first(as_admin: Any) -> None:
    start = timezone.now()
    rows = [EventFactory(created_at=start - dt.timedelta(seconds=n)) for n in range(60)]
    second = as_admin.get(list_of(Event) + as_admin.get(list_of(Event)).context["cl"].next_url).context["cl"]
    Event.objects.filter(pk=rows[3].pk).delete()

    first = as_admin.get(list_of(Event) + second.previous_url).context["cl"]

    assert len(first.result_list) == 50
    assert first.result_list[0] == rows[0]
    assert first.previous_url == ""


def test_a_spoilt_cursor_leads_back_to_the_list(as_admin: Any) -> None:
    assert as_admin.get(list_of(Event) + "?after=xyz")["Location"] == list_of(Event) + "?e=1"
    assert as_admin.get(list_of(Event) + "?e=1").status_code == 200


def test_a_narrowed_list_counts_only_so_far(as_admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sigmasight.lib.rawadmin.changelist.COUNTED_TO", 55)
    EventFactory.create_batch(60, event_type="chat.message_sent")

    assert (
        as_admin.get(list_of(Event) + "?event_type=chat.message_sent").context["cl"].count_words == "more than 55 rows"
    )
    monkeypatch.setattr("sigmasight.lib.rawadmin.changelist.COUNTED_TO", 60)
    assert as_admin.get(list_of(Event) + "?event_type=chat.message_sent").context["cl"].count_words == "60 rows"


# ---- finding ----


@pytest.mark.parametrize("term", ["person", "email", "session", "error"])
def test_events_are_found_by_person_address_session_and_error(as_admin: Any, term: str) -> None:
    person = UserFactory(email="Ann@Example.com")
    wanted = EventFactory(user_id=person.pk, session_id="s-1", error_code="EMAIL_TAKEN")
    EventFactory(session_id="s-2")
    words = {"person": str(person.pk), "email": "Ann@Example.com", "session": "s-1", "error": "EMAIL_TAKEN"}[term]

    assert as_admin.get(list_of(Event), {"q": words}).context["cl"].result_list == [wanted]
    assert as_admin.get(list_of(Event), {"q": words + "x"}).context["cl"].result_list == []


@pytest.mark.parametrize("few", [0, 5000])
def test_messages_are_found_by_their_words_through_the_index(
    as_admin: Any, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activity.admin.FEW_MATCHES", few)
    wanted = MessageFactory(content="My exposures to semiconductors")
    MessageFactory(content="Bonds, please")

    assert as_admin.get(list_of(Message), {"q": "exposure semiconductor"}).context["cl"].result_list == [wanted]
    assert as_admin.get(list_of(Message), {"q": "exposure -semiconductors"}).context["cl"].result_list == []
    assert as_admin.get(list_of(Message), {"q": str(wanted.pk)}).context["cl"].result_list == [wanted]


def test_a_search_for_words_leaves_the_planner_as_it_was(as_admin: Any) -> None:
    as_admin.get(list_of(Message), {"q": "bonds"})

    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT current_setting('enable_seqscan'), current_setting('enable_indexscan')")
        assert cursor.fetchone() == ("on", "on")


@pytest.mark.parametrize("term", ["\x00", "'; --", "%", "x" * 5000, '"unclosed', "🙂"])
@pytest.mark.parametrize(("model", "table"), TABLES)
def test_no_search_breaks_a_list(as_admin: Any, model: Any, table: Any, term: str) -> None:
    assert as_admin.get(list_of(model), {"q": term}).status_code == 200


def test_filters_offer_the_values_that_there_are(as_admin: Any) -> None:
    for kind in ("chat.message_sent", "auth.logout", "chat.message_sent", "zz.unheard_of"):
        EventFactory(event_type=kind)

    specs = {spec.parameter_name: spec for spec in as_admin.get(list_of(Event)).context["cl"].filter_specs}

    assert [value for value, _ in specs["event_type"].lookup_choices] == [
        "auth.logout",
        "chat.message_sent",
        "zz.unheard_of",
    ]
    assert "error_code" not in specs  # there is none to choose


def test_a_filter_that_no_index_helps_chooses_a_period_too(as_admin: Any) -> None:
    MessageFactory()
    page = as_admin.get(list_of(Message)).content.decode()
    assert "?role=user&amp;when=7d" in page

    assert "?role=user&amp;when=24h" in as_admin.get(list_of(Message) + "?when=24h").content.decode()


def test_the_date_hierarchy_narrows_by_range(as_admin: Any) -> None:
    today = timezone.now().replace(hour=12)
    wanted = EventFactory(created_at=today - dt.timedelta(days=3))
    EventFactory(created_at=today)
    day = wanted.created_at
    url = f"{list_of(Event)}?created_at__year={day.year}&created_at__month={day.month}&created_at__day={day.day}"

    found = queries(as_admin, url)

    assert as_admin.get(url).context["cl"].result_list == [wanted]
    assert not any("date_trunc" in query.lower() or "extract" in query.lower() for query in found)


def test_a_url_may_not_filter_by_what_would_scan(as_admin: Any) -> None:
    assert as_admin.get(list_of(Event) + "?event_data__icontains=x").status_code == 400
    assert as_admin.get(list_of(Event) + "?user_agent=x").status_code == 400
    assert as_admin.get(list_of(Event) + f"?user_id={uuid.uuid4()}").status_code == 200
    assert as_admin.get(list_of(Event) + "?user_id=nonsense")["Location"].endswith("?e=1")


# ---- a database that doesn't answer ----


def test_without_metro_its_pages_say_so_and_the_others_work(as_super_admin: Any, away: Any, settings: Any) -> None:
    make_rows(1)
    document = Document.objects.get()
    answer = Message.objects.get()
    if settings.METRO_IS_GONDOLA:
        pytest.skip("one database")
    away("metro")

    first = as_super_admin.get("/admin/db/")
    assert first.status_code == 200
    assert "the metro database doesn’t answer" in text_of(first)
    for url in (list_of(Document), page_of(document), page_of(document, "delete"), page_of(document, "history")):
        response = as_super_admin.get(url)
        assert response.status_code == 503
        assert "Metro doesn’t answer" in text_of(response)
    assert as_super_admin.get(list_of(User)).status_code == 200
    assert as_super_admin.get(page_of(answer)).status_code == 200


def test_what_takes_too_long_is_stopped_with_a_sentence(as_admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db.models import Func, Q, TextField

    from activity.admin import EventTable

    EventFactory.create_batch(3)
    monkeypatch.setattr("sigmasight.lib.rawadmin.answering.TIME_LIMIT_SECONDS", 0.05)
    monkeypatch.setattr(EventTable, "get_queryset", lambda self, request: Event.objects.annotate(
        nap=Func(0.2, function="pg_sleep", output_field=TextField())).filter(Q(nap__isnull=False)))  # fmt: skip

    response = as_admin.get(list_of(Event))

    assert response.status_code == 503
    assert "took too long" in text_of(response)
