"""/admin/ai/conversations and the page of one conversation."""

from __future__ import annotations

import datetime as dt
import uuid
from urllib.parse import urlsplit

import pytest
from django.urls import reverse
from django.utils import timezone

from activity.models import Conversation, User
from ai_tuning import conversations as domain
from sigmasight.lib.pagination import Cursor
from tests.factories.activity import AnswerFactory, ConversationFactory, MessageFactory, talk
from tests.factories.ai_tuning import AnnotationFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

URL = "/admin/ai/conversations"
NOBODY = uuid.UUID(int=0)
HTMX = {"headers": {"HX-Request": "true", "HX-Target": "list"}}


def of(message):
    return f"{URL}/{message.conversation_id}"


def ago(**span):
    return timezone.now() - dt.timedelta(**span)


# --- The list ---


def test_nobody_sees_it_without_signing_in(client):
    for url in (URL, of(talk())):
        response = client.get(url)
        assert response.status_code == 302
        assert response["Location"] == f"/admin/login?next={url}"


def test_admins_and_super_admins_see_it(client, admin, super_admin):
    answer = talk()
    for who in (admin, super_admin):
        client.force_login(who, backend="django.contrib.auth.backends.ModelBackend")
        read(client.get(URL))
        read(client.get(of(answer)))


def test_it_only_reads(as_admin):
    for url in (URL, of(talk())):
        assert as_admin.post(url).status_code == 405
        assert as_admin.head(url).status_code == 200


def test_an_empty_house_says_what_to_do(as_admin):
    page = read(as_admin.get(URL))
    assert "No conversations in this period" in page.text
    assert "manage.py import_chats" in page.text
    assert "?period=90d" in page.links


def test_a_row_shows_what_was_asked_by_whom_and_what_became_of_it(as_admin):
    answer = talk("What is my beta?", created_at=ago(hours=2))
    person = User.objects.get(pk=answer.conversation.user_id)
    FeedbackFactory(message_id=answer.pk, comment="Beta is not 1.12")
    FeedbackFactory(message_id=answer.pk, rating="up")
    AIRequestFactory(
        conversation_id=answer.conversation_id,
        message_id=answer.pk,
        model="gpt-5",
        total_tokens=6214,
        total_latency_ms=1840,
        created_at=ago(hours=2),
    )
    page = read(as_admin.get(URL))
    row = page.row("What is my beta?")
    assert person.full_name in row[0]
    assert "Beta is not 1.12" in row[0]
    assert "thumbs-down" in row[1]
    assert "thumbs-up" in row[1]
    assert row[2:6] == ["gpt-5", "2", "6,214", "1.84 s"]
    assert f"{URL}/{answer.conversation_id}?" in page.links
    assert "1 conversation" in page.text


def test_a_deleted_account_and_a_question_that_was_not_kept_are_said(as_admin):
    ConversationFactory(user_id=uuid.uuid4())
    page = read(as_admin.get(URL))
    assert "No question was kept" in page.text
    assert "no such account" in page.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("user=ada%40", 1),
        ("model=gpt-5", 1),
        ("rating=down", 1),
        ("rating=up", 0),
        ("user=ada&rating=down&model=gpt-5", 1),
        ("model=gpt-4&rating=down", 0),
    ],
)
def test_the_url_narrows_the_list_and_a_chip_lifts_each_filter(as_admin, query, found):
    ada = User.objects.create(email="ada@example.com", full_name="Ada", hashed_password="!", created_at=timezone.now())
    first, _, third = talk("What is my beta?", user_id=ada.pk), talk("Is my beta high?"), talk("And dividends?")
    AIRequestFactory(conversation_id=first.conversation_id, model="gpt-5", created_at=ago(hours=1))
    AIRequestFactory(conversation_id=third.conversation_id, model="gpt-4", created_at=ago(hours=1))
    FeedbackFactory(message_id=first.pk)
    page = read(as_admin.get(f"{URL}?{query}"))
    rows = [row for row in page.rows if len(row) == 7 and row[0] != "Question"]
    assert len(rows) == found
    assert page.html.count('aria-label="Remove ') == query.count("=")
    if not found:
        assert "No conversation of this period passes these filters" in page.text


def test_lifting_the_filters_keeps_the_period(as_admin):
    page = read(as_admin.get(f"{URL}?period=7d&q=nothing&rating=up"))
    assert "?period=7d" in page.links


def test_older_ones_are_a_link_away_and_keep_the_filters(as_admin, monkeypatch):
    monkeypatch.setattr(domain, "PAGE", 2)
    monkeypatch.setattr(domain.conversation_page, "__defaults__", (None, 2))
    for hours in range(1, 6):
        AIRequestFactory(
            conversation_id=talk(f"Question {hours}?", created_at=ago(hours=hours)).conversation_id,
            model="gpt-5",
            created_at=ago(hours=hours),
        )
    seen, url = [], f"{URL}?model=gpt-5"
    while url:
        page = read(as_admin.get(url))
        seen += [row[0].split("?")[0] for row in page.rows if row[0].startswith("Question ")]
        older = [link for link in page.links if "after=" in link and link.startswith("?")]
        assert all("model=gpt-5" in link for link in older)
        url = f"{URL}{older[0]}" if older else ""
    assert seen == [f"Question {hours}" for hours in range(1, 6)]


def test_past_the_last_row_it_leads_back_to_the_top(as_admin):
    old = Cursor(ago(days=29), uuid.UUID(int=0))
    page = read(as_admin.get(f"{URL}?user=ada&after={old}"))
    assert "Nothing older" in page.text
    assert "?user=ada" in page.links


def test_there_is_nothing_to_compare_with(as_admin):
    assert "compare=" not in read(as_admin.get(URL)).html


def test_htmx_gets_the_list_alone(as_admin):
    talk("What is my beta?")
    response = as_admin.get(URL, **HTMX)
    page = read(response)
    assert page.html.lstrip().startswith('<div id="list"')
    assert "<html" not in page.html
    assert "What is my beta?" in page.text
    assert {"HX-Request", "HX-Target"} <= {each.strip() for each in response["Vary"].split(",")}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"HX-Request": "true"},
        {"HX-Request": "true", "HX-Target": "something-else"},
        {"HX-Request": "true", "HX-Target": "list", "HX-Boosted": "true"},
        {"HX-Request": "true", "HX-Target": "list", "HX-History-Restore-Request": "true"},
    ],
)
def test_everybody_else_gets_the_whole_page(as_admin, headers):
    assert "<html" in as_admin.get(URL, headers=headers).content.decode()


# --- Whatever stands in the URL ---


@pytest.mark.parametrize("name", ["period", "from", "to", "after", "q", "user", "model", "rating", "compare", "x"])
def test_no_parameter_breaks_it(as_admin, name):
    read_all_nonsense(as_admin, URL, name)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("period=fortnight", "take 24h, 7d, 30d, 90d or custom"),
        ("period=custom", "A custom period needs “from”"),
        ("period=custom&from=yesterday", "is no time: write from=2026-11-01"),
        ("period=custom&from=2026-11-02&to=2026-11-01", "“from” must be earlier than “to”"),
        ("period=custom&from=1990-01-01", "choose a shorter period"),
        ("after=gone", "start from the top of it"),
        ("rating=sideways", "choose one from the list"),
        (f"model={'m' * 101}", "choose one from the list"),
        ("model=a%00b", "choose one from the list"),
        (f"q={'word+' * 50}", "use fewer words"),
        (f"user={'x' * 300}", "use fewer words"),
    ],
)
def test_what_makes_no_sense_is_said_with_what_to_do_and_the_list_comes_all_the_same(as_admin, query, says):
    talk("What is my beta?")
    for options in ({}, HTMX):
        page = read(as_admin.get(f"{URL}?{query}", **options))
        assert says in page.text
        assert "What is my beta?" in page.text
        assert 'aria-label="Remove ' not in page.html


# --- Databases away ---


def test_without_metro_the_list_says_what_is_missing(as_admin, away):
    talk("What is my beta?")
    away("metro")
    page = read(as_admin.get(URL))
    assert "Ratings can’t be shown: the metro database doesn’t answer" in page.text
    assert page.row("What is my beta?")[1] == "away"
    page = read(as_admin.get(f"{URL}?rating=down&q=beta"))
    assert "Ratings are away" in page.text
    assert "No conversation of this period" not in page.text
    assert "?q=beta" in page.links


def test_without_metro_a_conversation_says_what_is_missing(as_admin, away):
    answer = talk("What is my beta?", "It is 1.12.")
    away("metro")
    page = read(as_admin.get(of(answer)))
    assert "Ratings and annotations can’t be shown" in page.text
    assert "It is 1.12." in page.text
    assert "Nobody has rated this" not in page.text


@pytest.mark.parametrize("path", ["", f"/{NOBODY}"])
def test_without_gondola_it_says_when_to_come_back(as_admin, away, path):
    as_admin.raise_request_exception = False
    away("default")
    response = as_admin.get(URL + path)
    assert response["Retry-After"] == "30"
    page = read(response, status=503)
    assert "The database doesn’t answer" in page.text
    assert "Traceback" not in page.html


# --- Flat query counts ---


def fill(conversations):
    for _ in range(conversations):
        answer = talk(created_at=ago(hours=3))
        MessageFactory(conversation=answer.conversation, role="tool", content="{}")
        AIRequestFactory(conversation_id=answer.conversation_id, message_id=answer.pk, created_at=ago(hours=3))
        FeedbackFactory(message_id=answer.pk)


@pytest.mark.parametrize("query", ["", "?user=person&model=gpt-5-mini&rating=down"])
def test_the_list_costs_as_many_queries_for_fifty_as_for_one(as_admin, query):
    fill(1)
    with counted() as one:
        read(as_admin.get(URL + query))
    fill(49)
    with counted() as fifty:
        read(as_admin.get(URL + query))
    assert len(fifty) == len(one) <= 12, "\n".join(fifty)


def test_a_thread_costs_as_many_queries_for_fifty_answers_as_for_one(as_admin):
    fill(1)
    conversation = Conversation.objects.get()
    url = f"{URL}/{conversation.pk}"

    def look():
        with counted() as queries:
            read(as_admin.get(url))
        return queries

    one = look()
    fill(40)
    for minute in range(50):
        answer = AnswerFactory(conversation=conversation, created_at=ago(minutes=minute))
        AIRequestFactory(conversation_id=conversation.pk, message_id=answer.pk, created_at=ago(minutes=minute))
        FeedbackFactory(message_id=answer.pk)
        AnnotationFactory(message_id=answer.pk)
    fifty = look()
    assert len(fifty) == len(one) <= 18, "\n".join(fifty)


# --- One conversation ---


def test_there_is_no_page_of_a_conversation_that_is_not_there(as_admin):
    page = read(as_admin.get(f"{URL}/{uuid.uuid4()}"), status=404)
    assert "There’s nothing here" in page.text


@pytest.mark.parametrize("path", ["/x", "/0", "/%00", "/%ff", "/" + "a" * 10_000, "/../..", f"/{NOBODY}/more"])
def test_what_is_no_id_is_no_page(as_admin, path):
    assert as_admin.get(URL + path).status_code in (301, 404)


@pytest.mark.parametrize("name", ["from", "q", "model"])
def test_no_parameter_breaks_the_page_of_a_conversation(as_admin, name):
    answer = talk("What is my beta?")
    read_all_nonsense(as_admin, of(answer), name)


def test_a_period_that_makes_no_sense_is_said_beside_the_thread(as_admin):
    assert "take 24h" in read(as_admin.get(f"{of(talk())}?period=fortnight")).text


def test_a_thread_stands_with_its_voices_and_its_facts(as_admin):
    answer = talk("What is my beta?", "Your **beta** is 1.12.", created_at=ago(hours=2), metadata={"page": "risk"})
    FeedbackFactory(message_id=answer.pk, comment="It is 0.9", edited_text="Your beta is **0.9**.")
    AnnotationFactory(
        message_id=answer.pk,
        content="Contradicts its own table.",
        suggested_response="Say 0.9.",
        severity="critical",
        tags=["beta", 7, {"odd": True}],
    )
    AIRequestFactory(
        conversation_id=answer.conversation_id,
        message_id=answer.pk,
        model="gpt-5",
        input_tokens=6214,
        output_tokens=310,
        total_latency_ms=1840,
        first_token_ms=400,
        created_at=ago(hours=2),
    )
    page = read(as_admin.get(of(answer)))
    for text in (
        "Your beta is 1.12.",
        "It is 0.9",
        "The answer they wanted",
        "Your beta is 0.9.",
        "Contradicts its own table.",
        "Say 0.9.",
        "critical",
        "6,214 tokens in",
        "310 out",
        "first token 400 ms",
        "1.84 s in all",
        "1, 0 failed",
        "Page risk",
    ):
        assert text.replace(" ", "") in page.text.replace("\xa0", " ").replace(" ", ""), text
    assert "<strong>beta</strong>" in page.html
    assert f"m-{answer.pk}" in page.ids
    assert reverse("admin:activity_conversation_change", args=[answer.conversation_id]) in page.links


def test_a_conversation_of_nothing_says_so(as_admin):
    page = read(as_admin.get(f"{URL}/{ConversationFactory(user_id=uuid.uuid4()).pk}"))
    for text in ("This conversation was begun and nothing was said.", "No such account", "Nobody has rated this"):
        assert text in page.text
    assert "none recorded" in page.text


@pytest.mark.parametrize("name", ["", "   ", "Ada", "Ada Lovelace"])
def test_the_person_is_called_by_their_first_name_where_they_have_one(as_admin, name):
    answer = talk()
    User.objects.filter(pk=answer.conversation.user_id).update(full_name=name)
    page = read(as_admin.get(of(answer)))
    assert f'aria-label="{"Ada" if "Ada" in name else "Person"}"' in page.html


@pytest.mark.parametrize(
    "metadata", [{}, {"model": "gpt-4"}, {"model": None}, {"a": {"b": {"c": [1]}}}, [], "text", 7, None]
)
def test_metadata_may_be_anything(as_admin, metadata):
    answer = talk()
    if metadata is not None:
        Conversation.objects.update(metadata=metadata)
    page = read(as_admin.get(of(answer)))
    assert ("gpt-4" in page.text) == (metadata == {"model": "gpt-4"})


@pytest.mark.parametrize(
    ("status", "hours", "says"),
    [
        ("completed", 1, ""),
        ("completed", 4, "was still going"),
        ("failed", 1, "failed. Its longest phase was phase_3_factors"),
        ("partial", 1, "went through only in part"),
        ("running", None, "was still going"),
    ],
)
def test_it_says_where_an_answer_rested_on_stale_data(as_admin, status, hours, says):
    answer = talk(created_at=ago(hours=2))
    BatchRunFactory(
        status=status,
        started_at=ago(hours=5),
        completed_at=ago(hours=5) + dt.timedelta(hours=hours) if hours else None,
        phase_durations={"phase_1_market_data": 10, "phase_3_factors": 90, "total_duration": 100},
    )
    text = read(as_admin.get(of(answer))).text
    assert ("The last batch before this" in text) == bool(says)
    assert says in text


EVIL = (
    "<script>alert(1)</script>",
    '<img src="x" onerror="alert(1)">',
    "<svg onload=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "![x](javascript:alert(1))",
    "<javascript:alert(1)>",
    '"><script src=//evil.example></script>',
    "<style>*{display:none}</style>",
    "</div></main></body>",
    "{{ settings.SECRET_KEY }}{% debug %}",
    "<a href='data:text/html,<script>1</script>'>x</a>",
    "<!-- ",
)


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_that_was_said_is_taken_for_a_part_of_the_page(as_admin, evil):
    user = User.objects.create(
        email="e@example.com", full_name=f"{evil} X"[:255], hashed_password="!", created_at=ago(days=1)
    )
    answer = talk(evil, evil, user_id=user.pk, metadata={evil: evil}, created_at=ago(hours=1))
    tool = [{"name": evil, "arguments": evil, "result": evil, "error": evil}]
    for role in ("system", "tool", "assistant"):
        MessageFactory(
            conversation=answer.conversation, role=role, content=evil, tool_calls=tool, error={"message": evil}
        )
    FeedbackFactory(message_id=answer.pk, comment=evil, edited_text=evil)
    AnnotationFactory(message_id=answer.pk, content=evil, suggested_response=evil, tags=[evil])
    AIRequestFactory(
        conversation_id=answer.conversation_id,
        message_id=answer.pk,
        model=evil[:100],
        error_type=evil[:100],
        error_message=evil,
        tool_calls=tool,
        created_at=ago(hours=1),
    )
    for url in (of(answer), URL, f"{of(answer)}?q={evil}"):
        page = read(as_admin.get(url))
        assert "<script>alert" not in page.html
        assert not any(urlsplit(link).netloc for link in page.links)
        assert "x</html>" not in page.html
        assert page.html.rstrip().endswith("</html>")


def test_half_a_character_in_a_tools_arguments_does_not_break_the_page(as_admin):
    answer = talk()
    broken = '{"q": "\\ud800"}'
    MessageFactory(conversation=answer.conversation, role="tool", content=broken)
    AnswerFactory(conversation=answer.conversation, tool_calls=[{"name": "x", "arguments": broken, "result": broken}])
    read(as_admin.get(of(answer)))


@pytest.mark.parametrize(
    "content",
    [
        "x" * 1_000_000,
        "word " * 38_000,
        "**" * 50_000,
        "[" * 20_000,
        "> " * 5_000 + "x",
        "# a\n" * 20_000,
        "|a" * 5_000,
    ],
    ids=["one long word", "many words", "stars", "brackets", "quotes", "headings", "pipes"],
)
def test_a_huge_answer_is_shown(as_admin, content):
    answer = talk(answer=content)
    read(as_admin.get(of(answer)))


def test_a_thread_of_hundreds_is_shown_whole(as_admin):
    conversation = ConversationFactory()
    for number in range(300):
        MessageFactory(conversation=conversation, content=f"Number {number}.")
    assert "300 messages" in read(as_admin.get(f"{URL}/{conversation.pk}")).text.replace("\xa0", " ")


# --- Where they stood before ---


def test_links_of_old_lead_here_with_all_that_they_ask_for(as_admin):
    answer = talk()
    for old, new in (
        ("/admin/ai/tuning?rating=down&period=7d", f"{URL}?rating=down&period=7d"),
        (f"/admin/ai/tuning/{answer.conversation_id}?q=beta", f"{of(answer)}?q=beta"),
    ):
        response = as_admin.get(old)
        assert (response.status_code, response["Location"]) == (302, new)
    assert as_admin.get("/admin/ai/tuning/12").status_code == 404


def test_no_page_links_to_where_they_stood(as_admin):
    answer = talk()
    for url in ("/admin", URL, of(answer), f"/admin/users/{answer.conversation.user_id}"):
        assert not [link for link in read(as_admin.get(url)).links if "/ai/tuning" in link]
