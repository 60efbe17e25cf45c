"""/admin/ai: what the models did, on one page."""

from __future__ import annotations

import datetime as dt
import random
import uuid

import pytest
import time_machine
from django.db import connections
from django.utils import timezone

from metrics import ai, oneperson
from metrics.models import AIRequest
from metrics.rollup_models import ModelPrice
from metrics.rollups import REQUEST_SOURCE
from sigmasight.lib.format import COUNT, TOKENS, percent
from sigmasight.lib.periods import named
from sigmasight.lib.rollups.fill import fill as fill_cells
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import UserFactory, talk
from tests.factories.metrics import AIRequestFactory
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

URL = "/admin/ai"
TOOLS = (None, {"tools": [{"name": "get_positions"}, {"name": "risk"}]}, [{"name": "get_positions"}], ["x"], {"a": 1})


def ago(**span):
    return timezone.now() - dt.timedelta(**span)


def fill(requests, seed=0):
    """Requests of the last day, those of conversations that are kept among them."""
    chance = random.Random(seed)
    kept = talk(created_at=ago(hours=20)).conversation_id
    AIRequest.objects.bulk_create(
        AIRequest(
            conversation_id=chance.choice([kept, uuid.uuid4()]),
            message_id=uuid.uuid4(),
            user_id=chance.choice([None, uuid.UUID(int=1), uuid.UUID(int=2)]),
            model=chance.choice(["gpt-5", "gpt-5-mini"]),
            input_tokens=chance.choice([None, chance.randrange(9000)]),
            output_tokens=chance.choice([None, chance.randrange(900)]),
            total_latency_ms=chance.choice([None, chance.randrange(20_000), chance.randrange(3_000)]),
            first_token_ms=chance.choice([None, chance.randrange(900)]),
            tool_calls=chance.choice(TOOLS),
            error_type=chance.choice([None, None, None, "api_failure", "rate_limit_exceeded"]),
            error_message=chance.choice([None, "Too many requests"]),
            created_at=ago(minutes=chance.randrange(1, 20 * 60)),
        )
        for _ in range(requests)
    )


def sql(query, *params):
    with connections["default"].cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def plain(text):
    return str(text).replace("\xa0", " ")


def test_nobody_sees_it_without_signing_in(client):
    response = client.get(f"{URL}?period=7d")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login?next=/admin/ai")


def test_admins_and_super_admins_see_it(client, admin, super_admin):
    fill(20)
    for who in (admin, super_admin):
        client.force_login(who, backend="django.contrib.auth.backends.ModelBackend")
        read(client.get(URL))


def test_it_only_reads(as_admin):
    assert as_admin.post(URL).status_code == 405
    assert as_admin.head(URL).status_code == 200


def test_an_empty_house_says_what_to_do_and_claims_nothing(as_admin):
    page = read(as_admin.get(URL))
    assert "No AI requests in this period" in page.text
    assert "manage.py import_ai_requests" in page.text
    assert "succeeded" not in page.text
    assert {page.cards[name] for name in ("Error rate", "Latency", "First token")} == {"–"}
    assert page.cards["Requests"] == "0"


def test_where_nothing_failed_it_says_so(as_admin):
    AIRequestFactory()
    assert "Every request of this period succeeded." in read(as_admin.get(URL)).text
    assert "Every request that passes these filters succeeded." in read(as_admin.get(f"{URL}?model=gpt-5-mini")).text


def test_where_all_failed_there_is_no_latency_and_no_chart_breaks(as_admin):
    AIRequestFactory(error_type="api_failure", total_latency_ms=100)
    page = read(as_admin.get(URL))
    assert page.cards["Error rate"] == "100 %"
    assert page.cards["Latency"] == "–"
    assert "Nothing measured" in page.text


def test_the_cards_are_what_sql_counts(as_admin):
    fill(200)
    page = read(as_admin.get(URL))
    ((requests, failed, people, tokens, p50, p95, first),) = sql(
        """
        SELECT count(*), count(error_type), count(DISTINCT user_id), sum(input_tokens),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY total_latency_ms) FILTER (WHERE error_type IS NULL),
               percentile_cont(0.95) WITHIN GROUP (ORDER BY total_latency_ms) FILTER (WHERE error_type IS NULL),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY first_token_ms) FILTER (WHERE error_type IS NULL)
          FROM ai_request_metrics
        """
    )
    assert page.cards["Requests"] == "200" == str(requests)
    assert page.cards["Error rate"] == plain(percent(failed / requests))
    assert page.cards["People"] == str(people)
    assert page.cards["Tokens in"] == plain(TOKENS.show(tokens))
    # To within 1 %, and what rounding adds.
    assert float(page.cards["First token"].split()[0]) == pytest.approx(first, rel=0.012)
    shown = page.cards["Latency"].removesuffix(" s").split(" / ")
    assert [1000 * float(each) for each in shown] == [pytest.approx(p50, rel=0.015), pytest.approx(p95, rel=0.015)]


def test_the_tables_are_what_sql_counts(as_admin):
    fill(200)
    page = read(as_admin.get(URL))
    for model, requests, failed, tokens in sql(
        "SELECT model, count(*), count(error_type), sum(input_tokens) FROM ai_request_metrics GROUP BY 1"
    ):
        row = [plain(cell) for cell in page.row(model)]
        assert row[1:4] == [str(requests), plain(percent(requests / 200)), plain(percent(failed / requests))]
        assert row[7] == plain(COUNT.show(tokens))
    for error, model, times in sql(
        "SELECT error_type, model, count(*) FROM ai_request_metrics WHERE error_type IS NOT NULL GROUP BY 1, 2"
    ):
        assert [error, model, str(times)] in [
            [row[0].removesuffix("Too many requests").removesuffix("no message").strip(), row[1], row[3]]
            for row in page.rows
            if len(row) == 6
        ]
    using = (
        'tool_calls @> \'[{"name": "get_positions"}]\' OR tool_calls -> \'tools\' @> \'[{"name": "get_positions"}]\''
    )
    ((requests,),) = sql(f"SELECT count(*) FROM ai_request_metrics WHERE {using}")
    row = page.row("get_positions")
    assert (row[1], row[5]) == (str(requests), str(requests))


@pytest.mark.parametrize("query", ["model=gpt-5", "error=api_failure", "tool=get_positions", "model=gpt-5&tool=risk"])
def test_a_filter_narrows_every_figure_and_a_chip_lifts_it(as_admin, query):
    fill(200)
    only = ai.AIFilter(**dict(each.split("=") for each in query.split("&")))
    expected = ai.summary(named("24h", timezone.now()), only)
    page = read(as_admin.get(f"{URL}?{query}"))
    assert page.cards["Requests"] == str(expected.requests) != "200"
    assert page.html.count('aria-label="Remove ') == query.count("=")


def test_nothing_that_fits_is_said_with_a_way_out(as_admin):
    AIRequestFactory()
    page = read(as_admin.get(f"{URL}?period=7d&model=gpt-2&error=none"))
    assert "No request fits" in page.text
    assert "?period=7d" in page.links


def test_a_request_leads_to_its_conversation_or_to_its_row_where_there_is_none(as_admin):
    kept = talk(created_at=ago(hours=1))
    with_talk = AIRequestFactory(conversation_id=kept.conversation_id, message_id=kept.pk, total_latency_ms=5)
    without = AIRequestFactory(error_type="api_failure", error_message="It broke")
    page = read(as_admin.get(URL))
    assert f"/admin/ai/conversations/{with_talk.conversation_id}#m-{with_talk.message_id}" in page.links
    (raw,) = {link for link in page.links if link.startswith("/admin/db/metrics/airequest/") and "?" not in link}
    assert str(without.pk) in as_admin.get(raw).content.decode()
    assert not any(str(without.conversation_id) in link for link in page.links)
    assert "It broke" in page.text


def test_another_period_is_another_set_of_rows(as_admin):
    make_room(ago(days=5))
    AIRequestFactory(created_at=ago(days=5))
    assert read(as_admin.get(URL)).cards["Requests"] == "0"
    assert read(as_admin.get(f"{URL}?period=7d")).cards["Requests"] == "1"
    span = f"{ago(days=6):%Y-%m-%d}"
    assert read(as_admin.get(f"{URL}?period=custom&from={span}&to={ago(days=4):%Y-%m-%d}")).cards["Requests"] == "1"


@time_machine.travel(TIME_ZERO, tick=False)
@pytest.mark.parametrize("span", [1, 47, 180, 181, 60 * 24, 60 * 24 * 4 + 17, 60 * 24 * 400])
@pytest.mark.parametrize("compare", [0, 1])
def test_any_span_is_drawn_compared_or_not(as_admin, span, compare):
    make_room(TIME_ZERO)
    start = TIME_ZERO - dt.timedelta(minutes=span, seconds=11)
    AIRequestFactory(created_at=TIME_ZERO - dt.timedelta(seconds=30), total_latency_ms=10)
    query = f"period=custom&from={start:%Y-%m-%dT%H:%M:%S}&to={TIME_ZERO:%Y-%m-%dT%H:%M:%S}&compare={compare}"
    assert read(as_admin.get(f"{URL}?{query}")).cards["Requests"] == "1"


@pytest.mark.parametrize("name", ["period", "from", "to", "model", "error", "tool", "user", "heat", "compare", "x"])
def test_no_parameter_breaks_it(as_admin, name):
    AIRequestFactory()
    read_all_nonsense(as_admin, URL, name)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("period=fortnight", "take 24h, 7d, 30d, 90d or custom"),
        ("period=custom", "A custom period needs “from”"),
        ("from=yesterday", "is no time: write from=2026-11-01"),
        ("period=custom&from=2026-11-02&to=2026-11-01", "“from” must be earlier than “to”"),
        ("period=custom&from=1990-01-01", "choose a shorter period"),
        ("model=a%00b", "Lift the filters"),
        (f"tool={'x' * 10_000}", "Lift the filters"),
        ("error=%ff", "Lift the filters"),
    ],
)
def test_what_makes_no_sense_is_said_with_what_to_do(as_admin, query, says):
    AIRequestFactory()
    page = read(as_admin.get(f"{URL}?{query}"))
    assert says in page.text
    assert "x" * 100 not in page.text


def test_names_are_never_taken_for_a_part_of_the_page(as_admin):
    evil = '"><script>alert(1)</script>'
    AIRequestFactory(model=evil, error_type=evil, error_message=evil, tool_calls=[{"name": evil}])
    AIRequestFactory(model=evil, total_latency_ms=9)
    for query in ("", "?model=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"):
        assert "<script>alert" not in read(as_admin.get(URL + query)).html


def test_without_metro_it_is_as_always(as_admin, away):
    AIRequestFactory()
    away("metro")
    assert read(as_admin.get(URL)).cards["Requests"] == "1"


def test_without_gondola_it_says_when_to_come_back(as_admin, away):
    as_admin.raise_request_exception = False
    away("default")
    response = as_admin.get(URL)
    assert response["Retry-After"] == "30"
    assert "The database doesn’t answer" in read(response, status=503).text


@pytest.mark.parametrize(
    "query", ["", "?model=gpt-5&tool=get_positions", "?compare=0&error=api_failure", f"?user={uuid.UUID(int=1)}"]
)
def test_it_costs_as_many_queries_for_fifty_requests_as_for_one(as_admin, query):
    fill(1)
    with counted() as one:
        read(as_admin.get(URL + query))
    fill(50, seed=1)
    with counted() as fifty:
        read(as_admin.get(URL + query))
    # More: failed requests, who met them, and whether the conversations are kept, once there are any.
    assert len(one) <= len(fifty) <= len(one) + 3, "\n".join(fifty)
    fill(300, seed=2)
    with counted() as many:
        read(as_admin.get(URL + query))
    assert len(many) == len(fifty) <= 12


# --- Long ago, and what it cost ---


@pytest.mark.parametrize("hours", [1, 5, 25])
def test_a_period_of_which_only_larger_cells_are_left_is_widened_and_says_so(as_admin, settings, hours):
    settings.RETENTION_DAYS, settings.ROLLUP_HOUR_DAYS = 5, 10
    start = ago(days=20).replace(hour=10, minute=30, second=0, microsecond=0)
    make_room(start, start + dt.timedelta(days=1))
    for error in (None, None, "api_failure", "STREAM_FAILED"):
        AIRequestFactory(created_at=start + dt.timedelta(minutes=10), error_type=error)
    fill_cells(REQUEST_SOURCE, budget=None)
    end = start + dt.timedelta(hours=hours)
    for place in ("/admin/ai", "/admin"):
        page = read(as_admin.get(f"{place}?period=custom&from={start:%Y-%m-%dT%H:%M}&to={end:%Y-%m-%dT%H:%M}"))
        assert page.cards["AI requests" if place == "/admin" else "Requests"] == "4"
        assert "only whole days are left" in page.text


def test_a_model_without_a_price_asks_for_one(as_admin):
    AIRequestFactory(model="brand-new", input_tokens=1000, output_tokens=10)
    page = read(as_admin.get(URL))
    assert page.cards["Cost"] == "–"
    assert "no model has a price" in page.text
    assert "/admin/db/metrics/modelprice/add/?model=brand-new" in page.links


def test_cost_is_what_prices_and_tokens_come_to_and_says_of_how_many(as_admin):
    ModelPrice.objects.create(model="gpt-5", effective_from=ago(days=9).date(), input=2, output=10)
    AIRequestFactory(model="gpt-5", input_tokens=1_000_000, output_tokens=100_000)
    assert read(as_admin.get(URL)).cards["Cost"] == "3.00 USD"
    AIRequestFactory(model="brand-new", input_tokens=5, output_tokens=5)
    page = read(as_admin.get(URL))
    assert page.cards["Cost"] == "3.00 USD"
    assert "of 50" in page.text
    assert "at least" in page.text


def test_tokens_that_nobody_counted_cost_nothing_that_is_known(as_admin):
    ModelPrice.objects.create(model="gpt-5", effective_from=ago(days=9).date(), input=2, output=10)
    AIRequestFactory(model="gpt-5", input_tokens=None, output_tokens=None)
    page = read(as_admin.get(URL))
    assert page.cards["Cost"] == "–"
    assert "nobody counted tokens" in page.text


def test_the_future_is_not_held_against_the_past(as_admin):
    AIRequestFactory()
    start, end = f"{ago(hours=2):%Y-%m-%dT%H:%M}", f"{ago(days=-30):%Y-%m-%dT%H:%M}"
    page = read(as_admin.get(f"{URL}?period=custom&from={start}&to={end}"))
    assert "nothing to compare with" not in page.text


@time_machine.travel(TIME_ZERO, tick=False)
def test_by_weekday_a_day_is_held_against_the_same_day_last_week(as_admin):
    make_room(*(TIME_ZERO - dt.timedelta(days=back) for back in range(9)))
    for days, requests in ((0, 3), (1, 5), (7, 2)):
        for _ in range(requests):
            AIRequestFactory(created_at=TIME_ZERO - dt.timedelta(days=days, hours=1))
    said = {
        query: str(read(as_admin.get(f"/admin/ai?period=24h&{query}")).text).replace("\xa0", " ")
        for query in ("compare=1", "compare=week")
    }
    assert "5 before" in said["compare=1"]
    assert "2 before" in said["compare=week"]
    assert "same days last week" in said["compare=week"]


# --- One person, and people ---


def test_one_persons_figures_are_what_sql_counts(as_admin):
    fill(300)
    somebody = UserFactory(id=uuid.UUID(int=1), full_name="Dana Fox")
    page = read(as_admin.get(f"{URL}?user={somebody.pk}"))
    ((requests, failed, tokens, p50, p95),) = sql(
        """
        SELECT count(*), count(error_type), sum(input_tokens),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY total_latency_ms) FILTER (WHERE error_type IS NULL),
               percentile_cont(0.95) WITHIN GROUP (ORDER BY total_latency_ms) FILTER (WHERE error_type IS NULL)
          FROM ai_request_metrics WHERE user_id = %s
        """,
        somebody.pk,
    )
    assert 0 < requests < 300
    assert page.cards["Requests"] == str(requests)
    assert page.cards["Error rate"] == plain(percent(failed / requests))
    assert page.cards["Tokens in"] == plain(TOKENS.show(tokens))
    shown = page.cards["Latency"].removesuffix(" s").split(" / ")
    assert [1000 * float(each) for each in shown] == [pytest.approx(p50, rel=0.015), pytest.approx(p95, rel=0.015)]
    assert "Person: Dana Fox" in page.text
    assert "read from raw rows" in page.text
    assert f"/admin/users/{somebody.pk}" in page.links


def test_a_person_may_be_named_in_words_and_the_rest_of_the_filters_holds(as_admin):
    fill(300)
    UserFactory(id=uuid.UUID(int=2), email="sol@example.com")
    ((requests,),) = sql(
        "SELECT count(*) FROM ai_request_metrics WHERE user_id = %s AND model = 'gpt-5' AND error_type = 'api_failure'",
        uuid.UUID(int=2),
    )
    page = read(as_admin.get(f"{URL}?user=sol@exam&model=gpt-5&error=api_failure"))
    assert page.cards["Requests"] == str(requests)
    assert page.html.count('aria-label="Remove ') == 3


def test_who_is_meant_by_nobody_or_by_several_is_asked_and_narrows_nothing(as_admin):
    fill(20)
    UserFactory(email="a@twins.example.com"), UserFactory(email="b@twins.example.com")
    for name, says in (("nobody", "There is no such account"), ("twins", "More than one account")):
        page = read(as_admin.get(f"{URL}?user={name}"))
        assert says in page.text
        assert page.cards["Requests"] == "20"
        assert 'aria-label="Remove ' not in page.html


def test_one_person_is_known_as_long_as_raw_rows_are(as_admin, settings):
    settings.RETENTION_DAYS = 2
    make_room(ago(days=5), ago(days=1))
    for days in (1, 5):
        AIRequestFactory(user_id=uuid.UUID(int=1), created_at=ago(days=days))
    page = read(as_admin.get(f"{URL}?period=7d&user={uuid.UUID(int=1)}"))
    assert page.cards["Requests"] == "1"
    assert "known for the last 2 days" in page.text
    long_ago = f"period=custom&from={ago(days=6):%Y-%m-%d}&to={ago(days=5):%Y-%m-%d}"
    assert read(as_admin.get(f"{URL}?{long_ago}&user={uuid.UUID(int=1)}")).cards["Requests"] == "0"


@time_machine.travel(TIME_ZERO, tick=False)
def test_of_very_many_requests_of_one_person_only_the_newest_are_read(as_admin, monkeypatch):
    monkeypatch.setattr(oneperson, "MOST_READ", 10)
    make_room(TIME_ZERO, TIME_ZERO - dt.timedelta(days=1))
    for minutes in range(0, 24 * 60, 48):
        AIRequestFactory(user_id=uuid.UUID(int=1), created_at=TIME_ZERO - dt.timedelta(minutes=minutes, seconds=5))
    page = read(as_admin.get(f"{URL}?user={uuid.UUID(int=1)}"))
    assert 8 <= int(page.cards["Requests"]) <= 10
    assert "only the newest 10 are read" in page.text


def test_people_stand_by_tokens_with_links_to_them_and_to_their_requests(as_admin):
    fill(200)
    somebody = UserFactory(id=uuid.UUID(int=1), full_name="Dana Fox")
    page = read(as_admin.get(URL))
    for user_id, requests, tokens in sql(
        """
        SELECT user_id, count(*), sum(COALESCE(input_tokens + output_tokens, input_tokens, output_tokens))
          FROM ai_request_metrics WHERE user_id IS NOT NULL GROUP BY 1
        """
    ):
        row = page.row("Dana Fox" if user_id == somebody.pk else str(user_id)[:8])
        assert (row[1], row[6]) == (plain(COUNT.show(tokens)), str(requests))
        assert f"/admin/users/{user_id}" in page.links
        assert f"?user={user_id}" in page.links


def test_failed_requests_are_listed_newest_first_with_whom_they_met_and_their_conversation(as_admin):
    kept = talk(created_at=ago(hours=1))
    UserFactory(id=uuid.UUID(int=1), full_name="Dana Fox")
    AIRequestFactory(
        conversation_id=kept.conversation_id,
        message_id=kept.pk,
        user_id=uuid.UUID(int=1),
        error_type="api_failure",
        total_latency_ms=1_500,
    )
    AIRequestFactory(error_type="rate_limit_exceeded", created_at=ago(minutes=9))
    page = read(as_admin.get(URL))
    assert [[plain(cell) for cell in row[1:]] for row in page.rows if len(row) == 4 and row[2] == "gpt-5-mini"] == [
        ["api_failureDana Fox", "gpt-5-mini", "1.50 s"],
        ["rate_limit_exceedednobody signed in", "gpt-5-mini", "–"],
    ]
    assert f"/admin/ai/conversations/{kept.conversation_id}#m-{kept.pk}" in page.links


# --- Hours of the week, tools over time ---


@pytest.mark.parametrize(("asked", "label"), [("", "Requests"), ("errors", "Error rate"), ("latency", "p95")])
def test_the_hours_of_the_week_show_one_of_three_figures_and_lead_to_an_hour(as_admin, asked, label):
    fill(100)
    page = read(as_admin.get(f"{URL}?model=gpt-5&heat={asked}"))
    assert f'aria-label="{label} by weekday and hour' in page.html
    assert "Of the four weeks up to then" in page.text
    (hour,) = {link for link in page.links if f"from={ago(hours=5):%Y-%m-%dT%H}:00&to" in link and "heat" in link}
    assert hour.startswith("?model=gpt-5")
    assert "period=custom" in hour
    assert "choose one of the three" in read(as_admin.get(f"{URL}?heat=luck")).text


def test_tools_say_how_often_they_failed_and_how_long_they_took(as_admin):
    AIRequestFactory(tool_calls=[{"name": "risk", "duration_ms": 800}, {"name": "risk", "error": "timeout"}])
    row = [plain(cell) for cell in read(as_admin.get(URL)).row("risk")]
    assert row[:4] == ["risk", "2", "50.0 %", "800 ms"]
    AIRequest.objects.update(tool_calls=[{"name": "risk"}])
    page = read(as_admin.get(URL))
    assert "No tool call of this period says that it failed." in page.text
    assert "none of this period carries a time" in page.text
