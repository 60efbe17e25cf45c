"""Search across messages: what is found, in what order, how it is shown, page by page; and that nothing breaks it."""

from __future__ import annotations

import datetime as dt
import random
import re
import uuid
from itertools import pairwise

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from activity import search as module
from activity import searchsql, searchwords
from activity.models import Conversation, Message
from activity.search import Results, SearchCursor, read_search_cursor, search
from sigmasight.lib.pagination import BadCursorError, Cursor
from tests.conftest import TIME_ZERO
from tests.factories.activity import ConversationFactory, MessageFactory, UserFactory, talk

pytestmark = pytest.mark.django_db

SECOND, DAY = dt.timedelta(seconds=1), dt.timedelta(days=1)


def say(content, at=TIME_ZERO, **fields):
    return MessageFactory(content=content, created_at=at, **fields)


def texts(results):
    """What was found, whole, in its order."""
    by_id = dict(Message.objects.values_list("pk", "content"))
    return [by_id[hit.message_id] for hit in results.hits]


def shown(hit):
    return "".join(segment.text for segment in hit.snippet)


def marked(hit):
    return [segment.text for segment in hit.snippet if segment.is_hit]


def every_page(text, **asked):
    """All pages from the first to the last; the cursor goes through a URL each time."""
    pages, after = [], None
    while True:
        page = search(text, after=after, **asked)
        pages.append(page)
        if page.next_cursor is None:
            return pages
        after = read_search_cursor(str(page.next_cursor), asked.get("order", "newest"))
        assert len(pages) < 500


# --- What is found ---


@pytest.fixture
def talks():
    """Three conversations, by what they are about."""
    return {
        "beta": talk("What is my beta against the index?", "Your **beta** is 1.12.").conversation,
        "tax": talk("How are dividends taxed?", "As ordinary income, mostly.").conversation,
        "both": talk("Is a high beta stock taxed more?", "No; beta says nothing of taxes.").conversation,
    }


def found(talks, text, **asked):
    ids = {hit.conversation_id for hit in search(text, **asked).hits}
    return {name for name, each in talks.items() if each.pk in ids}


@pytest.mark.parametrize("order", ["newest", "best"])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("beta", {"beta", "both"}),
        ("BETA", {"beta", "both"}),
        ("taxes", {"tax", "both"}),  # as English has it: taxed, taxes, tax
        ("beta index", {"beta"}),
        ("beta or dividends", {"beta", "tax", "both"}),
        ('"high beta"', {"both"}),
        ('"beta high"', set()),
        ('"high beta" or income', {"both", "tax"}),
        ("taxed -stock", {"tax", "both"}),  # of one message: an answer speaks of taxes and of no stock
        ("taxed -stock -says", {"tax"}),
        ('beta -"high beta"', {"beta", "both"}),
        ('beta stock -"high beta"', set()),
        ('beta stock -"beta high"', {"both"}),
        ("income", {"tax"}),
        ("divid*", {"tax"}),
        ("div* or ind*", {"tax", "beta"}),
        ('"high bet*"', {"both"}),
        ("beta -sto*", {"beta", "both"}),
        ("the*", set()),
        ("  beta\n", {"beta", "both"}),
        ("be\x00ta", {"beta", "both"}),
        ("nothing-like-it", set()),
        ("index 1.12", set()),  # all words in one message
    ],
)
def test_words_are_searched_as_on_the_web(talks, text, names, order):
    assert found(talks, text, order=order) == names


@pytest.mark.parametrize("shape", ["{}", " {} ", "{{{}}}", "urn:uuid:{}"])
def test_an_id_finds_its_message_or_the_messages_of_its_conversation(talks, shape):
    question = talks["tax"].messages.get(role="user")
    assert [hit.message_id for hit in search(shape.format(question.pk)).hits] == [question.pk]
    whole = search(shape.format(talks["tax"].pk), start=TIME_ZERO, end=TIME_ZERO)
    assert texts(whole) == ["How are dividends taxed?", "As ordinary income, mostly."]
    assert (whole.total, whole.more, whole.next_cursor) == (2, False, None)
    assert shown(whole.hits[0]) == "How are dividends taxed?"
    assert search(str(uuid.uuid4())) == Results()


def test_a_long_conversation_found_by_its_id_is_cut_and_counted():
    conversation = ConversationFactory()
    for number in range(5):
        say("x" * 500, conversation=conversation, at=TIME_ZERO + number * SECOND)
    results = search(str(conversation.pk), limit=2)
    assert (len(results.hits), results.total, results.more) == (2, 5, True)
    assert shown(results.hits[0]).endswith("x…")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", searchwords.NO_WORDS),
        ("  \n", searchwords.NO_WORDS),
        ("\x00", searchwords.NO_WORDS),
        ("the of is", searchwords.NO_WORDS),
        ("'\"&|!():*\\", searchwords.NO_WORDS),
        ("-beta", searchwords.ONLY_WITHOUT),
        ("-beta -tax", searchwords.ONLY_WITHOUT),
        ('-"high beta"', searchwords.ONLY_WITHOUT),
        ("beta or -tax", searchwords.ONLY_WITHOUT),
        ("be*", searchwords.SHORT_PREFIX),
        ("beta t*", searchwords.SHORT_PREFIX),
        ("猫" * 1000, searchwords.NO_WORDS),  # a word that long is none
    ],
)
def test_what_cannot_be_searched_for_says_what_to_do_and_looks_at_nothing(
    talks, text, says, django_assert_max_num_queries
):
    with django_assert_max_num_queries(5):
        assert search(text) == Results(problem=says)


def test_of_a_very_long_text_the_beginning_is_searched_for_and_that_is_said(talks):
    results = search("beta " * 2_000)
    assert results.note == searchwords.CUT
    assert results.total == 4
    assert search("beta " * 100).note == ""


GARBAGE = (
    *('"', "-", "--", "!!!", "a & b | !c", "<->", ":*", "\\", "%", "%s", "{}", "or or or", "- -", "***", "a**b*", "²*"),
    *(
        "\ufffd",
        "🙂",
        "' OR 1=1 --",
        "(" * 500,
        '"' * 501,
        "a" * 10_000,
        "é" * 3_000,
        "zqx0zqx",
        "zqx0zqx bet*",
        "_*",
        "___*",
    ),
    *(
        "http://a.example/x?y='z'<->",
        "a'b*",
        "it's*",
        "long-term*",
        "٣٣٣*",
        "x" * 2_000_000,
        "\ud800",
        "\ud800*",
        "a:b:c*",
    ),
)


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: ascii(text[:9]))
@pytest.mark.parametrize("order", ["newest", "best"])
def test_garbage_finds_what_it_finds_and_never_fails(talks, text, order):
    results = search(text, order=order)
    assert results.problem or results.total <= 6


class AnySearch(TestCase):
    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.text(max_size=60) | st.text(alphabet="'\"&|!():*\\<->-or abé_ \x00", max_size=40))
    def test_no_search_fails(self, text: str) -> None:
        search(text)


def test_a_message_without_content_is_found_by_nothing_and_harms_nothing(talks):
    say(None, conversation=talks["beta"])
    say("", conversation=talks["beta"])
    assert found(talks, "beta") == {"beta", "both"}
    assert search(str(talks["beta"].pk)).total == 4


def test_what_was_deleted_is_not_found(talks):
    talks["beta"].delete()
    assert found(talks, "beta") == {"both"}


def test_without_the_database_it_raises_and_does_not_blame_the_words(talks, away):
    away("default")
    with pytest.raises(OperationalError):
        search("beta")


# --- Narrowed ---


def test_it_keeps_to_the_period_the_people_the_conversations_and_the_roles():
    ann, bob = UserFactory(), UserFactory()
    for who, day, role in ((ann, 0, "user"), (ann, 1, "assistant"), (bob, 1, "user"), (bob, 2, "tool")):
        conversation = ConversationFactory(user_id=who.pk)
        say(f"beta {who.pk} {day} {role}", at=TIME_ZERO + day * DAY, conversation=conversation, role=role)

    def days(**asked):
        return [hit.at - TIME_ZERO for hit in search("beta", **asked).hits]

    assert days() == [2 * DAY, DAY, DAY, 0 * DAY]
    assert days(start=TIME_ZERO + DAY) == [2 * DAY, DAY, DAY]
    assert days(end=TIME_ZERO + DAY) == [0 * DAY]
    assert days(start=TIME_ZERO + DAY, end=TIME_ZERO + 2 * DAY) == [DAY, DAY]
    assert days(start=TIME_ZERO + DAY, end=TIME_ZERO) == []
    assert days(user_ids=[ann.pk]) == [DAY, 0 * DAY]
    assert days(user_ids=[ann.pk], roles=["user"]) == [0 * DAY]
    assert days(user_ids=[]) == []
    assert days(user_ids=[uuid.uuid4()]) == []
    assert days(roles=["tool", "assistant"]) == [2 * DAY, DAY]
    assert days(conversations=Conversation.objects.of_users([bob.pk])) == [2 * DAY, DAY]
    assert days(conversations=Conversation.objects.of_users([bob.pk]), user_ids=[ann.pk]) == []
    assert days(conversations=Conversation.objects.none()) == []
    hit = search("beta", user_ids=[bob.pk], roles=["tool"]).hits[0]
    assert (hit.user_id, hit.role, hit.rank) == (bob.pk, "tool", None)


# --- In order, page by page ---


class Crowd:
    """Messages of four words, many at the same instant; what matches, by Python."""

    def __init__(self, seed: int, size: int = 120) -> None:
        chance = random.Random(seed)
        people = [UserFactory().pk for _ in range(3)]
        talks = [ConversationFactory(user_id=chance.choice(people)) for _ in range(12)]
        self.people = people
        self.rows = Message.objects.bulk_create(
            Message(
                conversation=chance.choice(talks),
                role=chance.choice(["user", "assistant", "tool"]),
                content=" ".join(chance.choices(["beta", "stock", "alpha", "bond"], k=chance.randint(2, 9))),
                created_at=TIME_ZERO + chance.randrange(40) * SECOND,
            )
            for _ in range(size)
        )

    def newest(self, matches, people=None, roles=()):
        rows = [
            row
            for row in self.rows
            if matches(row.content)
            and (people is None or row.conversation.user_id in people)
            and (not roles or row.role in roles)
        ]
        return [row.pk for row in sorted(rows, key=lambda row: (row.created_at, row.pk), reverse=True)]


MATCHES = {
    "beta": lambda text: "beta" in text,
    "beta stock": lambda text: "beta" in text and "stock" in text,
    '"beta stock"': lambda text: "beta stock" in text,
    "beta -bond": lambda text: "beta" in text and "bond" not in text,
    'alpha -"beta stock"': lambda text: "alpha" in text and "beta stock" not in text,
    "nothing": lambda text: False,
}
# Candidates, bytes read, first window, conversations passed on by id: each so small that it matters, or none.
LIMITS = {"as they are": {}, "small": {"CANDIDATES": 9, "READ_BYTES": 150, "FIRST_WINDOW": 15}}
LIMITS["one at a time"] = {"CANDIDATES": 1, "READ_BYTES": 1, "FIRST_WINDOW": 1}
LIMITS["held against"] = {"CANDIDATES": 7, "READ_BYTES": 200, "NAMED_CONVERSATIONS": 1}


@pytest.fixture(params=LIMITS)
def limits(request, monkeypatch):
    for name, value in LIMITS[request.param].items():
        monkeypatch.setattr(searchsql if hasattr(searchsql, name) else module, name, value)
    return request.param


@pytest.mark.parametrize("text", MATCHES)
@pytest.mark.parametrize("order", ["newest", "best"])
@pytest.mark.parametrize("narrowed", [False, True])
def test_page_by_page_no_match_comes_twice_and_none_is_lost(limits, text, order, narrowed):
    crowd = Crowd(1)
    people = crowd.people[:2] if narrowed else None
    roles = ("user", "tool") if narrowed else ()
    expected = crowd.newest(MATCHES[text], people, roles)
    pages = every_page(text, order=order, limit=7, user_ids=people, roles=roles)
    seen = [hit.message_id for page in pages for hit in page.hits]
    assert len(seen) == len(set(seen))
    assert set(seen) == set(expected)
    if order == "newest":
        assert seen == expected
    assert all(len(page.hits) <= 7 for page in pages)
    assert all((page.total, page.more) == (pages[0].total, pages[0].more) for page in pages)
    assert pages[0].total == len(expected) or (pages[0].more and pages[0].total < len(expected))
    if limits == "as they are":
        assert (pages[0].total, pages[0].more) == (len(expected), False)
        assert len(pages) == max(1, -(-len(expected) // 7))


def test_the_best_match_comes_first_and_of_equals_the_newest():
    say("stock and bond and cash and beta, once, among a good many other words of all kinds", at=TIME_ZERO + 9 * DAY)
    often = say("beta beta beta", at=TIME_ZERO)
    older, newer = (say("beta of a stock", at=TIME_ZERO + days * DAY) for days in (1, 2))
    results = search("beta", order="best")
    assert [hit.message_id for hit in results.hits][:3] == [often.pk, newer.pk, older.pk]
    ranks = [hit.rank for hit in results.hits]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[1] == ranks[2] > ranks[3] > 0
    assert (results.ranked_of, results.looked_at, results.total, results.more) == (4, 4, 4, False)
    assert [hit.at - TIME_ZERO for hit in search("beta").hits] == [9 * DAY, 2 * DAY, DAY, 0 * DAY]


def test_words_that_stand_close_together_match_better():
    far = say("high is the price, and there are many other things between that word and the other, beta", at=TIME_ZERO)
    near = say("high beta is the price, and there are many other things between that word and the other", at=TIME_ZERO)
    assert [hit.message_id for hit in search("high beta", order="best").hits] == [near.pk, far.pk]


def test_of_too_many_matches_the_newest_are_ranked_and_it_says_how_many(monkeypatch):
    monkeypatch.setattr(searchsql, "CANDIDATES", 10)
    for second in range(30):
        say("beta" if second else "beta beta beta beta", at=TIME_ZERO + second * SECOND)
    first = search("beta", order="best", limit=4)
    assert (first.total, first.more, first.ranked_of) == (10, True, 10)
    pages = every_page("beta", order="best", limit=4)
    assert [page.ranked_of for page in pages] == [10, 10, 10, 10, 10, 10, 10, 10, 10]
    # Each ten among themselves: the oldest, which is the best of all, leads the last ten.
    assert pages[6].hits[0].at == TIME_ZERO
    assert [len(page.hits) for page in pages] == [4, 4, 2] * 3


@pytest.mark.parametrize(("rows", "total", "more"), [(9, 9, False), (10, 10, False), (11, 10, True), (40, 10, True)])
def test_the_total_is_exact_up_to_its_cap(monkeypatch, rows, total, more):
    monkeypatch.setattr(searchsql, "CANDIDATES", 10)
    for second in range(rows):
        say("beta", at=TIME_ZERO + second * SECOND)
    for order in ("newest", "best"):
        results = search("beta", order=order, limit=3)
        assert (results.total, results.more) == (total, more)


def test_where_only_part_of_the_text_can_be_read_the_total_is_still_the_indexs(monkeypatch):
    monkeypatch.setattr(module, "READ_BYTES", 20)
    for second in range(9):
        say("beta beta", at=TIME_ZERO + second * SECOND)
    assert search("beta", order="best").total == 9
    assert search("beta", order="best").ranked_of == 2
    phrase = search('"beta beta"')
    assert (phrase.total, phrase.more, phrase.looked_at) == (2, True, 2)


def test_a_page_may_be_empty_and_lead_on_to_where_the_phrase_is(monkeypatch):
    monkeypatch.setattr(searchsql, "CANDIDATES", 5)
    wanted = say("a high beta", at=TIME_ZERO - DAY)
    for second in range(20):
        say("beta is high", at=TIME_ZERO + second * SECOND)
    pages = every_page('"high beta"')
    assert [len(page.hits) for page in pages] == [0, 0, 0, 0, 1]
    assert pages[0].looked_at == 5
    assert pages[-1].hits[0].message_id == wanted.pk


@pytest.mark.parametrize("order", ["newest", "best"])
def test_messages_that_arrive_while_one_pages_shift_nothing(order):
    for second in range(8):
        say("beta", at=TIME_ZERO + second * SECOND)
    first = search("beta", order=order, limit=3)
    say("beta beta beta", at=TIME_ZERO + DAY)
    rest = search("beta", order=order, limit=20, after=first.next_cursor)
    assert len({hit.message_id for hit in (*first.hits, *rest.hits)}) == 8
    assert all(hit.at < TIME_ZERO + DAY for hit in rest.hits)


def test_a_message_deleted_between_two_queries_is_left_out(monkeypatch):
    gone, there = say("beta", at=TIME_ZERO), say("beta", at=TIME_ZERO + SECOND)
    plain = searchsql.snippets

    def late(words, ids):
        Message.objects.filter(pk=gone.pk).delete()
        return plain(words, ids)

    monkeypatch.setattr(searchsql, "snippets", late)
    assert [hit.message_id for hit in search("beta").hits] == [there.pk]


@pytest.mark.parametrize("limit", [-1, 0, 1, 10**9])
def test_a_page_has_at_least_one_row_and_at_most_so_many(limit):
    Message.objects.bulk_create(
        Message(conversation=each, role="user", content="beta", created_at=TIME_ZERO)
        for each in [ConversationFactory()] * 210
    )
    assert len(search("beta", limit=limit).hits) == min(max(limit, 1), module.LONGEST_PAGE)


def test_a_cursor_goes_through_a_url_unharmed():
    at = Cursor(TIME_ZERO, uuid.uuid4())
    for cursor in (SearchCursor("newest", at, total=7), SearchCursor("best", at, 0.1, at, 1000, True)):
        assert read_search_cursor(str(cursor), cursor.order) == cursor
    assert read_search_cursor("", "best") is None


@pytest.mark.parametrize(
    "text",
    ["gone", "é", "AAAA", "x" * 10_000, "W10", "[" * 5_000, "bnVsbA", "\x00", str(Cursor(TIME_ZERO, uuid.UUID(int=0)))],
)
def test_a_cursor_that_was_not_made_here_says_to_start_again(text):
    with pytest.raises(BadCursorError, match="start from the top"):
        read_search_cursor(text, "newest")


def test_a_cursor_of_the_other_order_says_to_start_again():
    at = Cursor(TIME_ZERO, uuid.uuid4())
    with pytest.raises(BadCursorError):
        read_search_cursor(str(SearchCursor("newest", at)), "best")
    with pytest.raises(BadCursorError):
        read_search_cursor(str(SearchCursor("best", at, 0.1, at)), "newest")
    with pytest.raises(BadCursorError):
        read_search_cursor(str(SearchCursor("best", at, 0.1, None)), "best")
    with pytest.raises(BadCursorError):
        read_search_cursor(str(SearchCursor("newest", at, total=10**9)), "newest")


# --- Highlights ---

HOSTILE = (
    "<script>alert('beta')</script> beta",
    'beta"><img src=x onerror="alert(1)">',
    "&lt;b&gt;beta&lt;/b&gt; &amp; beta &beta;",
    "<!-- beta --> beta <![CDATA[ beta ]]>",
    "“beta” ‘beta’ \"beta\" 'beta' `beta` beta's",
    "x" * 5_000 + " beta " + "y" * 5_000,
    "beta\x02beta\x03 \x02\x02beta\x03",
    "βήτα 🙂 beta 漢字 beta‮beta",
    "beta\tbeta\r\n\r\nbeta\u2028beta",
    "\\beta\\ {beta} %beta% %(beta)s {{ beta }} {% beta %}",
    "StartSel=beta, StopSel=beta",
    "beta … beta … beta",
    "| beta | **beta** | _beta_ |\n|---|---|",
)


@pytest.mark.parametrize("content", HOSTILE, ids=lambda text: ascii(text[:12]))
def test_the_words_found_are_marked_in_whatever_text(content):
    message = say(content)
    hit = search("beta").hits[0]
    assert hit.message_id == message.pk
    assert set(marked(hit)) == {"beta"}
    assert not set(shown(hit)) & {"\x02", "\x03", "\n", "\t"}
    assert len(shown(hit)) <= 500
    assert all(segment.text for segment in hit.snippet)


def stems(words):
    with connection.cursor() as cursor:
        cursor.execute("SELECT tsvector_to_array(to_tsvector('english', %s))", [words])
        return set(cursor.fetchone()[0])


WORD = st.sampled_from(
    ["taxes", "taxed", "Tax", "dividends", "the", "<b>", "</b>", "&amp;", '"', "'", "\\", "\x02", "é"]
)
ANYTHING = st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)


class AnyText(TestCase):
    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(WORD | ANYTHING, max_size=40).map(" ".join))
    def test_a_snippet_is_of_the_text_and_marks_the_words_and_no_others(self, content: str) -> None:
        conversation = ConversationFactory(user_id=uuid.uuid4())
        message = MessageFactory(conversation=conversation, content=content, created_at=TIME_ZERO)
        results = search("taxes", conversations=Conversation.objects.filter(pk=conversation.pk))
        assert [hit.message_id for hit in results.hits] == ([message.pk] if "tax" in stems(content) else [])
        for hit in results.hits:
            assert marked(hit)
            assert all(stems(each) == {"tax"} for each in marked(hit))
            # Nothing is shown that was not written, but the sign for what was left out.
            written = " ".join(re.sub("[\x02\x03]", "", content).split())
            for fragment in shown(hit).replace(" … ", "…").split("…"):
                assert fragment in written.replace(" … ", "…") or "…" in content
            if len(written) <= 240:
                assert shown(hit) == written
            assert not any(first.is_hit and second.is_hit for first, second in pairwise(hit.snippet))


def test_of_a_long_text_the_place_with_the_words_is_shown():
    say("word " * 15_000 + "the dividend was paid " + "word " * 1_000)
    hit = search("dividends").hits[0]
    assert marked(hit) == ["dividend"]
    assert len(shown(hit)) < 400
    assert shown(hit).startswith("…")
    assert shown(hit).endswith("…")


def test_words_past_what_is_indexed_are_not_found_and_what_is_before_is():
    say("first " + "word " * 30_000 + "last")
    assert search("last").total == 0
    assert search("first").total == 1


def test_a_word_that_must_not_be_there_is_not_marked():
    say("high beta, not beta high stock beta")
    assert set(marked(search('stock -"beta stock"').hits[0])) == {"stock"}


def test_prefixes_are_marked_as_the_words_they_stand_for():
    say("dividends are divided")
    assert marked(search("divid*").hits[0]) == ["dividends", "divided"]


# --- What it costs ---


@pytest.mark.parametrize("asked", [{}, {"order": "best"}, {"roles": ["user"]}])
def test_it_costs_as_many_queries_for_fifty_as_for_one(asked, django_assert_num_queries):
    say("high beta")
    for text in ("beta", '"high beta"'):
        with CaptureQueriesContext(connection) as one:
            search(text, **asked)
        Message.objects.bulk_create(
            Message(conversation=each, role="user", content="high beta", created_at=TIME_ZERO)
            for each in [ConversationFactory()] * 50
        )
        with django_assert_num_queries(len(one)):
            assert len(search(text, limit=50, **asked).hits) == 50
        assert len(one) <= 14


def plans_of(monkeypatch, text, **asked):
    """The plans of the queries for candidates, as PostgreSQL runs them."""
    plans = []

    class Explaining:
        def __init__(self, cursor):
            self.cursor = cursor

        def execute(self, query, params=None):
            self.cursor.execute("EXPLAIN " + query.as_string(), params)
            plans.append("\n".join(row[0] for row in self.cursor.fetchall()))
            return self.cursor.execute(query, params)

        def __getattr__(self, name):
            return getattr(self.cursor, name)

    plain = searchsql._newest, searchsql._any
    with monkeypatch.context() as patch:
        patch.setattr(searchsql, "_newest", lambda cursor, *args: plain[0](Explaining(cursor), *args))
        patch.setattr(searchsql, "_any", lambda cursor, *args: plain[1](Explaining(cursor), *args))
        search(text, **asked)
    return plans


def test_however_common_the_word_no_message_is_read_again_to_find_it(monkeypatch):
    conversation = ConversationFactory()
    Message.objects.bulk_create(
        Message(
            conversation=conversation,
            role="user",
            content=f"beta {number} " + "and more of it " * 20 if number % 3 else f"gamma {number}",
            created_at=TIME_ZERO + number * SECOND,
        )
        for number in range(6_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE agent_messages")
    monkeypatch.setattr(searchsql, "FIRST_WINDOW", 1_000)
    monkeypatch.setattr(searchsql, "CANDIDATES", 100)
    for text in ("beta", "gamma", "gamma -beta", '"beta 77"', "nothing", "bet*"):
        plans = plans_of(monkeypatch, text, start=TIME_ZERO, end=TIME_ZERO + DAY)
        assert plans
        for plan in plans:
            assert "Bitmap Index Scan on ix_messages_search" in plan
            assert "Filter: (to_tsvector" not in plan


def test_a_search_that_takes_too_long_says_so_and_the_settings_are_as_before(monkeypatch, talks):
    monkeypatch.setattr(searchsql, "STATEMENT_TIMEOUT", 20)
    monkeypatch.setattr(searchsql, "_WORDS", searchsql.sql.SQL("(SELECT to_tsvector(pg_sleep(1)::text))"))
    assert search("beta").problem == module.TOO_MUCH
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), current_setting('cpu_operator_cost')")
        assert cursor.fetchone() == ("0", "0.0025")


def test_without_its_index_it_says_how_to_make_it(monkeypatch, talks):
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX ix_messages_search")
    assert found(talks, "beta") == {"beta", "both"}  # a small house has it all the same
    monkeypatch.setattr(searchsql, "STATEMENT_TIMEOUT", 20)
    monkeypatch.setattr(searchsql, "_WORDS", searchsql.sql.SQL("(SELECT to_tsvector(pg_sleep(1)::text))"))
    assert "is missing" in search("beta").problem
    assert "manage.py ensure_search_index" in search("beta").problem


def test_searching_leaves_no_setting_behind(talks):
    search("beta")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), current_setting('enable_seqscan')")
        assert cursor.fetchone() == ("0", "on")
