"""/admin/users: everybody who has an account."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from django.core.cache import cache
from django.db import connections

from activity import headcount as counting
from activity import peoplelist
from activity.funnel_models import FunnelProgress
from activity.funnels.refresh import refresh
from activity.models import User
from admin_portal import userasked, userlist
from metrics.models import AIRequest
from tests.admin_portal.crowd import DAY, ERROR, URL, addresses, crowd, shown
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import ConversationFactory, EventFactory, PortfolioFactory, UserFactory, talk
from tests.factories.ai_tuning import FeedbackFactory
from tests.factories.metrics import AIRequestFactory
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

MORE = {"headers": {"HX-Request": "true", "HX-Target": "more"}}
LIST = {"headers": {"HX-Request": "true", "HX-Target": "list"}}


@pytest.fixture(autouse=True)
def _clock(time_machine):
    time_machine.move_to(TIME_ZERO, tick=False)
    make_room(*(TIME_ZERO - number * DAY for number in range(31)))
    cache.clear()


def sql(query, *params):
    with connections["default"].cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def choices(page):
    """What a chip says it would show, by its word."""
    found = re.findall(r'<a class="tag[^"]*"[^>]*>([^<]+?)(?: <span class="n">([^<]*)</span>)?</a>', page.html)
    return {text.strip().replace("\xa0", " "): number for text, number in found}


def plain(page):
    return page.text.replace("\xa0", " ")


def test_nobody_sees_it_without_signing_in(client):
    response = client.get(f"{URL}?status=stalled")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login?next=/admin/users")


def test_nobody_takes_the_file_without_signing_in(client):
    assert client.get(f"{URL}?format=csv").status_code == 302


def test_admins_and_super_admins_see_it_and_it_stands_in_the_rail(client, admin, super_admin):
    UserFactory(email="dana@example.com")
    for who in (admin, super_admin):
        client.force_login(who, backend="django.contrib.auth.backends.ModelBackend")
        page = read(client.get(URL))
        assert addresses(page) == ["dana@example.com"]
        assert '<a href="/admin/users" title="People" aria-current="page">' in page.html


def test_a_person_s_page_is_marked_as_of_it(as_admin):
    page = read(as_admin.get(f"{URL}/{UserFactory().pk}"))
    assert '<a href="/admin/users" title="People" aria-current="page">' in page.html


def test_it_only_reads(as_admin):
    assert as_admin.post(URL).status_code == 405
    assert as_admin.head(URL).status_code == 200


# ---- figures ----


def test_each_row_is_what_sql_counts(as_admin):
    crowd(40)
    page = read(as_admin.get(URL))
    assert len(shown(page)) == 40
    for user_id, email, portfolios, talks, errors, made in sql(
        """
        SELECT u.id, u.email,
               (SELECT count(*) FROM portfolios p WHERE p.user_id = u.id),
               (SELECT count(*) FROM agent_conversations c WHERE c.user_id = u.id),
               (SELECT count(*) FROM user_activity_events e WHERE e.user_id = u.id AND e.error_code IS NOT NULL)
               + (SELECT count(*) FROM ai_request_metrics r WHERE r.user_id = u.id AND r.error_type IS NOT NULL),
               (SELECT min(p.created_at) FROM portfolios p WHERE p.user_id = u.id)
          FROM users u
        """
    ):
        row = next(each for each in shown(page) if email in each[0])
        assert row[4:] == [str(portfolios), str(talks), str(errors)]
        assert row[1].startswith("Portfolio made5 of 5") == (made is not None)
        assert f"{URL}/{user_id}" in page.links


def test_steps_and_what_stopped_people_are_what_the_funnel_has(as_admin):
    crowd(40)
    page = read(as_admin.get(URL))
    labels = ["Registration started", "Registered", "Signed in", "Portfolio started", "Portfolio made"]
    for email, row in zip(addresses(page), shown(page), strict=True):
        user = User.objects.get(email=email)
        progress = FunnelProgress.objects.get(subject=user.pk, funnel__slug="onboarding")
        number = max(place for place, at in enumerate(progress.reached, 1) if at is not None)
        assert row[1].startswith(f"{labels[number - 1]}{number} of 5")
        assert ("stalled" in row[1]) == (number < 5 and user.created_at <= TIME_ZERO - 14 * DAY)
        assert ("CSV_UNREADABLE" in row[1]) == (progress.stopped_by == "CSV_UNREADABLE" and number < 5)
    assert "CSV_UNREADABLE" in page.text


def test_last_seen_is_the_last_of_what_they_left(as_admin):
    user = UserFactory(email="dana@example.com", created_at=TIME_ZERO - 9 * DAY)
    ConversationFactory(user_id=user.pk, created_at=TIME_ZERO - 5 * DAY)
    assert shown(read(as_admin.get(URL)))[0][3].replace("\xa0", " ") == "5 d ago"
    AIRequestFactory(user_id=user.pk, created_at=TIME_ZERO - dt.timedelta(hours=3))
    assert AIRequest.objects.count() == 1
    assert shown(read(as_admin.get(URL)))[0][3].replace("\xa0", " ") == "3 h ago"


def test_the_sentence_and_the_chips_are_what_sql_counts(as_admin):
    crowd(60)
    ((everybody, lately, completed, stalled),) = sql(
        """
        SELECT count(*), count(*) FILTER (WHERE u.created_at >= %s),
               count(*) FILTER (WHERE p.user_id IS NOT NULL),
               count(*) FILTER (WHERE p.user_id IS NULL AND u.created_at <= %s)
          FROM users u LEFT JOIN (SELECT DISTINCT user_id FROM portfolios) p ON p.user_id = u.id
        """,
        TIME_ZERO - 7 * DAY,
        TIME_ZERO - 14 * DAY,
    )
    page = read(as_admin.get(URL))
    assert f"{everybody} people have an account; {lately} signed up in the last 7 d. {stalled} are stalled" in plain(
        page
    )
    assert f"{everybody} people, exact, newest first" in plain(page)
    assert choices(page) | {
        "any": str(everybody),
        "completed": str(completed),
        "in progress": str(everybody - completed - stalled),
        "stalled": str(stalled),
    } == choices(page)
    for status, number in (("completed", completed), ("stalled", stalled)):
        narrowed = read(as_admin.get(f"{URL}?status={status}"))
        assert f"People found {number} people, exact" in plain(narrowed)


@pytest.mark.parametrize(("since", "days"), [("24h", 1), ("7d", 7), ("30d", 30), ("90d", 90)])
def test_of_those_who_signed_up_lately_it_says_the_same(as_admin, since, days):
    crowd(60)
    page = read(as_admin.get(f"{URL}?since={since}"))
    start = TIME_ZERO - days * DAY
    ((joined, completed),) = sql(
        "SELECT count(*), count(*) FILTER (WHERE id IN (SELECT user_id FROM portfolios)) FROM users"
        " WHERE created_at >= %s",
        start,
    )
    words = f"{joined} {'person' if joined == 1 else 'people'} signed up in the last {days if days > 1 else 24}"
    assert words in plain(page)
    assert f"{completed or 'nobody'} completed onboarding" in plain(page)
    assert len(shown(page)) == min(joined, userlist.PAGE)
    assert choices(page)["any"] == str(joined)


def test_where_nobody_is_stalled_it_says_so(as_admin):
    UserFactory()
    assert "1 person has an account; 1 signed up in the last 7 d. Nobody is stalled." in plain(read(as_admin.get(URL)))
    page = read(as_admin.get(f"{URL}?since=7d"))
    assert "nobody completed onboarding, 1 is in progress, nobody is stalled." in plain(page)


def test_what_is_counted_up_to_a_bound_says_at_least(as_admin, monkeypatch):
    monkeypatch.setattr(peoplelist, "MOST_COUNTED", 2)
    for _ in range(4):
        UserFactory(created_at=TIME_ZERO - 20 * DAY)
    page = read(as_admin.get(f"{URL}?status=stalled"))
    assert "At least 2 are stalled" in plain(page)
    assert choices(page)["stalled"] == "2+"
    assert "People found at least 2 people, newest first" in plain(page)
    assert len(shown(page)) == 4


def test_the_list_s_own_total_is_never_older_than_the_list(as_admin):
    UserFactory()
    read(as_admin.get(URL))
    UserFactory()
    page = read(as_admin.get(URL))
    assert "2 people have an account" in plain(page)
    assert choices(page)["any"] == "2"


# ---- filters ----


@pytest.mark.parametrize("text", ["whitcombe", "DANA@", "dana whitcombe", "id"])
def test_somebody_is_found_by_name_address_and_id(as_admin, text):
    dana = UserFactory(email="dana@example.com", full_name="Dana Whitcombe")
    UserFactory(email="sam@example.com", full_name="Sam Okafor")
    page = read(as_admin.get(URL, {"q": str(dana.pk) if text == "id" else text}))
    assert addresses(page) == ["dana@example.com"]
    assert "People found 1 person, exact" in plain(page)


def test_filters_narrow_together_and_stay_in_each_other_s_links(as_admin):
    old = {"created_at": TIME_ZERO - 20 * DAY}
    UserFactory(email="dana.old@example.com", **old)
    UserFactory(email="sam.old@example.com", **old)
    UserFactory(email="dana.new@example.com")
    page = read(as_admin.get(f"{URL}?q=dana&status=stalled&since=30d"))
    assert addresses(page) == ["dana.old@example.com"]
    assert "?q=dana&status=stalled" in page.links  # ever
    assert "?q=dana&since=30d" in page.links  # any
    assert "?status=stalled&since=30d" in page.links  # without the search
    assert choices(page)["stalled"] == "1"
    assert choices(page)["completed"] == ""  # nobody counted it


@pytest.mark.parametrize("sort", list(userasked.ORDERS))
def test_every_order_pages_through_everybody_once(as_admin, sort, monkeypatch):
    monkeypatch.setattr(userlist.chunk, "__defaults__", (7,))
    crowd(20)
    User.objects.update(created_at=TIME_ZERO - DAY)  # all at once: the id decides
    found, href = [], f"?sort={sort}"
    while href:
        page = read(as_admin.get(URL + href))
        found += addresses(page)
        href = next((link for link in page.links if "after=" in link and "format" not in link), "")
    names = {
        "email": ["email"],
        "created_at": ["id"],
        "seen_at": ["facts__seen_at", "id"],
        "conversations": ["facts__conversations", "id"],
    }
    ordered = User.objects.order_by(*names[sort.lstrip("-")])
    ordered = ordered.reverse() if sort.startswith("-") else ordered
    assert found == list(ordered.values_list("email", flat=True))


def test_more_are_added_below_without_the_page_round_them(as_admin):
    crowd(60)
    first = read(as_admin.get(URL))
    (href,) = {link for link in first.links if "after=" in link}
    added = as_admin.get(URL + href, **MORE).content.decode()
    assert added.lstrip().startswith("<tbody>")
    assert added.count('<div class="whom">') == 10
    assert 'id="more"' not in added
    whole = read(as_admin.get(URL + href))
    assert len(shown(whole)) == 10
    assert "To the top" in whole.text


def test_a_search_answers_with_the_list_alone(as_admin):
    crowd(3)
    part = as_admin.get(f"{URL}?q=p0", **LIST).content.decode()
    assert part.lstrip().startswith('<div id="list"')
    assert "<html" not in part


def test_a_number_leads_to_the_rows_behind_it(as_admin):
    user = UserFactory()
    PortfolioFactory(user=user)
    ConversationFactory(user_id=user.pk)
    AIRequestFactory(user_id=user.pk, error_type="api_failure")
    page = read(as_admin.get(URL))
    for kind in ("record", "conversation", "error"):
        assert f"{URL}/{user.pk}?kind={kind}" in page.links
        read(as_admin.get(f"{URL}/{user.pk}?kind={kind}"))


MORE_FILTERS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("stuck=registered", "Stuck at", {"stuck": "registered"}),
    ("errors=30d", "Met errors", {"error_since": TIME_ZERO - 30 * DAY}),
    ("ai=never", "AI use", {"never_asked": True}),
    ("ai=30d", "AI use", {"asked_since": TIME_ZERO - 30 * DAY}),
    ("ai=many", "AI use", {"conversations": userasked.MANY}),
    ("thumbs=down", "Feedback given", {"thumbs": "down"}),
    ("joined_from=2026-11-01&joined_to=2026-11-10", "Signed up from", {}),
)


@pytest.mark.parametrize(("query", "name", "only"), MORE_FILTERS)
def test_each_filter_in_the_url_lists_whom_the_domain_finds(as_admin, query, name, only):
    crowd(50)
    lone = User.objects.earliest("created_at")
    FeedbackFactory(message_id=talk(user_id=lone.pk).pk, rating="down", created_at=TIME_ZERO)
    for _ in range(userasked.MANY):
        ConversationFactory(user_id=lone.pk)
    crowd(0)
    if not only:
        only = {"since": dt.datetime(2026, 11, 1, tzinfo=dt.UTC), "until": dt.datetime(2026, 11, 11, tzinfo=dt.UTC)}
    wanted = set(peoplelist.find(peoplelist.PeopleFilter(**only)).rows.values_list("email", flat=True))
    page = read(as_admin.get(f"{URL}?{query}"))
    assert wanted
    assert set(addresses(page)) == wanted
    assert name in page.text
    assert '<details class="more-filters" open>' in page.html
    assert f"People found {len(wanted)} {'person' if len(wanted) == 1 else 'people'}, exact" in plain(page)


def test_a_row_s_badges_are_what_sql_counts(as_admin):
    crowd(40)
    user = User.objects.latest("created_at")
    for minutes, rating in enumerate(("down", "down", "up")):
        at = TIME_ZERO - dt.timedelta(minutes=minutes)
        FeedbackFactory(message_id=talk(user_id=user.pk).pk, rating=rating, created_at=at)
    crowd(0)
    page = read(as_admin.get(URL))
    for user_id, email, asked, stalled in sql(
        """
        SELECT u.id, u.email, (SELECT count(*) FROM ai_request_metrics r WHERE r.user_id = u.id),
               u.created_at <= %s AND NOT EXISTS (SELECT FROM portfolios p WHERE p.user_id = u.id)
          FROM users u
        """,
        TIME_ZERO - 14 * DAY,
    ):
        name = next(each for each in shown(page) if email in each[0])[0].replace("\xa0", " ")
        assert (f"asked {asked}, 30 d" in name) == (asked > 0)
        assert ("stuck at" in name) == stalled
        assert ("2 thumbs-down" in name) == ("1 thumbs-up" in name) == (user_id == user.pk)


# ---- nobody, nonsense, away ----


def test_an_empty_house_says_so_and_counts_nothing(as_admin):
    page = read(as_admin.get(URL))
    assert "Nobody has an account yet" in page.text
    assert "CSV of all" not in page.text
    assert "stalled:" not in page.text


def test_where_nobody_answers_it_says_which_filter_to_drop(as_admin):
    UserFactory(email="dana@example.com")
    page = read(as_admin.get(f"{URL}?q=dana&status=stalled"))
    assert "Nobody answers to all of this" in page.text
    assert "Without “stalled” 1 person" in plain(page)
    assert "Without the search" not in page.text
    assert "?q=dana" in page.links
    assert "Dropping one filter is not enough" in read(as_admin.get(f"{URL}?q=zoe&status=stalled")).text


def test_a_page_after_the_last_says_so(as_admin):
    users = sorted((UserFactory() for _ in range(2)), key=lambda user: user.email)
    cursor = userlist.page_of(User.objects.all(), "users email", (("email", str),), 1, 0, None)[1]
    User.objects.filter(pk=users[1].pk).delete()
    page = read(as_admin.get(f"{URL}?sort=email&after={cursor}"))
    assert "Nobody further" in page.text
    assert "?sort=email" in page.links


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("status=happy", "there are completed, in progress and stalled"),
        ("since=7y", "in the last 24 h, 7 d, 30 d or 90 d"),
        ("sort=age", "There is no such order"),
        ("stuck=nowhere", "Stuck at: there is no such step"),
        ("errors=7y", "Errors: in the last 24 h, 7 d or 30 d"),
        ("ai=much", "AI use: there are never, 7d, 30d and many"),
        ("thumbs=sideways", "Feedback: there are down, up, any and none"),
        ("joined_from=yesterday", "Write a day as 2026-11-30"),
        ("joined_from=2026-11-30&joined_to=2026-11-01", "the second day comes before the first"),
        ("q=" + "+".join("abcdefghi"), "8 are the most"),
        (f"q={'x' * 300}", "use fewer words"),
        ("after=nonsense", "here is the top of it"),
    ],
)
def test_what_makes_no_sense_is_said_narrows_nothing_and_gives_no_file(as_admin, query, says):
    UserFactory(email="dana@example.com")
    assert says in read(as_admin.get(f"{URL}?{query}")).text
    assert addresses(read(as_admin.get(f"{URL}?{query}"))) == ["dana@example.com"]
    if "after" not in query:
        assert says in read(as_admin.get(f"{URL}?{query}&format=csv")).text


@pytest.mark.parametrize(
    "name",
    [
        "q",
        "status",
        "since",
        "stuck",
        "errors",
        "ai",
        "thumbs",
        "joined_from",
        "joined_to",
        "sort",
        "after",
        "format",
        "x",
    ],
)
def test_no_parameter_breaks_it(as_admin, name):
    UserFactory()
    read_all_nonsense(as_admin, URL, name)


def test_names_are_never_taken_for_a_part_of_the_page(as_admin):
    evil = '"><script>alert(1)</script>'
    user = UserFactory(full_name=evil, email=f"{evil}@example.com")
    EventFactory(user_id=user.pk, event_type=ERROR, error_code=evil)
    refresh(TIME_ZERO)
    for query in ({}, {"q": evil}):
        page = read(as_admin.get(URL, query))
        assert "<script>alert" not in page.html
        assert evil in page.text


def test_somebody_without_a_name_goes_by_their_address_and_the_inactive_are_marked(as_admin):
    UserFactory(email="dana@example.com", full_name="", is_active=False)
    assert shown(read(as_admin.get(URL)))[0][0] == "Ddana@example.cominactivedana@example.com"


def test_before_anything_was_counted_it_goes_by_the_records(as_admin):
    PortfolioFactory(user=UserFactory(email="dana@example.com"))
    page = read(as_admin.get(URL))
    assert shown(page)[0][1].startswith("Portfolio made5 of 5")
    assert "Onboarding to" not in page.text


def test_without_metro_it_is_as_always(as_admin, away):
    UserFactory(email="dana@example.com")
    away("metro")
    assert addresses(read(as_admin.get(URL))) == ["dana@example.com"]


def test_without_gondola_it_says_when_to_come_back(as_admin, away):
    as_admin.raise_request_exception = False
    away("default")
    for query in ("", "?format=csv"):
        response = as_admin.get(URL + query)
        assert response["Retry-After"] == "30"
        assert "The database doesn’t answer" in read(response, status=503).text


# ---- cost ----

EVERYTHING = "?status=stalled&stuck=registered&errors=30d&ai=30d&thumbs=none&joined_from=2026-01-01&sort=-seen_at"


@pytest.mark.parametrize(
    ("query", "most"),
    [("", 11), ("?status=stalled", 11), ("?q=example", 12), ("?since=30d", 11), (EVERYTHING, 12)],
)
def test_it_costs_as_many_queries_for_fifty_people_as_for_one(as_admin, query, most):
    crowd(1)
    read(as_admin.get(URL + query))
    UserFactory(email="one@example.com", created_at=TIME_ZERO - 20 * DAY)
    with counted() as one:
        read(as_admin.get(URL + query))
    crowd(60, seed=1)
    with counted() as fifty:
        read(as_admin.get(URL + query))
    assert len(one) == len(fifty) <= most, "\n".join(fifty)


def test_people_are_counted_by_status_once_a_minute(as_admin, monkeypatch):
    asked = []
    monkeypatch.setattr(userlist, "count_people", lambda *args: asked.append(args) or real(*args))
    read(as_admin.get(URL))
    read(as_admin.get(f"{URL}?status=stalled"))
    assert len(asked) == 1
    read(as_admin.get(f"{URL}?since=7d"))
    assert len(asked) == 2


real = userlist.count_people


def test_a_million_are_not_counted_each_time(as_admin, monkeypatch):
    monkeypatch.setattr(counting, "FEW", 2)
    crowd(5)
    assert "5 people have an account" in plain(read(as_admin.get(URL)))
