"""Funnels are kept true, whoever writes and whenever, and whatever happens to the workers."""

from __future__ import annotations

import io
import threading
import uuid

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from activity import funnel
from activity.funnel_models import Funnel, FunnelAnonymous, FunnelEvidence, FunnelMark, FunnelProgress
from activity.funnels import cells, definition
from activity.funnels import refresh as refreshing
from activity.funnels.refresh import reconcile, refresh
from activity.models import Conversation, Event, User
from ai_tuning.models import Feedback
from sigmasight.lib.periods import between
from tests.activity.funnel_oracle import DAY, HOUR, MIDNIGHT, MINUTE, NOW, SECOND, WINDOW, ship, stored
from tests.factories.activity import EventFactory, PortfolioFactory, UserFactory, talk
from tests.factories.ai_tuning import FeedbackFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"], transaction=True)

START, DONE = "onboarding.register_start", "onboarding.register_complete"
EVER = between(NOW - 40 * DAY, NOW + DAY)


@pytest.fixture(autouse=True)
def _shipped():
    ship()


def happen(event_type, at, user=None, session=None, **columns):
    return EventFactory(event_type=event_type, created_at=at, user_id=user, session_id=session, **columns)


def by_hand(using, event_type, at, user=None, session=None):
    """An event as the application writes it, on a connection of one's own."""
    with using.cursor() as cursor:
        cursor.execute(
            "INSERT INTO user_activity_events (user_id, session_id, event_type, event_category, created_at)"
            " VALUES (%s, %s, %s, 'onboarding', %s)",
            [user, session, event_type, at],
        )


@pytest.fixture
def elsewhere():
    """A second connection to gondola."""
    other = connections["default"].copy()
    yield other
    other.close()


def reached(slug="onboarding"):
    return [step.reached for step in funnel.funnel(slug, EVER, now=NOW).steps]


def test_an_empty_database_has_nobody_in_any_funnel():
    report = refresh(NOW, budget=None)

    assert (report.events, report.changed, report.left) == (0, 0, 0)
    assert reached() == [0, 0, 0, 0, 0]
    figures = funnel.funnel("onboarding", EVER, "source", now=NOW)
    assert (figures.groups, figures.conversion, figures.unattributed, figures.as_of) == ((), None, 0, NOW)
    assert funnel.people_total(NOW) == 0
    assert funnel.dropped("onboarding", EVER, "registered").people == ()


def test_a_session_that_signs_up_becomes_the_person():
    user = uuid.uuid4()
    happen(START, NOW - 2 * HOUR, session="s")
    refresh(NOW, budget=None)
    assert list(stored("onboarding")) == [("session", "s")]

    happen(DONE, NOW - HOUR, user, "s")
    refresh(NOW, budget=None)

    assert list(stored("onboarding")) == [("user", user)]
    assert reached() == [1, 1, 0, 0, 0]
    step = funnel.funnel("onboarding", EVER, now=NOW).steps[1]
    assert step.median_previous == pytest.approx(3_600_000, rel=0.01)


def test_a_session_that_signs_up_after_its_events_are_gone_becomes_the_person_too():
    user, later = uuid.uuid4(), NOW
    start = happen(START, NOW - 29 * DAY, session="s", event_data={"source": "podcast"})
    refresh(NOW - 29 * DAY, budget=None)
    Event.objects.filter(pk=start.pk).delete()

    happen(DONE, NOW, user, "s")
    refresh(later, budget=None)

    (one,) = stored("onboarding").items()
    assert one[0] == ("user", user)
    assert one[1].reached[:2] == [NOW - 29 * DAY, NOW]
    assert one[1].source == "podcast"


def test_two_people_on_one_machine_stay_two():
    ada, bob = uuid.uuid4(), uuid.uuid4()
    happen(START, NOW - 6 * MINUTE, session="s")
    happen(DONE, NOW - 5 * MINUTE, ada, "s")
    happen("auth.logout", NOW - 4 * MINUTE, ada, "s")
    happen(START, NOW - 3 * MINUTE, session="s")
    happen(DONE, NOW - 2 * MINUTE, bob, "s")
    happen(START, NOW - MINUTE, session="s")

    refresh(NOW, budget=None)

    found = stored("onboarding")
    assert found["user", ada].reached[0] == NOW - 6 * MINUTE
    assert found["user", bob].reached[0] == NOW - 3 * MINUTE
    assert found["session", "s"].reached[0] == NOW - MINUTE


def test_a_late_row_gives_an_anonymous_event_to_somebody_else():
    ada, bob = uuid.uuid4(), uuid.uuid4()
    happen(START, NOW - 6 * MINUTE, session="s")
    happen(DONE, NOW - 2 * MINUTE, bob, "s")
    refresh(NOW, budget=None)
    assert stored("onboarding")["user", bob].reached[0] == NOW - 6 * MINUTE

    happen(DONE, NOW - 4 * MINUTE, ada, "s")
    refresh(NOW, budget=None)

    found = stored("onboarding")
    assert found["user", ada].reached[0] == NOW - 6 * MINUTE
    assert found["user", bob].reached[0] == NOW - 2 * MINUTE


def test_a_blank_session_ties_nobody_together():
    happen(START, NOW - 2 * HOUR, session="")
    happen(DONE, NOW - HOUR, uuid.uuid4(), "")

    refresh(NOW, budget=None)

    assert funnel.funnel("onboarding", EVER, now=NOW).unattributed == 1
    assert reached() == [1, 1, 0, 0, 0]
    assert not FunnelAnonymous.objects.exists()


def test_starts_of_nobody_are_counted_apart_and_for_ever():
    happen(START, NOW - 2 * HOUR)
    happen(START, NOW - 2 * HOUR)
    happen("onboarding.register_error", NOW - 2 * HOUR)
    refresh(NOW, budget=None)
    happen(START, NOW - 2 * HOUR)
    refresh(NOW, budget=None)
    Event.objects.all().delete()
    refresh(NOW + 50 * DAY, budget=None)

    figures = funnel.funnel("onboarding", EVER, now=NOW)
    assert (figures.unattributed, figures.entered) == (3, 0)
    assert funnel.funnel("onboarding", between(NOW - HOUR, NOW), now=NOW).unattributed == 0


def test_rows_by_hand_for_days_long_past_are_found(elsewhere):
    refresh(NOW, budget=None)
    user = uuid.uuid4()

    by_hand(elsewhere, DONE, NOW - 20 * DAY, user)
    assert refresh(NOW, budget=None).events == 1

    assert stored("onboarding")["user", user].reached[1] == NOW - 20 * DAY


def test_a_row_of_a_transaction_that_took_long_is_found(elsewhere):
    refresh(NOW, budget=None)
    slow, quick = uuid.uuid4(), uuid.uuid4()
    elsewhere.set_autocommit(False)
    by_hand(elsewhere, DONE, NOW - HOUR, slow)
    happen(DONE, NOW - HOUR, quick)
    refresh(NOW, budget=None)
    refresh(NOW, budget=None)
    assert set(stored("onboarding")) == {("user", quick)}

    elsewhere.commit()
    refresh(NOW, budget=None)

    assert set(stored("onboarding")) == {("user", quick), ("user", slow)}


def test_a_transaction_that_ends_between_two_parts_of_the_news_is_not_missed(elsewhere, monkeypatch):
    refresh(NOW, budget=None)
    elsewhere.set_autocommit(False)
    by_hand(elsewhere, DONE, NOW - HOUR, uuid.uuid4())
    for _ in range(9):
        happen(DONE, NOW - HOUR, uuid.uuid4())
    monkeypatch.setattr(refreshing, "CHUNK", 4)
    take, parts = refreshing.ingest.take_new, []

    def take_and_end(cursor, which):
        parts.append(take(cursor, which))
        elsewhere.commit()  # its number lies in the first part, which is done
        return parts[-1]

    monkeypatch.setattr(refreshing.ingest, "take_new", take_and_end)
    refresh(NOW, budget=None)
    refresh(NOW, budget=None)

    assert len(parts) > 2
    assert len(stored("onboarding")) == 10


def test_much_news_behind_an_open_transaction_is_taken_in_parts(elsewhere, monkeypatch):
    refresh(NOW, budget=None)
    elsewhere.set_autocommit(False)
    by_hand(elsewhere, DONE, NOW - HOUR, uuid.uuid4())
    for _ in range(25):
        happen(DONE, NOW - HOUR, uuid.uuid4())
    monkeypatch.setattr(refreshing, "CHUNK", 4)

    refresh(NOW, budget=None)
    assert len(stored("onboarding")) == 25
    elsewhere.commit()
    refresh(NOW, budget=None)

    assert len(stored("onboarding")) == 26


class _KilledError(Exception):
    pass


def _killed_at(number):
    """Runs a refresh that dies at its so-manieth statement; whether it did."""
    passed = 0

    def die(execute, sql, params, many, context):
        nonlocal passed
        passed += 1
        if passed == number:
            raise _KilledError
        return execute(sql, params, many, context)

    with connection.execute_wrapper(die):
        try:
            refresh(NOW, budget=None)
        except _KilledError:
            return True
    return False


def test_it_may_be_killed_anywhere():
    user = uuid.uuid4()
    happen(START, NOW - 3 * HOUR, session="s")
    UserFactory(pk=user, created_at=NOW - 2 * HOUR)
    happen(DONE, NOW - 2 * HOUR, user, "s")
    number = 1
    while _killed_at(number):
        number += 13
        if number % 3 == 0:
            happen("auth.token_refresh", NOW - HOUR, user, "s")
    happen("onboarding.portfolio_start", NOW - MINUTE, user)
    number = 1
    while _killed_at(number):
        number += 7

    assert list(stored("onboarding")) == [("user", user)]
    assert reached()[:2] == [1, 1]
    assert reached()[3:] == [1, 0]
    assert [count for _, count in funnel.step_counts("onboarding", "registered", MIDNIGHT, NOW)] == [1]


def test_two_workers_do_it_once():
    for number in range(30):
        happen(START, NOW - number * HOUR, session=f"s{number}")
    reports, gate = [], threading.Barrier(2)

    def work():
        try:
            gate.wait()
            reports.extend(refresh(NOW, budget=None) for _ in range(4))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refresh(NOW, budget=None)

    assert len(reports) == 8
    assert sum(report.changed for report in reports) <= 30
    assert reached() == [30, 0, 0, 0, 0]


def test_who_comes_second_goes_away(elsewhere):
    elsewhere.set_autocommit(False)
    with elsewhere.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [refreshing.LOCK])

    assert refresh(NOW).busy
    assert reconcile(NOW).busy
    elsewhere.rollback()
    assert not refresh(NOW, budget=None).busy


def test_a_build_goes_on_where_the_budget_ended_it():
    happen(DONE, NOW - DAY, uuid.uuid4())

    reports = [refresh(NOW, budget=0) for _ in range(4)]

    assert [report.left > 0 for report in reports][-1] is False
    assert reports[0].left > 0
    assert reached() == [1, 1, 0, 0, 0]


def test_records_are_evidence_where_events_are_missing():
    hosted = UserFactory(created_at=NOW - 3 * DAY)
    PortfolioFactory(user=hosted, created_at=NOW - 2 * DAY, deleted_at=NOW - DAY)
    refresh(NOW, budget=None)

    later = UserFactory(created_at=NOW - HOUR)
    refresh(NOW + MINUTE, budget=None)

    found = stored("onboarding")
    made = NOW - 2 * DAY
    assert found["user", hosted.pk].reached == [NOW - 3 * DAY, NOW - 3 * DAY, made, made, made]
    assert found["user", hosted.pk].inferred == [True, False, True, True, False]
    assert found["user", later.pk].reached[1] == NOW - HOUR


def test_a_back_dated_record_is_found_within_a_quarter_of_an_hour():
    refresh(NOW, budget=None)
    user = UserFactory(created_at=NOW - 20 * DAY)
    refresh(NOW + 14 * MINUTE, budget=None)
    assert stored("onboarding") == {}

    refresh(NOW + 15 * MINUTE, budget=None)

    assert stored("onboarding")["user", user.pk].reached[1] == NOW - 20 * DAY


def test_a_record_dated_long_ago_is_found_by_the_daily_reconciliation():
    refresh(NOW, budget=None)
    user = UserFactory(created_at=NOW - 300 * DAY)
    refresh(NOW, budget=None)
    assert stored("onboarding") == {}

    reconcile(NOW)

    assert stored("onboarding")["user", user.pk].reached[1] == NOW - 300 * DAY
    assert funnel.people_total(NOW) == 1


def test_whoever_was_deleted_stays_counted():
    user = UserFactory(created_at=NOW - DAY)
    refresh(NOW, budget=None)
    User.objects.all().delete()
    reconcile(NOW)
    happen("auth.logout", NOW - HOUR, user.pk)
    refresh(NOW, budget=None)

    assert reached() == [1, 1, 1, 0, 0]
    (one,) = funnel.dropped("onboarding", EVER, "signed_in").people
    assert (one.user_id, one.email) == (user.pk, "")


def test_a_thumbs_up_completes_the_activation():
    answer = talk(created_at=NOW - 3 * HOUR)
    refresh(NOW, budget=None)
    assert reached("activation") == [1, 1, 0]

    FeedbackFactory(message_id=answer.pk, rating="down", created_at=NOW - HOUR)
    FeedbackFactory(message_id=answer.pk, rating="up", created_at=NOW - HOUR + SECOND)
    FeedbackFactory(rating="up", created_at=NOW - HOUR)  # on an answer that nobody knows
    refresh(NOW, budget=None)

    assert reached("activation") == [1, 1, 1]
    assert sorted(FunnelEvidence.objects.values_list("name", flat=True)) == ["thumbs_down", "thumbs_up"]


def test_thumbs_wait_while_metro_is_away(away, caplog):
    refresh(NOW, budget=None)
    answer = talk(created_at=NOW - 30 * MINUTE)
    FeedbackFactory(message_id=answer.pk, rating="up", created_at=NOW - 20 * MINUTE)
    away("metro")

    report = refresh(NOW, budget=None)

    assert report.waiting == ["thumbs_up", "thumbs_down"]
    assert reached("activation") == [1, 1, 0]


def test_thumbs_given_while_metro_was_away_are_not_lost(monkeypatch):
    from ai_tuning import evidence as thumbs

    monkeypatch.setattr(thumbs, "PAGE", 2)
    answers = [talk(created_at=NOW - 5 * DAY) for _ in range(5)]
    refresh(NOW - 4 * DAY, budget=None)
    for answer in answers:
        FeedbackFactory(message_id=answer.pk, rating="up", created_at=NOW - 4 * DAY)

    refresh(NOW, budget=None)

    assert reached("activation") == [5, 5, 5]


def test_the_same_number_of_queries_asks_for_one_thumb_and_for_many(django_assert_num_queries):
    from ai_tuning.evidence import thumbs

    for number in range(20):
        FeedbackFactory(message_id=talk().pk, rating="up")
        if number in (0, 19):
            with (
                django_assert_num_queries(1, using="metro"),
                django_assert_num_queries(1, using="default"),
            ):
                assert [len(page) for page in thumbs("up", None)] == [number + 1]


def test_a_change_of_steps_is_a_new_version_and_the_old_one_can_still_be_asked():
    happen(START, NOW - 2 * HOUR, session="s")
    happen("onboarding.login_success", NOW - HOUR, uuid.uuid4())
    refresh(NOW, budget=None)
    shipped = Funnel.objects.get(slug="onboarding")
    steps = [shipped.steps[1], {**shipped.steps[2], "label": "Came in"}]

    definition.new_version("onboarding", name="Onboarding", steps=steps, window=WINDOW, is_implied=True)
    assert funnel.funnel("onboarding", EVER, now=NOW).definition.version == 1
    assert refresh(NOW, budget=None).built == ["onboarding 2"]

    figures = funnel.funnel("onboarding", EVER, now=NOW)
    assert (figures.definition.version, [step.reached for step in figures.steps]) == (2, [1, 1])
    old = funnel.funnel("onboarding", EVER, of_version=1, now=NOW)
    assert [step.reached for step in old.steps] == [2, 1, 1, 0, 0]
    happen(DONE, NOW - MINUTE, uuid.uuid4())
    refresh(NOW, budget=None)
    assert funnel.funnel("onboarding", EVER, of_version=1, now=NOW).steps[1].reached == 1
    assert funnel.funnel("onboarding", EVER, now=NOW).steps[0].reached == 2


def test_a_new_version_knows_what_the_old_one_knew_of_events_that_are_gone():
    happen("onboarding.login_success", NOW - DAY, uuid.uuid4())
    refresh(NOW, budget=None)
    Event.objects.all().delete()
    shipped = Funnel.objects.get(slug="onboarding")
    steps = [shipped.steps[1], {**shipped.steps[2], "events": ["onboarding.login_success", "sso.done"]}]

    definition.new_version("onboarding", name="Onboarding", steps=steps, window=WINDOW, is_implied=True)
    refresh(NOW, budget=None)

    assert reached() == [1, 1]


def test_a_funnel_that_is_switched_off_is_kept_no_more():
    refresh(NOW, budget=None)
    Funnel.objects.filter(slug="activation").update(is_active=False)
    happen("chat.session_start", NOW - HOUR, uuid.uuid4())

    refresh(NOW, budget=None)

    assert not FunnelProgress.objects.filter(funnel__slug="activation").exists()
    assert reached("activation") == [0, 0, 0]


def test_a_definition_that_makes_no_sense_stops_no_other():
    Funnel.objects.create(slug="broken", name="Broken", steps=[1, "x"])
    happen(START, NOW - HOUR, session="s")

    refresh(NOW, budget=None)

    assert reached() == [1, 0, 0, 0, 0]


@pytest.mark.slow
def test_a_session_of_ten_thousand_events_is_one_person():
    user = uuid.uuid4()
    Event.objects.bulk_create(
        Event(
            event_type=START if number % 2 else "page.view",
            event_category="onboarding",
            session_id="s",
            user_id=user if number == 9_998 else None,
            created_at=NOW - HOUR + dt_ms(number),
        )
        for number in range(10_000)
    )

    refresh(NOW, budget=None)

    found = stored("onboarding")
    assert found["user", user].reached[0] == NOW - HOUR + dt_ms(1)
    assert found["session", "s"].reached[0] == NOW - HOUR + dt_ms(9_999)


def dt_ms(number):
    return SECOND * number / 1000


def test_copies_of_anonymous_events_are_thinned_out_once_their_events_are_gone():
    for number in range(50):
        happen(START, NOW - DAY + number * MINUTE, session="s")
    happen("onboarding.register_error", NOW - DAY + HOUR, session="s", error_code="TAKEN")
    refresh(NOW, budget=None)
    before = stored("onboarding")

    reconcile(NOW)
    assert FunnelAnonymous.objects.count() == 51
    reconcile(NOW + 40 * DAY)

    assert FunnelAnonymous.objects.count() == 2
    refreshing.rebuild()
    refresh(NOW + 40 * DAY, budget=None)
    assert stored("onboarding") == before


def test_where_much_is_to_be_counted_anew_long_past_hours_wait_a_little(monkeypatch):
    monkeypatch.setattr(cells, "AT_ONCE_PEOPLE", -1)
    happen(START, NOW - 3 * DAY, session="s")
    refresh(NOW, budget=None)

    happen(DONE, NOW - 3 * DAY + HOUR, uuid.uuid4(), "s")
    happen(START, NOW - HOUR, session="today")
    refresh(NOW + MINUTE, budget=None)

    figures = funnel.funnel("onboarding", EVER, now=NOW)
    assert [step.reached for step in figures.steps[:2]] == [2, 0]
    assert figures.as_of == NOW + MINUTE
    assert FunnelMark.objects.count() == 1
    refresh(NOW + 10 * MINUTE, budget=None)
    assert FunnelMark.objects.count() == 1
    refresh(NOW + 11 * MINUTE, budget=None)

    figures = funnel.funnel("onboarding", EVER, now=NOW)
    assert [step.reached for step in figures.steps[:2]] == [2, 1]
    assert figures.as_of == NOW + 11 * MINUTE
    assert not FunnelMark.objects.exists()


def test_a_database_restored_from_a_dump_is_looked_through_anew():
    refresh(NOW, budget=None)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE funnel_sources SET watermark = 9000000000000 WHERE name = 'events'")
    happen(DONE, NOW - HOUR, uuid.uuid4())

    refresh(NOW, budget=None)

    assert reached() == [1, 1, 0, 0, 0]


def test_records_dated_beyond_reason_harm_nothing():
    UserFactory(created_at=NOW - HOUR)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (email, hashed_password, full_name, created_at) VALUES ('a', '', '', 'infinity')"
        )
        cursor.execute(
            "INSERT INTO users (email, hashed_password, full_name, created_at) VALUES ('b', '', '', '0044-03-15 BC')"
        )

    refresh(NOW, budget=None)
    reconcile(NOW)

    assert reached()[:2] == [1, 1]


def test_the_command_builds_and_says_what_it_did():
    happen(DONE, NOW - HOUR, uuid.uuid4())
    out = io.StringIO()

    call_command("refresh_funnels", "--reconcile", stdout=out)
    assert "built: activation 1, onboarding 1" in out.getvalue()
    call_command("refresh_funnels", "--rebuild", "onboarding", stdout=out)
    assert out.getvalue().endswith("built: onboarding 1\n")
    with pytest.raises(CommandError, match="no active funnel “nothing”"):
        call_command("refresh_funnels", "--rebuild", "nothing", stdout=out)
    assert not Conversation.objects.exists()
    assert not Feedback.objects.exists()
