"""The list of conversations and its filters, page by page; and a thread with all that is known of it."""

from __future__ import annotations

import datetime as dt
import random
import uuid

import pytest

from activity.models import Conversation, Message, User
from ai_tuning import conversations as tuning
from ai_tuning.conversations import ConversationFilter, conversation_page, open_thread
from ai_tuning.models import Feedback
from metrics.models import AIRequest
from sigmasight.lib.periods import between
from tests.conftest import TIME_ZERO
from tests.days import make_room
from tests.factories.activity import AnswerFactory, ConversationFactory, MessageFactory, UserFactory, talk
from tests.factories.ai_tuning import AnnotationFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory, BatchRunFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

SECOND, HOUR, DAY = dt.timedelta(seconds=1), dt.timedelta(hours=1), dt.timedelta(days=1)
PERIOD = between(TIME_ZERO - 2 * DAY, TIME_ZERO)
EVERYTHING = ConversationFilter()


@pytest.fixture(autouse=True)
def room():
    make_room(*(TIME_ZERO + days * DAY for days in (-3, -2, -1, 0, 1)))


def ids(page):
    return [row.id for row in page.rows]


# --- The list, against plain Python ---


class Town:
    """Conversations of a few people in and round the period, with requests and thumbs, many at the same instant."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.people = [
            UserFactory(email=f"p{n}@{'corp' if n % 2 else 'home'}.example", full_name=f"Ann {n}") for n in range(6)
        ]
        owners = [*(each.pk for each in self.people), uuid.uuid4()]
        moments = [
            PERIOD.start - SECOND,
            PERIOD.start,
            PERIOD.start + HOUR,
            TIME_ZERO - HOUR,
            TIME_ZERO - SECOND,
            TIME_ZERO,
        ]
        self.talks = Conversation.objects.bulk_create(
            Conversation(user_id=chance.choice(owners), created_at=chance.choice(moments)) for _ in range(60)
        )
        self.messages: list[Message] = []
        self.requests: list[AIRequest] = []
        self.thumbs: list[Feedback] = []
        for each in self.talks:
            for _ in range(chance.randrange(3)):
                word = chance.choice(["beta", "dividend"])
                self.messages.append(
                    Message(conversation=each, role="user", content=f"My {word}?", created_at=each.created_at)
                )
                answer = Message(
                    conversation=each, role="assistant", content="So it is.", created_at=each.created_at + SECOND
                )
                self.messages.append(answer)
                self.requests.append(
                    AIRequest(
                        conversation_id=each.pk,
                        message_id=answer.pk,
                        model=chance.choice(["gpt-5", "gpt-5-mini"]),
                        total_tokens=chance.choice([None, 10, 20]),
                        total_latency_ms=chance.choice([None, 100, 900]),
                        error_type=chance.choice([None, None, "api_failure"]),
                        created_at=each.created_at + chance.choice([-1, 1]) * SECOND,
                    )
                )
                for _ in range(chance.choice([0, 0, 1, 2])):
                    given = each.created_at + chance.choice([1, 10, 90]) * DAY
                    self.thumbs.append(
                        Feedback(message_id=answer.pk, rating=chance.choice(["up", "down"]), created_at=given)
                    )
        Message.objects.bulk_create(self.messages)
        AIRequest.objects.bulk_create(self.requests)
        Feedback.objects.bulk_create(self.thumbs)

    def thumbs_of(self, talk_):
        answers = {row.pk for row in self.messages if row.conversation_id == talk_.pk}
        return [row.rating for row in self.thumbs if row.message_id in answers]

    def requests_of(self, talk_):
        return [row for row in self.requests if row.conversation_id == talk_.pk]

    def expected(self, only):
        found = []
        for each in sorted(self.talks, key=lambda row: (row.created_at, row.pk), reverse=True):
            said = " ".join(row.content or "" for row in self.messages if row.conversation_id == each.pk)
            person = next((user for user in self.people if user.pk == each.user_id), None)
            known_as = f"{person.email} {person.full_name}".lower() if person else ""
            if (
                PERIOD.start <= each.created_at < PERIOD.end
                and (not only.text or only.text in said)
                and (not only.person or only.person.lower() in known_as or only.person == str(each.user_id))
                and (not only.model or only.model in {row.model for row in self.requests_of(each)})
                and (not only.rating or only.rating in self.thumbs_of(each))
            ):
                found.append(each)
        return found


FILTERS = (
    EVERYTHING,
    ConversationFilter(person="@CORP."),
    ConversationFilter(person="ann 2"),
    ConversationFilter(model="gpt-5"),
    ConversationFilter(rating="down"),
    ConversationFilter(rating="up"),
    ConversationFilter(person="ann", model="gpt-5-mini"),
    ConversationFilter(person="home", rating="down"),
    ConversationFilter("", "corp", "gpt-5", "up"),
    ConversationFilter(person="no such person"),
)


@pytest.mark.parametrize("only", FILTERS, ids=str)
def test_the_list_is_what_passes_the_filter_newest_first_with_its_figures(only):
    town = Town(FILTERS.index(only))
    expected = town.expected(only)
    page = conversation_page(PERIOD, only, size=100)
    assert ids(page) == [each.pk for each in expected]
    assert (page.total, page.more, page.next_cursor, page.metro_away, page.notes) == (
        len(expected),
        False,
        None,
        False,
        [],
    )
    for row, each in zip(page.rows, expected, strict=True):
        thumbs, requests = town.thumbs_of(each), town.requests_of(each)
        assert (row.up, row.down) == (thumbs.count("up"), thumbs.count("down"))
        assert row.person == next((user for user in town.people if user.pk == each.user_id), None)
        assert (row.use is None) == (not requests)
        if row.use:
            tokens = [request.total_tokens for request in requests if request.total_tokens is not None]
            assert row.use.requests == len(requests)
            assert row.use.tokens == (sum(tokens) if tokens else None)


@pytest.mark.parametrize("size", [1, 7, 50])
@pytest.mark.parametrize("only", [EVERYTHING, ConversationFilter(rating="down")], ids=str)
def test_page_by_page_no_row_comes_twice_and_none_is_lost(size, only):
    town = Town(20)
    seen, cursor, pages = [], None, 0
    while True:
        page = conversation_page(PERIOD, only, cursor, size=size)
        seen += ids(page)
        pages += 1
        assert page.total == len(town.expected(only))
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert seen == [each.pk for each in town.expected(only)]
    assert pages == max(1, -(-len(seen) // size))


def test_all_at_the_same_instant_are_paged_by_id():
    rows = Conversation.objects.bulk_create(
        Conversation(user_id=uuid.uuid4(), created_at=TIME_ZERO - HOUR) for _ in range(25)
    )
    seen, cursor = [], None
    for _ in range(3):
        page = conversation_page(PERIOD, EVERYTHING, cursor, size=10)
        seen += ids(page)
        cursor = page.next_cursor
    assert cursor is None
    assert seen == sorted((row.pk for row in rows), reverse=True)


def test_a_row_that_arrives_while_one_pages_shifts_nothing():
    rows = [ConversationFactory(created_at=TIME_ZERO - n * HOUR) for n in range(1, 5)]
    first = conversation_page(PERIOD, EVERYTHING, size=2)
    ConversationFactory(created_at=TIME_ZERO - SECOND)
    second = conversation_page(PERIOD, EVERYTHING, first.next_cursor, size=2)
    assert ids(first) + ids(second) == [row.pk for row in rows]


def test_a_page_that_is_just_full_has_none_after_it():
    for _ in range(3):
        ConversationFactory(created_at=TIME_ZERO - HOUR)
    assert conversation_page(PERIOD, EVERYTHING, size=3).next_cursor is None
    assert conversation_page(PERIOD, EVERYTHING, size=2).next_cursor is not None


@pytest.mark.parametrize(
    ("rows", "total", "more"), [(0, 0, False), (4, 4, False), (5, 5, False), (6, 5, True), (9, 5, True)]
)
def test_the_count_is_exact_up_to_its_cap(monkeypatch, rows, total, more):
    monkeypatch.setattr(tuning, "COUNTED", 5)
    Conversation.objects.bulk_create(
        Conversation(user_id=uuid.uuid4(), created_at=TIME_ZERO - HOUR) for _ in range(rows)
    )
    page = conversation_page(PERIOD, EVERYTHING, size=2)
    assert (page.total, page.more) == (total, more)


def test_a_conversation_on_the_periods_start_is_in_it_and_one_on_its_end_is_not():
    first = ConversationFactory(created_at=PERIOD.start)
    ConversationFactory(created_at=PERIOD.end)
    ConversationFactory(created_at=PERIOD.start - dt.timedelta(microseconds=1))
    assert ids(conversation_page(PERIOD, EVERYTHING)) == [first.pk]


# --- Filters, one by one ---


def test_a_person_is_found_by_their_id_also_after_their_account_was_deleted():
    talk_ = ConversationFactory(created_at=TIME_ZERO - HOUR)
    ConversationFactory(created_at=TIME_ZERO - HOUR)
    User.objects.filter(pk=talk_.user_id).delete()
    page = conversation_page(PERIOD, ConversationFilter(person=str(talk_.user_id)))
    assert ids(page) == [talk_.pk]
    assert page.rows[0].person is None


def test_everybody_who_fits_is_looked_at_however_many_they_are():
    users = User.objects.bulk_create(User(email=f"{n}@corp.example", full_name="x") for n in range(260))
    oldest = ConversationFactory(user_id=users[0].pk, created_at=TIME_ZERO - HOUR)
    assert ids(conversation_page(PERIOD, ConversationFilter(person="@corp."))) == [oldest.pk]


def test_a_thumb_counts_whenever_it_was_given():
    answer = talk(created_at=TIME_ZERO - HOUR)
    FeedbackFactory(message_id=answer.pk, created_at=TIME_ZERO + 40 * DAY)
    assert ids(conversation_page(PERIOD, ConversationFilter(rating="down"))) == [answer.conversation_id]
    assert ids(conversation_page(PERIOD, ConversationFilter(rating="up"))) == []


def test_a_thumb_on_what_is_no_answer_or_is_gone_finds_nothing():
    question = MessageFactory(conversation=ConversationFactory(created_at=TIME_ZERO - HOUR))
    for message in (question.pk, uuid.uuid4()):
        FeedbackFactory(message_id=message, created_at=TIME_ZERO)
    assert ids(conversation_page(PERIOD, ConversationFilter(rating="down"))) == []
    assert conversation_page(PERIOD, EVERYTHING).rows[0].down == 0


def test_where_there_are_too_many_thumbs_it_says_which_are_looked_at(monkeypatch):
    monkeypatch.setattr(tuning, "RATED", 2)
    answers = [talk(created_at=TIME_ZERO - n * HOUR) for n in range(1, 5)]
    for age, answer in enumerate(answers):
        FeedbackFactory(message_id=answer.pk, created_at=TIME_ZERO - age * SECOND)
    page = conversation_page(PERIOD, ConversationFilter(rating="down"))
    assert ids(page) == [answer.conversation_id for answer in answers[:2]]
    assert page.notes == ["Only the 2 newest thumbs-down since the period’s start are looked at."]


def test_a_request_that_seems_to_precede_its_conversation_still_tells_its_model():
    talk_ = ConversationFactory(created_at=PERIOD.start)
    AIRequestFactory(conversation_id=talk_.pk, model="gpt-5", created_at=PERIOD.start - 2 * SECOND)
    page = conversation_page(PERIOD, ConversationFilter(model="gpt-5"))
    assert ids(page) == [talk_.pk]
    assert page.rows[0].use is not None


def test_an_id_is_searched_for_within_the_period_too():
    answer = talk(created_at=TIME_ZERO - HOUR)
    early = talk(created_at=PERIOD.start - DAY)
    for text in (str(answer.pk), str(answer.conversation_id)):
        assert ids(conversation_page(PERIOD, ConversationFilter(text=text))) == [answer.conversation_id]
    assert ids(conversation_page(PERIOD, ConversationFilter(text=str(early.pk)))) == []


def test_words_are_not_for_the_list_of_conversations():
    with pytest.raises(ValueError, match="message_page"):
        conversation_page(PERIOD, ConversationFilter(text="beta"))


def test_the_newest_comment_stands_in_the_list():
    talk_ = ConversationFactory(created_at=TIME_ZERO - HOUR)
    answers = [AnswerFactory(conversation=talk_) for _ in range(6)]
    for age, answer in enumerate(answers):
        FeedbackFactory(message_id=answer.pk, comment=f"{age} days ago", created_at=TIME_ZERO - age * DAY)
    FeedbackFactory(message_id=answers[3].pk, comment=None, created_at=TIME_ZERO + DAY)
    assert conversation_page(PERIOD, EVERYTHING).rows[0].comment == "0 days ago"


def test_a_conversation_of_nothing_is_listed_all_the_same():
    empty = ConversationFactory(created_at=TIME_ZERO - HOUR, user_id=uuid.uuid4())
    MessageFactory(conversation=(silent := ConversationFactory(created_at=TIME_ZERO - 2 * HOUR)), content=None)
    rows = conversation_page(PERIOD, EVERYTHING).rows
    assert [row.id for row in rows] == [empty.pk, silent.pk]
    assert (rows[0].digest, rows[0].use, rows[0].person, rows[0].down, rows[0].comment) == (None, None, None, 0, "")
    assert rows[1].digest is not None
    assert rows[1].digest.question == ""


# --- Metro away ---


def test_without_metro_the_list_comes_without_voices(away):
    answer = talk(created_at=TIME_ZERO - HOUR)
    FeedbackFactory(message_id=answer.pk)
    away("metro")
    page = conversation_page(PERIOD, ConversationFilter(text=str(answer.pk)))
    assert page.metro_away
    assert ids(page) == [answer.conversation_id]
    assert (page.rows[0].up, page.rows[0].down, page.rows[0].comment) == (None, None, "")


def test_without_metro_nobody_knows_what_was_rated(away):
    talk(created_at=TIME_ZERO - HOUR)
    away("metro")
    page = conversation_page(PERIOD, ConversationFilter(rating="down"))
    assert page.metro_away
    assert (page.rows, page.total) == ([], 0)


def test_without_metro_a_thread_is_whole_but_for_its_voices(away):
    answer = talk(created_at=TIME_ZERO - HOUR)
    FeedbackFactory(message_id=answer.pk)
    AnnotationFactory(message_id=answer.pk)
    away("metro")
    thread = open_thread(answer.conversation_id)
    assert thread is not None
    assert thread.metro_away
    assert [turn.message.role for turn in thread.turns] == ["user", "assistant"]
    assert thread.voices == thread.annotations == []


# --- A thread ---


def begun(**fields):
    return ConversationFactory(created_at=TIME_ZERO - HOUR, **fields)


def opened(talk_):
    thread = open_thread(talk_.pk)
    assert thread is not None
    return thread


def test_there_is_no_thread_of_a_conversation_that_is_not_there():
    assert open_thread(uuid.uuid4()) is None


def test_a_thread_keeps_the_order_in_which_it_was_said_whatever_the_role():
    talk_ = begun()
    roles = ["system", "user", "assistant", "tool", "assistant", "user"]
    for second, role in reversed(list(enumerate(roles))):
        MessageFactory(conversation=talk_, role=role, content=role, created_at=talk_.created_at + second * SECOND)
    thread = opened(talk_)
    assert [turn.message.role for turn in thread.turns] == roles
    assert thread.question == "user"
    assert not thread.metro_away


def test_a_thread_of_no_messages_or_of_messages_without_content_has_no_question():
    assert opened(begun()).question == ""
    talk_ = begun()
    MessageFactory(conversation=talk_, content=None)
    assert opened(talk_).question == ""


def test_a_request_knows_better_than_the_message_what_an_answer_cost():
    talk_ = begun()
    measured = {"latency_ms": 1, "first_token_ms": 2, "prompt_tokens": 3, "completion_tokens": 4}
    answer = AnswerFactory(conversation=talk_, **measured)
    alone = AnswerFactory(conversation=talk_, created_at=TIME_ZERO, **measured)
    AIRequestFactory(
        conversation_id=talk_.pk,
        message_id=answer.pk,
        total_latency_ms=0,
        first_token_ms=20,
        input_tokens=30,
        output_tokens=None,
        created_at=TIME_ZERO - HOUR,
    )
    first, second = opened(talk_).turns
    assert (first.message, second.message) == (answer, alone)
    assert (first.latency_ms, first.first_token_ms, first.input_tokens, first.output_tokens) == (0, 20, 30, 4)
    assert (second.latency_ms, second.first_token_ms, second.input_tokens, second.output_tokens) == (1, 2, 3, 4)


def test_of_several_requests_for_an_answer_the_last_stands_behind_it_and_all_are_counted():
    answer = talk(created_at=TIME_ZERO - HOUR)
    for second, (model, error) in enumerate(
        [("gpt-5", "rate_limit_exceeded"), ("gpt-5", "api_failure"), ("gpt-5-mini", None)]
    ):
        AIRequestFactory(
            conversation_id=answer.conversation_id,
            message_id=answer.pk,
            model=model,
            error_type=error,
            created_at=TIME_ZERO - HOUR + second * SECOND,
        )
    thread = opened(answer.conversation)
    assert thread.models == ["gpt-5-mini"]
    assert thread.turns[1].error == ""
    assert thread.use is not None
    assert (thread.use.requests, thread.use.failed, thread.use.models) == (3, 2, ("gpt-5", "gpt-5-mini"))


def test_a_request_of_no_message_of_the_conversation_harms_nothing():
    answer = talk(created_at=TIME_ZERO - HOUR)
    AIRequestFactory(conversation_id=answer.conversation_id, message_id=uuid.uuid4(), created_at=TIME_ZERO)
    thread = opened(answer.conversation)
    assert [turn.request for turn in thread.turns] == [None, None]
    assert thread.use is not None


def test_tool_calls_come_from_the_message_and_from_the_request_where_it_has_none():
    talk_ = begun()
    own = AnswerFactory(conversation=talk_, tool_calls=[{"name": "own"}])
    lent = AnswerFactory(conversation=talk_, tool_calls={}, created_at=TIME_ZERO)
    for answer in (own, lent):
        AIRequestFactory(
            conversation_id=talk_.pk,
            message_id=answer.pk,
            tool_calls={"tools": [{"name": "asked"}]},
            created_at=TIME_ZERO,
        )
    assert [[call.name for call in turn.tools] for turn in opened(talk_).turns] == [["own"], ["asked"]]


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (None, ""),
        ({}, ""),
        ([], ""),
        ("", ""),
        ("it broke", "it broke"),
        ({"type": "api_failure", "message": "no answer"}, "api_failure: no answer"),
        ({"message": "no answer"}, "no answer"),
        ({"error": "no answer"}, "no answer"),
        ({"code": 500}, "{'code': 500}"),
        (["a", "b"], "['a', 'b']"),
        (500, "500"),
        (True, "True"),
    ],
)
def test_an_error_is_told_in_words_whatever_shape_it_was_stored_in(stored, said):
    talk_ = begun()
    AnswerFactory(conversation=talk_, error=stored)
    assert opened(talk_).turns[0].error == said


@pytest.mark.parametrize(
    ("message", "said"), [("slow down", "rate_limit_exceeded: slow down"), (None, "rate_limit_exceeded: no message")]
)
def test_a_requests_error_is_told_before_the_messages(message, said):
    answer = talk(created_at=TIME_ZERO - HOUR)
    Message.objects.filter(pk=answer.pk).update(error={"type": "other"})
    AIRequestFactory(
        conversation_id=answer.conversation_id,
        message_id=answer.pk,
        error_type="rate_limit_exceeded",
        error_message=message,
        created_at=TIME_ZERO - HOUR,
    )
    assert opened(answer.conversation).turns[1].error == said


def test_an_answer_is_slow_by_what_was_usual_for_its_model_on_the_day_before():
    talk_ = begun()
    for n in range(20):
        AIRequestFactory(total_latency_ms=1000, created_at=talk_.created_at - (n + 1) * 60 * SECOND)
        AIRequestFactory(total_latency_ms=9000, model="slow", created_at=talk_.created_at - HOUR)
    for model, latency, slow in (
        ("gpt-5-mini", 1001, True),
        ("gpt-5-mini", 1000, False),
        ("slow", 8000, False),
        ("new", 9, False),
    ):
        answer = AnswerFactory(conversation=talk_)
        AIRequestFactory(
            conversation_id=talk_.pk, message_id=answer.pk, model=model, total_latency_ms=latency, created_at=TIME_ZERO
        )
        (turn,) = [each for each in opened(talk_).turns if each.message == answer]
        assert turn.is_slow is slow, model


def test_voices_and_annotations_stand_with_their_answer_in_order():
    answer = talk(created_at=TIME_ZERO - HOUR)
    late = FeedbackFactory(message_id=answer.pk, created_at=TIME_ZERO)
    early = FeedbackFactory(message_id=answer.pk, rating="up", created_at=TIME_ZERO - HOUR)
    second = AnnotationFactory(message_id=answer.pk, created_at=TIME_ZERO)
    first = AnnotationFactory(message_id=answer.pk, created_at=TIME_ZERO - HOUR)
    FeedbackFactory()
    thread = opened(answer.conversation)
    assert thread.turns[1].voices == [early, late]
    assert thread.turns[1].annotations == [first, second]
    assert [voice for _, voice in thread.voices] == [early, late]
    assert [each for _, each in thread.annotations] == [first, second]


def test_a_thread_knows_who_spoke_unless_the_account_is_gone():
    user = UserFactory()
    assert opened(begun(user_id=user.pk)).person == user
    assert opened(begun(user_id=uuid.uuid4())).person is None


def test_a_thread_knows_the_batch_that_its_data_came_from():
    run = BatchRunFactory(started_at=TIME_ZERO - 5 * HOUR)
    BatchRunFactory(started_at=TIME_ZERO)
    thread = opened(begun())
    assert thread.batch is not None
    assert thread.batch.run == run
