"""/admin/db/: what everybody sees, what a super admin may change, and what a page costs."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from activity.models import Conversation, Event, Message, QuarantinedRow, User
from admin_portal.models import AdminSession, AdminUser
from admin_portal.site import site
from ai_tuning.models import Document, Memory
from metrics.models import AIRequest, DailyMetric
from sigmasight.lib.rawadmin import RawTable
from tests.factories.activity import (
    AnswerFactory,
    ConversationFactory,
    EventFactory,
    MessageFactory,
    PortfolioFactory,
    UserFactory,
)
from tests.factories.ai_tuning import AnnotationFactory, DocumentFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

TABLES = [pytest.param(model, table, id=model._meta.label_lower) for model, table in site._registry.items()]
EMBEDDING = [0.03] * 1536


def list_of(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_of(row: Any, page: str = "change") -> str:
    table: Any = site._registry[type(row)]
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[table.object_key(row)])


def text_of(response: Any) -> str:
    """What a person reads of it."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def make_rows(count: int) -> None:
    """Some rows in every table, pointing at each other."""
    for n in range(count):
        person = UserFactory()
        PortfolioFactory(user=person)
        conversation = ConversationFactory(user_id=person.pk)
        answer = AnswerFactory(conversation=conversation)
        EventFactory(user_id=person.pk)
        QuarantinedRow.objects.create(source_table="user_activity_events", row_data={"n": n})
        AIRequestFactory(user_id=person.pk, conversation_id=conversation.pk, message_id=answer.pk)
        BatchRunFactory()
        DailyMetric.objects.create(date=dt.date(2026, 1, 1) + dt.timedelta(days=n), metric_type="m", metric_value=n)
        FeedbackFactory(message_id=answer.pk, comment="No.")
        Memory.objects.create(scope="user", user_id=person.pk, content="Likes bonds")
        DocumentFactory(embedding=EMBEDDING)
        AnnotationFactory(message_id=answer.pk)


def queries(client: Any, url: str) -> list[str]:
    with CaptureQueriesContext(connections["default"]) as ours, CaptureQueriesContext(connections["metro"]) as theirs:
        response = client.get(url)
    assert response.status_code == 200, url
    return [query["sql"] for query in [*ours.captured_queries, *theirs.captured_queries]]


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
    assert "_add" not in page
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
    EventFactory(created_at=start - dt.timedelta(seconds=0.5))

    first = as_admin.get(list_of(Event) + second.previous_url).context["cl"]

    assert len(first.result_list) == 50
    assert rows[0] in first.result_list


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


# ---- partitions ----


def test_a_row_of_a_partitioned_table_is_read_written_and_deleted_in_its_own_partition(as_super_admin: Any) -> None:
    event = EventFactory(event_type="chat.message_sent", created_at=timezone.now() - dt.timedelta(days=4))
    url = page_of(event)
    with CaptureQueriesContext(connections["default"]) as captured:
        assert as_super_admin.get(url).status_code == 200
        saved = as_super_admin.post(
            url, {"event_type": "chat.changed", "event_category": "chat", "event_data": '{"a": 1}'}
        )
        assert saved.status_code == 302, saved.context["errors"]
        assert as_super_admin.post(page_of(event, "delete"), {"post": "yes"}).status_code == 302
    touched = [q["sql"] for q in captured.captured_queries if "user_activity_events" in q["sql"]]
    assert {sql.split()[0] for sql in touched} == {"SELECT", "UPDATE", "DELETE"}
    for sql in touched:
        assert '"created_at" = ' in sql
        with connections["default"].cursor() as cursor:
            cursor.execute("EXPLAIN " + sql)
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert len(set(re.findall(r"user_activity_events_p\d{8}\b(?!_)", plan))) == 1, plan
    assert not Event.objects.exists()


def test_a_bare_id_leads_to_the_rows_full_name(as_admin: Any) -> None:
    event = EventFactory()

    response = as_admin.get(f"/admin/db/activity/event/{event.pk}/change/?_changelist_filters=q%3Dx")

    assert response["Location"] == page_of(event) + "?_changelist_filters=q%3Dx"
    assert as_admin.get(f"/admin/db/activity/event/{uuid.uuid4()}/change/").status_code == 404


def test_an_event_can_be_added_and_lies_in_todays_partition(as_super_admin: Any) -> None:
    response = as_super_admin.post(
        reverse("admin:activity_event_add"), {"event_type": "chat.note", "event_category": "chat", "event_data": "{}"}
    )

    assert response.status_code == 302
    assert Event.objects.get().created_at.date() == timezone.now().date()
    assert LogEntry.objects.get().object_id.endswith(str(Event.objects.get().pk))


# ---- changing ----


def test_only_changed_columns_are_written_and_the_history_tells(as_super_admin: Any, super_admin: AdminUser) -> None:
    person = UserFactory(full_name="Ann")
    form = {"email": person.email, "full_name": "Ann Lee", "is_active": "on"}
    User.objects.filter(pk=person.pk).update(hashed_password="changed meanwhile")

    with CaptureQueriesContext(connections["default"]) as captured:
        as_super_admin.post(page_of(person), form)

    update = next(q["sql"] for q in captured.captured_queries if q["sql"].startswith('UPDATE "users"'))
    assert "hashed_password" not in update
    assert User.objects.get(pk=person.pk).hashed_password == "changed meanwhile"
    assert User.objects.get(pk=person.pk).updated_at > person.updated_at
    entry = LogEntry.objects.get()
    assert (entry.action_flag, entry.user_id, entry.object_id) == (CHANGE, super_admin.pk, str(person.pk))
    assert "full name" in text_of(as_super_admin.get(page_of(person, "history"))).lower()


def test_saving_without_a_change_writes_nothing(as_super_admin: Any) -> None:
    run = BatchRunFactory(started_at=timezone.now().replace(microsecond=123456), phase_durations={"b": 1, "a": 2.5})
    form = as_super_admin.get(page_of(run)).context["adminform"].form
    data = {bound.name: bound.value() for bound in form if bound.value() is not None}
    data["started_at"] = f"{run.started_at:%Y-%m-%d %H:%M:%S.%f}"
    data["completed_at"] = f"{run.completed_at:%Y-%m-%d %H:%M:%S.%f}"

    with CaptureQueriesContext(connections["default"]) as captured:
        assert as_super_admin.post(page_of(run), data).status_code == 302

    assert not [q for q in captured.captured_queries if q["sql"].startswith('UPDATE "batch_run_history"')]


def test_adding_and_deleting_are_in_the_history(as_super_admin: Any) -> None:
    as_super_admin.post(
        reverse("admin:ai_tuning_document_add"), {"scope": "global", "title": "Beta", "content": "…", "metadata": ""}
    )
    document = Document.objects.get()
    assert document.metadata == {}

    as_super_admin.post(page_of(document, "delete"), {"post": "yes"})

    assert not Document.objects.exists()
    assert list(LogEntry.objects.order_by("action_time").values_list("action_flag", flat=True)) == [ADDITION, DELETION]


def test_ticked_rows_are_deleted_and_never_all_that_match(as_super_admin: Any) -> None:
    documents = DocumentFactory.create_batch(3)
    choice = {"action": "delete_selected", "_selected_action": str(documents[0].pk), "select_across": "1", "index": "0"}
    assert "Document" in text_of(as_super_admin.post(list_of(Document), choice))

    as_super_admin.post(list_of(Document), {**choice, "post": "yes"})

    assert Document.objects.count() == 2


def test_a_person_with_portfolios_is_not_deleted_and_says_why(as_super_admin: Any) -> None:
    portfolio = PortfolioFactory(name="Core")
    url = page_of(portfolio.user, "delete")

    assert "The portfolio “Core” belongs to this person" in text_of(as_super_admin.get(url))
    as_super_admin.post(url, {"post": "yes"})

    assert User.objects.filter(pk=portfolio.user.pk).exists()


def test_a_conversations_messages_go_with_it_and_the_page_says_so(as_super_admin: Any) -> None:
    conversation = MessageFactory().conversation

    assert "its 1 message" in text_of(as_super_admin.get(page_of(conversation, "delete")))
    as_super_admin.post(page_of(conversation, "delete"), {"post": "yes"})

    assert not Conversation.objects.exists()
    assert not Message.objects.exists()


def test_what_the_database_refuses_is_said_not_thrown(as_super_admin: Any) -> None:
    DailyMetric.objects.create(date=dt.date(2026, 1, 1), metric_type="m", metric_value=1)
    twin = DailyMetric.objects.create(date=dt.date(2026, 1, 2), metric_type="m", metric_value=1)

    response = as_super_admin.post(
        page_of(twin), {"date": "2026-01-01", "metric_type": "m", "metric_value": "1", "dimensions": "{}"}
    )

    assert response.status_code in (200, 302)
    assert DailyMetric.objects.get(pk=twin.pk).date == dt.date(2026, 1, 2)


# ---- links ----


def test_uuids_are_links_with_labels_and_say_what_is_gone(as_admin: Any) -> None:
    person = UserFactory(full_name="Ann Lee")
    event, orphan = EventFactory(user_id=person.pk), EventFactory(user_id=uuid.uuid4())

    page = as_admin.get(list_of(Event)).content.decode()

    assert f'<a href="{page_of(person)}" title="{person.pk}">Ann Lee</a>' in page
    assert "not found" in page
    assert "Ann Lee" in as_admin.get(page_of(event)).content.decode()
    assert "not found" in as_admin.get(page_of(orphan)).content.decode()


def test_a_link_leads_across_the_databases(as_admin: Any, admin: AdminUser) -> None:
    answer = AnswerFactory(content="Your beta is 1.12")
    annotation = AnnotationFactory(message_id=answer.pk, admin_user_id=admin.pk)
    request = AIRequestFactory(message_id=answer.pk, conversation_id=answer.conversation_id)

    page = as_admin.get(page_of(annotation)).content.decode()
    assert page_of(answer) in page
    assert "Your beta is 1.12" in page
    assert "Ines Marchetti" in page
    page = as_admin.get(page_of(request)).content.decode()
    assert page_of(answer.conversation) in page
    assert page_of(answer) in page


def test_a_row_tells_which_lists_point_at_it(as_admin: Any) -> None:
    answer = AnswerFactory()
    FeedbackFactory(message_id=answer.pk)
    FeedbackFactory()

    page = as_admin.get(page_of(answer)).content.decode()

    assert f"/admin/db/ai_tuning/feedback/?message_id={answer.pk}" in page
    assert f"/admin/db/metrics/airequest/?message_id={answer.pk}" in page
    assert as_admin.get(f"/admin/db/ai_tuning/feedback/?message_id={answer.pk}").context["cl"].result_count == 1


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
    from django.db.models import Func, Q

    from activity.admin import EventTable

    EventFactory.create_batch(3)
    monkeypatch.setattr("sigmasight.lib.rawadmin.answering.limited.__kwdefaults__", None, raising=False)
    monkeypatch.setattr("sigmasight.lib.rawadmin.answering.TIME_LIMIT_SECONDS", 0.05)
    monkeypatch.setattr(EventTable, "get_queryset", lambda self, request: Event.objects.annotate(
        nap=Func(0.2, function="pg_sleep")).filter(Q(nap__isnull=False)))  # fmt: skip

    response = as_admin.get(list_of(Event))

    assert response.status_code == 503
    assert "took too long" in text_of(response)


# ---- what must not be seen, what must not be read ----


def test_secrets_are_never_shown(as_super_admin: Any, super_admin: AdminUser) -> None:
    person = UserFactory(hashed_password="$2b$12$averylongsecret")
    session = AdminSession.objects.get()
    for row, secret in (
        (person, "averylongsecret"),
        (super_admin, super_admin.password),
        (session, session.token_hash),
    ):
        for url in (page_of(row), list_of(type(row))):
            page = as_super_admin.get(url).content.decode()
            assert secret not in page
    assert session.session_data not in as_super_admin.get(page_of(session)).content.decode()


def test_embeddings_are_neither_read_nor_dumped(as_super_admin: Any) -> None:
    document, plain = DocumentFactory(embedding=EMBEDDING), DocumentFactory()
    norm = (1536 * 0.03**2) ** 0.5

    for url in (list_of(Document), page_of(document)):
        for query in queries(as_super_admin, url):
            assert '"ai_kb_documents"."embedding",' not in query
    assert f"1536 numbers, norm {norm:.4f}" in text_of(as_super_admin.get(page_of(document)))
    assert re.search(r"Embedding none", text_of(as_super_admin.get(page_of(plain))))


def test_long_texts_are_cut_in_lists_and_whole_on_their_own_page(as_admin: Any) -> None:
    message = MessageFactory(content="word " * 400 + "the end")

    assert "the end" not in text_of(as_admin.get(list_of(Message)))
    assert "the end" in text_of(as_admin.get(page_of(message)))


def test_json_is_readable_on_a_rows_own_page(as_admin: Any) -> None:
    request = AIRequestFactory(tool_calls={"tools": [{"name": "get_beta"}]})

    assert "&quot;tools&quot;: [\n    {\n" in as_admin.get(page_of(request)).content.decode()
    assert AIRequest.objects.count() == 1
