"""What stands above a person's timeline: each figure is what plain SQL finds."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from django.core.cache import cache
from django.db import connections

from admin_portal import inbrief
from ai_tuning.models import Memory
from metrics import keeping
from metrics.models import BatchRun
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import ConversationFactory, EventFactory, PortfolioFactory, UserFactory, talk
from tests.factories.ai_tuning import AnnotationFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory
from tests.pages import counted, read

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def _clock(time_machine):
    time_machine.move_to(TIME_ZERO, tick=False)
    make_room(*(TIME_ZERO - number * DAY for number in range(32)))
    cache.clear()


def sql(alias, query, *params):
    with connections[alias].cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def url(user):
    return f"/admin/users/{user.pk}"


def plain(page):
    return page.text.replace("\xa0", " ")


@pytest.fixture
def dana():
    """Somebody with a month of requests, some of which failed, and somebody else with more."""
    chance = random.Random(4)
    dana = UserFactory(full_name="Dana Whitcombe", created_at=TIME_ZERO - 20 * DAY)
    for user, times in ((dana, 40), (UserFactory(created_at=TIME_ZERO - 25 * DAY), 120)):
        for _ in range(times):
            failed = chance.random() < 0.2
            AIRequestFactory(
                user_id=user.pk,
                created_at=TIME_ZERO - chance.random() * 34 * DAY,
                error_type="api_failure" if failed else None,
                total_latency_ms=chance.randrange(200, 9000),
                first_token_ms=chance.randrange(50, 900),
            )
    return dana


def figures(user_id=None):
    """Requests, failed, p50, p95, first p50 of the 30 days, by PostgreSQL's own percentile_cont."""
    ((requests, failed, p50, p95, first),) = sql(
        "default",
        """
        SELECT count(*), count(*) FILTER (WHERE error_type <> ''),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY total_latency_ms) FILTER (WHERE error_type IS NULL),
               percentile_cont(0.95) WITHIN GROUP (ORDER BY total_latency_ms) FILTER (WHERE error_type IS NULL),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY first_token_ms) FILTER (WHERE error_type IS NULL)
          FROM ai_request_metrics
         WHERE created_at >= %s AND created_at < %s AND (%s::uuid IS NULL OR user_id = %s)
        """,
        TIME_ZERO - 30 * DAY,
        TIME_ZERO,
        user_id,
        user_id,
    )
    return requests, failed, p50, p95, first


def test_the_ai_s_figures_are_what_sql_counts_for_them_and_for_everyone(dana):
    shared = {}
    told = inbrief.brief(dana.pk, dana, shared)
    requests, failed, p50, p95, first = figures(dana.pk)
    all_requests, all_failed, all_p50, all_p95, all_first = figures()
    everyone = inbrief._everyone(TIME_ZERO)
    assert (everyone.requests, everyone.error_rate) == (all_requests, pytest.approx(all_failed / all_requests))
    for known, wanted in ((everyone.p50, all_p50), (everyone.p95, all_p95), (everyone.first_p50, all_first)):
        assert known == pytest.approx(wanted, rel=0.01)
    cards = [(each.name, each.sub, str(each.value), each.delta) for each in told.cards]
    assert cards[0] == ("AI requests", "", str(requests), f"everyone {all_requests}")
    share, everyones = round(100 * failed / requests, 1), round(100 * all_failed / all_requests, 1)
    assert cards[1][1:3] == (f"{failed} failed", f"{share:.1f}\xa0%".replace(".0\xa0%", ".0\xa0%"))
    assert f"{everyones}" in cards[1][3]
    mine = inbrief.ai.summary(inbrief.between(TIME_ZERO - 30 * DAY, TIME_ZERO), inbrief.AIFilter(user_id=dana.pk))
    for known, wanted in ((mine.latency.p50, p50), (mine.latency.p95, p95), (mine.first_token.p50, first)):
        assert known == pytest.approx(wanted, rel=0.01)
    assert [card[1] for card in cards[2:5]] == ["p50", "p95", "p50"]


def test_thumbs_memories_and_annotations_are_what_sql_counts(as_admin, dana):
    for number, rating in enumerate(("up", "down", "down")):
        answer = talk(user_id=dana.pk, created_at=TIME_ZERO - number * DAY)
        FeedbackFactory(message_id=answer.pk, rating=rating, created_at=TIME_ZERO - number * DAY)
        AnnotationFactory(message_id=answer.pk, content=f"Judgement {number}", created_at=TIME_ZERO - number * DAY)
    late = talk(user_id=dana.pk, created_at=TIME_ZERO - 31 * DAY)
    FeedbackFactory(message_id=late.pk, rating="down", created_at=TIME_ZERO - 31 * DAY)
    AnnotationFactory(message_id=late.pk, content="Judgement 3", created_at=TIME_ZERO - 31 * DAY)
    FeedbackFactory(message_id=talk().pk, rating="down", created_at=TIME_ZERO)  # somebody else's
    for number in range(5):
        Memory.objects.create(user_id=dana.pk, scope="user", content=f"Memory {number}")
    Memory.objects.create(scope="global", content="Of everybody")
    page = read(as_admin.get(url(dana)))
    assert page.cards["Thumbs-down"] == "2"
    assert "of 3 rated" in plain(page)
    ((memories,),) = sql("metro", "SELECT count(*) FROM ai_memories WHERE user_id = %s", dana.pk)
    assert f"What the AI remembers {memories} memories" in " ".join(plain(page).split())
    assert "Annotations on their answers 4 annotations" in " ".join(plain(page).split())
    assert f"/admin/ai/memories?person={dana.pk}" in page.links
    assert "Of everybody" not in page.text
    assert "Gave a thumbs-down to 2 of 3 rated answers." in plain(page)
    read(as_admin.get(f"/admin/ai/memories?person={dana.pk}"))


def test_a_sentence_says_who_they_are_how_far_they_came_and_why_they_stopped(as_admin):
    user = UserFactory(full_name="Dana Whitcombe", created_at=TIME_ZERO - 20 * DAY)
    EventFactory(
        user_id=user.pk,
        event_type="onboarding.portfolio_error",
        error_code="CSV_UNREADABLE",
        created_at=TIME_ZERO - 19 * DAY,
    )
    keeping.refresh_funnels(TIME_ZERO)
    page = read(as_admin.get(url(user)))
    assert "Dana Whitcombe signed up 20 d ago and got no further than “Portfolio started”." in plain(page)
    assert "The last thing they met there was CSV_UNREADABLE." in plain(page)
    assert "Asked the AI nothing in the last 30 days." in plain(page)
    assert f"{url(user)}?kind=error" in page.links


def test_of_nobody_s_account_it_says_so(as_admin):
    gone = UserFactory.build()
    EventFactory(user_id=gone.pk, created_at=TIME_ZERO)
    assert "Nobody has this account any more." in read(as_admin.get(url(gone))).text


def test_portfolios_say_when_they_were_made_and_removed(as_admin):
    user = UserFactory(created_at=TIME_ZERO - 3 * DAY)
    PortfolioFactory(user=user, name="Core", equity_balance=1234567, created_at=TIME_ZERO - 2 * DAY)
    PortfolioFactory(user=user, name="Old", created_at=TIME_ZERO - 3 * DAY, deleted_at=TIME_ZERO - DAY)
    text = " ".join(plain(read(as_admin.get(url(user)))).split())
    assert "Core taxable1,234,567 USDmade 14 Nov 12:00 Old removed" in text
    assert "removed 15 Nov 12:00" in text


# ---- batch runs ----


def test_batch_runs_stand_where_they_fell_and_are_only_theirs_or_everybody_s(as_admin):
    user = UserFactory(created_at=TIME_ZERO - 3 * DAY)
    mine, others = PortfolioFactory(user=user, created_at=TIME_ZERO - 3 * DAY), PortfolioFactory()
    EventFactory(user_id=user.pk, created_at=TIME_ZERO - 2 * DAY)
    EventFactory(user_id=user.pk, created_at=TIME_ZERO - 2 * DAY + dt.timedelta(minutes=20))
    during = TIME_ZERO - 2 * DAY + dt.timedelta(minutes=10)
    runs = {
        "night": BatchRunFactory(started_at=TIME_ZERO - DAY),
        "theirs": BatchRunFactory(started_at=during, portfolio_id=mine.pk, status="failed"),
        "another's": BatchRunFactory(started_at=TIME_ZERO - DAY, portfolio_id=others.pk),
        "before": BatchRunFactory(started_at=TIME_ZERO - 4 * DAY),
        "our own": BatchRunFactory(started_at=TIME_ZERO - DAY, batch_run_id="sigmasight-admin.daily.1"),
    }
    page = read(as_admin.get(url(user)))
    shown = {name for name, run in runs.items() if f"/admin/batch/{run.pk}" in page.links}
    assert shown == {"night", "theirs"}
    assert "Batch run over their portfolio, failed" in page.html
    assert "Batch run over everybody’s portfolios, completed" in page.html
    assert page.html.index(f"/admin/batch/{runs['night'].pk}") < page.html.index(f"/admin/batch/{runs['theirs'].pk}")
    assert "Batch meanwhile" in page.text
    # A filter shows only what it lets through.
    assert "/admin/batch/" not in read(as_admin.get(f"{url(user)}?kind=event")).html.split('id="main"')[-1]


def test_the_next_page_shows_the_runs_of_its_own_time(as_admin):
    user = UserFactory(created_at=TIME_ZERO - 9 * DAY)
    for number in range(60):
        EventFactory(user_id=user.pk, created_at=TIME_ZERO - number * dt.timedelta(hours=3))
    run, late = (BatchRunFactory(started_at=TIME_ZERO - days * DAY) for days in (7, 1))
    first = read(as_admin.get(url(user)))
    href = next(link for link in first.links if "before=" in link)
    second = read(as_admin.get(url(user) + href))
    assert f"/admin/batch/{late.pk}" in first.links
    assert f"/admin/batch/{run.pk}" not in first.links
    assert f"/admin/batch/{run.pk}" in second.links
    assert f"/admin/batch/{late.pk}" not in second.links
    part = as_admin.get(url(user) + href, headers={"HX-Request": "true", "HX-Target": "older"}).content.decode()
    assert f"/admin/batch/{run.pk}" in part
    assert "How the AI served them" not in part


def test_runs_are_found_by_indexes(settings):
    mine = PortfolioFactory()
    BatchRun.objects.bulk_create(
        BatchRunFactory.build(
            started_at=TIME_ZERO - number * dt.timedelta(minutes=1), portfolio_id=UserFactory.build().pk
        )
        for number in range(3000)
    )
    from metrics import journey as source

    with connections["default"].cursor() as cursor:
        cursor.execute("ANALYZE batch_run_history")
    with counted() as queries:
        source.batch_marks([mine.pk], TIME_ZERO - 30 * DAY, TIME_ZERO)
    (statement,) = queries
    plan = "\n".join(row for (row,) in sql("default", "EXPLAIN " + statement.replace("%", "%%")))
    assert "Seq Scan" not in plan
    assert "ix_batch_run_portfolio" in plan
    assert "ix_batch_run_of_all" in plan


# ---- cost ----


def test_it_costs_the_same_for_little_and_for_much(as_admin, dana):
    read(as_admin.get(url(dana)))
    with counted() as few:
        read(as_admin.get(url(dana)))
    for number in range(30):
        at = TIME_ZERO - number * DAY / 2
        PortfolioFactory(user=dana, created_at=at)
        ConversationFactory(user_id=dana.pk, created_at=at)
        answer = talk(user_id=dana.pk, created_at=at)
        FeedbackFactory(message_id=answer.pk, created_at=at)
        AnnotationFactory(message_id=answer.pk, created_at=at)
        BatchRunFactory(started_at=at)
        Memory.objects.create(user_id=dana.pk, scope="user", content="Likes bonds")
    with counted() as many:
        read(as_admin.get(url(dana)))
    assert len(few) <= len(many) <= 21, "\n".join(many)
