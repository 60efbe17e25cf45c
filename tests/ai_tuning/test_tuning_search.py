"""The search box of /admin/ai/conversations: messages, the words marked, ranked when asked; and in their thread."""

from __future__ import annotations

import datetime as dt
import html
import re
import uuid

import pytest
from django.utils import timezone

from activity import search as search_module
from activity import searchsql
from activity.models import Conversation, Message
from ai_tuning import searching
from ai_tuning.conversations import ConversationFilter
from ai_tuning.searching import MARKED, MessageRow, matches_in, message_page
from sigmasight.lib.periods import between
from tests.factories.activity import AnswerFactory, ConversationFactory, MessageFactory, UserFactory, talk
from tests.factories.ai_tuning import FeedbackFactory
from tests.factories.metrics import AIRequestFactory
from tests.pages import counted, read, read_all_nonsense

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

URL = "/admin/ai/conversations"
HTMX = {"headers": {"HX-Request": "true", "HX-Target": "list"}}


def ago(**span):
    return timezone.now() - dt.timedelta(**span)


def found(page):
    """The messages listed: (their text, what is marked in it)."""
    cells = re.findall(r'<td class="wide snippet">\s*<a [^>]*>(.*?)</a>', page.html, re.DOTALL)
    return [
        (
            html.unescape(re.sub(r"</?mark>", "", cell)),
            [html.unescape(each) for each in re.findall("<mark>(.*?)</mark>", cell)],
        )
        for cell in cells
    ]


# --- The list ---


def test_each_message_stands_with_its_words_marked_and_leads_to_its_place(as_admin):
    ada = UserFactory(full_name="Ada Lovelace")
    answer = talk("Am I taxed?", "Your dividends are **taxed**.", user_id=ada.pk, created_at=ago(hours=2))
    FeedbackFactory(message_id=answer.pk)
    AIRequestFactory(conversation_id=answer.conversation_id, model="gpt-5", created_at=ago(hours=2))
    question = Message.objects.get(role="user")
    page = read(as_admin.get(f"{URL}?q=taxes"))
    assert found(page) == [("Your dividends are taxed.", ["taxed"]), ("Am I taxed?", ["taxed"])]
    row = page.row("Your dividends")
    assert "Answer to Ada Lovelace · “Am I taxed?”" in row[0]
    assert row[1:3] == ["thumbs-down", "gpt-5"]
    assert "Asked by Ada Lovelace" in page.row("Am I")[0]
    for message in (answer, question):
        assert f"{URL}/{answer.conversation_id}?q=taxes#m-{message.pk}" in page.links
    assert "2 messages" in page.text
    assert "newest first" in page.text


def test_the_order_is_a_link_and_every_filter_stays_in_it(as_admin):
    talk("beta", "beta beta beta of many words", created_at=ago(hours=2))
    talk("beta?", "Nothing.", created_at=ago(hours=1))
    newest = read(as_admin.get(f"{URL}?period=7d&q=beta&user=person"))
    assert found(newest)[0][0] == "beta?"
    [best] = [link for link in newest.links if "order=best" in link and link.startswith("?")]
    assert all(each in best for each in ("period=7d", "q=beta", "user=person"))
    page = read(as_admin.get(URL + best))
    assert "best match first" in page.text
    assert found(page)[0][0] == "beta beta beta of many words"
    assert re.search(r'order=best"[^>]*aria-current="true">Best match', page.html)
    assert "?period=7d&q=beta&user=person" in page.links
    assert '<input type="hidden" name="order" value="best">' in page.html


def test_an_order_that_is_none_is_said_and_the_list_comes_all_the_same(as_admin):
    talk("beta")
    page = read(as_admin.get(f"{URL}?q=beta&order=sideways"))
    assert "newest first, or best match first" in page.text
    assert found(page)


@pytest.mark.parametrize("order", ["newest", "best"])
def test_older_ones_are_a_link_away(as_admin, monkeypatch, order):
    monkeypatch.setattr(searching.message_page, "__defaults__", ("newest", None, 2))
    for hours in range(1, 6):
        talk(f"Question {hours}?", created_at=ago(hours=hours))
    seen, url = [], f"{URL}?q=question&order={order}"
    while url:
        page = read(as_admin.get(url))
        seen += [text for text, _ in found(page)]
        older = [link for link in page.links if "after=" in link and link.startswith("?")]
        assert all("q=question" in link for link in older)
        assert "5 messages" in page.text
        url = f"{URL}{older[0]}" if older else ""
    assert seen == [f"Question {hours}?" for hours in range(1, 6)]


def test_a_place_in_the_list_of_another_order_starts_from_the_top(as_admin, monkeypatch):
    monkeypatch.setattr(searching.message_page, "__defaults__", ("newest", None, 2))
    for hours in range(1, 6):
        talk(f"Question {hours}?", created_at=ago(hours=hours))
    cursor = message_page(between(ago(days=1), timezone.now()), ConversationFilter("question")).next_cursor
    page = read(as_admin.get(f"{URL}?q=question&order=best&after={cursor}"))
    assert "start from the top of them" in page.text
    assert len(found(page)) == 2
    assert "start from the top of it" in read(as_admin.get(f"{URL}?after={cursor}")).text


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("q=dividends", 1),
        ("q=%22beta+high%22", 1),
        ("q=beta&user=ada%40", 1),
        ("q=beta&model=gpt-5", 1),
        ("q=beta&model=gpt-4", 0),
        ("q=beta&rating=down", 1),
        ("q=beta&rating=down&model=gpt-5&user=ada", 1),
        ("q=dividends&rating=down", 0),
        ("q=beta&period=24h", 3),
        ("q=prompt", 0),  # the same in each conversation
        ("q=positions", 0),  # what a tool returned
    ],
)
def test_the_other_filters_narrow_it_and_a_chip_lifts_each(as_admin, query, number):
    ada = UserFactory(email="ada@example.com", full_name="Ada")
    first, _, third = (
        talk("What is my beta?", user_id=ada.pk, created_at=ago(hours=3)),
        talk("Is my beta, my beta high?"),
        talk("And dividends?", "Not beta."),
    )
    MessageFactory(conversation=third.conversation, role="system", content="The prompt.")
    MessageFactory(conversation=third.conversation, role="tool", content='{"positions": 7}')
    AIRequestFactory(conversation_id=first.conversation_id, model="gpt-5", created_at=ago(hours=3))
    FeedbackFactory(message_id=first.pk)
    page = read(as_admin.get(f"{URL}?{query}"))
    assert len(found(page)) == number
    filters = [part for part in query.split("&") if not part.startswith("period")]
    assert page.html.count('aria-label="Remove ') == len(filters)
    if not number:
        assert "Nothing found" in page.text
        assert any("period=90d" in link for link in page.links)


def test_a_search_looks_at_when_the_message_was_written(as_admin):
    conversation = ConversationFactory(created_at=ago(days=40))
    MessageFactory(conversation=conversation, content="old beta", created_at=ago(days=40))
    MessageFactory(conversation=conversation, content="new beta", created_at=ago(days=1))
    assert [text for text, _ in found(read(as_admin.get(f"{URL}?q=beta")))] == ["new beta"]
    assert len(found(read(as_admin.get(f"{URL}?q=beta&period=90d")))) == 2


@pytest.mark.parametrize("text", ["the+of", "-beta", "be*", "%27%22!()"])
def test_what_cannot_be_searched_for_says_what_to_do(as_admin, text):
    talk("What is my beta?")
    page = read(as_admin.get(f"{URL}?period=7d&q={text}"))
    assert "Nothing to search for" in page.text
    assert "?period=7d" in page.links
    assert "order=best" not in page.html


def test_a_phrase_that_is_not_among_the_newest_leads_on_to_the_older(as_admin, monkeypatch):
    monkeypatch.setattr(searchsql, "CANDIDATES", 3)
    talk("A high beta?", created_at=ago(days=3))
    for hours in range(1, 6):
        talk("Is beta high?", "No.", created_at=ago(hours=hours))
    page = read(as_admin.get(f"{URL}?q=%22high+beta%22"))
    assert "None of the 3 newest messages with these words" in page.text
    [older] = [link for link in page.links if "after=" in link]
    assert [text for text, _ in found(read(as_admin.get(URL + older)))] == ["A high beta?"]


def test_of_more_than_can_be_ranked_it_says_how_many_were(as_admin, monkeypatch):
    monkeypatch.setattr(searchsql, "CANDIDATES", 30)
    for hours in range(1, 41):
        talk("beta?", "No.", created_at=ago(hours=hours))
    page = read(as_admin.get(f"{URL}?q=beta&order=best"))
    assert "30+" in page.text
    assert "best match first, of the 30 newest" in page.text


def test_too_slow_a_search_says_what_to_do(as_admin, monkeypatch):
    talk("beta")
    monkeypatch.setattr(searchsql, "STATEMENT_TIMEOUT", 20)
    monkeypatch.setattr(searchsql, "_WORDS", searchsql.sql.SQL("(SELECT to_tsvector(pg_sleep(1)::text))"))
    assert search_module.TOO_MUCH in read(as_admin.get(f"{URL}?q=beta")).text


def test_an_id_finds_its_conversation(as_admin):
    answer = talk("What is my beta?")
    talk("Another.")
    for identifier in (answer.pk, answer.conversation_id):
        page = read(as_admin.get(f"{URL}?q={identifier}"))
        assert "1 conversation" in page.text
        assert page.row("What is my beta?")
        assert read(as_admin.get(f"{URL}/{answer.conversation_id}?q={identifier}"))


def test_htmx_gets_the_list_alone(as_admin):
    talk("What is my beta?")
    page = read(as_admin.get(f"{URL}?q=beta", **HTMX))
    assert page.html.lstrip().startswith('<div id="list"')
    assert "<html" not in page.html
    assert found(page) == [("What is my beta?", ["beta"])]


@pytest.mark.parametrize("name", ["q", "order", "after"])
def test_no_parameter_breaks_it(as_admin, name):
    answer = talk("What is my beta?")
    for url in (URL, f"{URL}/{answer.conversation_id}"):
        read_all_nonsense(as_admin, url, name)
        if name != "q":
            for value in ("%00", "x" * 9_000, "%ff", "-1", "%3Cscript%3E"):
                read(as_admin.get(f"{url}?q=beta&{name}={value}"))


EVIL = (
    "<script>alert(1)</script> beta",
    '<img src="x" onerror="alert(1)"> beta',
    "&lt;script&gt;beta&lt;/script&gt;",
    '"><mark>beta</mark>',
    "{{ beta }} {% beta %}",
    "\x02beta\x03 </mark><script>",
)


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_hostile_reaches_the_page_as_html(as_admin, evil):
    answer = talk(evil, evil, created_at=ago(hours=1))
    for url in (f"{URL}?q=beta", f"{URL}?q=beta&order=best", f"{URL}/{answer.conversation_id}?q=beta"):
        page = read(as_admin.get(url))
        assert page.html.count("<mark>") == page.html.count("</mark>") >= 1
        assert "<script>alert" not in page.html
    evil_search = "beta+%3Cscript%3Ealert(1)%3C/script%3E+or+beta"
    page = read(as_admin.get(f"{URL}/{answer.conversation_id}?q={evil_search}"))
    assert "<script>alert" not in page.html


def test_without_metro_it_says_what_is_missing(as_admin, away):
    talk("What is my beta?")
    away("metro")
    page = read(as_admin.get(f"{URL}?q=beta"))
    assert "Ratings can’t be shown" in page.text
    assert page.row("What is my")[1] == "away"
    page = read(as_admin.get(f"{URL}?q=beta&rating=down"))
    assert "Ratings are away" in page.text
    assert "?q=beta" in page.links


def fill(conversations):
    for _ in range(conversations):
        answer = talk(created_at=ago(hours=3))
        AIRequestFactory(conversation_id=answer.conversation_id, message_id=answer.pk, created_at=ago(hours=3))
        FeedbackFactory(message_id=answer.pk)


@pytest.mark.parametrize("query", ["?q=beta", "?q=beta&order=best", "?q=%22my+beta%22&user=person&rating=down"])
def test_it_costs_as_many_queries_for_a_full_page_as_for_one(as_admin, query):
    fill(1)
    with counted() as one:
        assert len(found(read(as_admin.get(URL + query)))) == 1
    fill(30)
    with counted() as many:
        assert len(found(read(as_admin.get(URL + query)))) == searching.PAGE
    assert len(many) == len(one) <= 26, "\n".join(many)


# --- In the thread ---


def test_the_messages_found_are_marked_in_their_thread_and_linked_from_its_head(as_admin):
    answer = talk("Is my beta high?", "It is.", created_at=ago(hours=1))
    again = MessageFactory(conversation=answer.conversation, content="And beta squared?", created_at=ago(minutes=5))
    question = Message.objects.order_by("created_at").first()
    page = read(as_admin.get(f"{URL}/{answer.conversation_id}?q=beta"))
    assert "2 messages have “beta”" in page.text
    assert page.html.count('<div class="match">') == 2
    for message in (question, again):
        assert f"#m-{message.pk}" in page.links
        assert f"m-{message.pk}" in page.ids
        assert re.search(rf'<div class="match">\s*<article[^>]*id="m-{message.pk}"', page.html)
    assert "#m-" + str(answer.pk) not in page.links
    # Beside it each conversation stands once, and leads to what was found in it.
    beside = [link for link in page.links if link.startswith(f"{URL}/{answer.conversation_id}")]
    assert beside == [f"{URL}/{answer.conversation_id}?q=beta#m-{again.pk}"]
    assert "And <mark>beta</mark> squared?" in page.html
    assert page.html.count('aria-current="true"') >= 1


def test_without_a_search_nothing_is_marked(as_admin):
    answer = talk("Is my beta high?")
    for query in ("", "?q=", "?q=the", "?q=nothing", "?rating=down"):
        page = read(as_admin.get(f"{URL}/{answer.conversation_id}{query}"))
        assert 'class="match' not in page.html
        assert "Is my beta high?" in page.text


def test_a_thread_of_very_many_matches_marks_the_newest(as_admin):
    conversation = ConversationFactory()
    for number in range(MARKED + 5):
        MessageFactory(conversation=conversation, content="beta", created_at=ago(minutes=200 - number))
    hits = matches_in(conversation.pk, "beta")
    assert len(hits) == MARKED
    assert [hit.at for hit in hits] == sorted(hit.at for hit in hits)
    assert hits[-1].at == Message.objects.order_by("created_at").last().created_at
    read(as_admin.get(f"{URL}/{conversation.pk}?q=beta"))


def test_each_conversation_stands_once_beside_a_thread_where_its_first_message_found_does():
    first, second = talk("beta?", "beta!", created_at=ago(hours=2)), talk("beta?", "No.", created_at=ago(hours=1))
    newest = MessageFactory(conversation=first.conversation, content="beta", created_at=ago(minutes=1))
    page = message_page(between(ago(days=1), timezone.now()), ConversationFilter("beta"))
    assert len(page.rows) == 4
    assert [each.row.id for each in page.conversations] == [first.conversation_id, second.conversation_id]
    assert page.conversations[0].hit.message_id == newest.pk


def test_a_conversation_deleted_between_two_queries_is_left_out(monkeypatch):
    answer = talk("beta?", "No.", created_at=ago(hours=2))
    plain = searching.search

    def late(*args, **kwargs):
        results = plain(*args, **kwargs)
        Conversation.objects.filter(pk=answer.conversation_id).delete()
        return results

    monkeypatch.setattr(searching, "search", late)
    page = message_page(between(ago(days=1), timezone.now()), ConversationFilter("beta"))
    assert (page.rows, page.metro_away) == ([], False)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Your **beta** is `1.12`.", "Your beta is 1.12."),
        ("## Beta\n\n- one\n- two_three", "Beta one two_three"),
        ("| beta | 1 |\n|---|---|\n| x | 2 |", "beta 1 x 2"),
        ("2 * 3 beta -1", "2 3 beta -1"),
        ("beta: a-b, c_d, #7", "beta: a-b, c_d, #7"),
        ("a _beta_ and *beta*, `beta`: __beta__", "a beta and beta, beta: beta"),
    ],
)
def test_the_snippet_of_an_answer_shows_no_markdown(written, shown):
    message = AnswerFactory(content=written)
    page = message_page(between(ago(days=1), timezone.now()), ConversationFilter("beta"))
    [row] = page.rows
    assert isinstance(row, MessageRow)
    assert row.hit.message_id == message.pk
    assert " ".join("".join(text for text, _ in row.snippet).split()) == shown


def test_a_question_is_shown_as_it_was_typed():
    MessageFactory(content="Is **beta** `2*3`?", role="user")
    [row] = message_page(between(ago(days=1), timezone.now()), ConversationFilter("beta")).rows
    assert "".join(text for text, _ in row.snippet) == "Is **beta** `2*3`?"


def test_a_person_nobody_is_finds_nothing():
    talk("beta?")
    period = between(ago(days=1), timezone.now())
    assert message_page(period, ConversationFilter("beta", person=str(uuid.uuid4()))).rows == []
    assert len(message_page(period, ConversationFilter("beta", person="person")).rows) == 1
