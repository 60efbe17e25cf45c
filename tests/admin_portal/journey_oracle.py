"""A journey as plain Python has it: everything loaded, attributed, sorted and cut. Slow, and easy to believe."""

from __future__ import annotations

import datetime as dt
import random
import uuid

from activity.models import Conversation, Event, Message, Portfolio, User
from admin_portal.journeys import SESSION_GAP, journey
from ai_tuning.models import Annotation, Feedback
from metrics.models import AIRequest
from tests.conftest import TIME_ZERO
from tests.factories.activity import AnswerFactory, ConversationFactory, EventFactory, PortfolioFactory, UserFactory
from tests.factories.ai_tuning import AnnotationFactory, FeedbackFactory
from tests.factories.metrics import AIRequestFactory

NOBODY = uuid.UUID(int=7)


def at(minutes: float = 0, **span: float) -> dt.datetime:
    return TIME_ZERO + dt.timedelta(minutes=minutes, **span)


def event(user_id, minutes, event_type="chat.message_sent", **values):
    return EventFactory(user_id=user_id, created_at=at(minutes), event_type=event_type, **values)


def whole(user_id, limit=50, **options):
    """Every page, one after the other, the newest first."""
    pages, before = [], None
    while True:
        page = journey(user_id, before=before, limit=limit, **options)
        assert page is not None
        pages.append(page)
        before = page.next_cursor
        if before is None:
            return pages
        assert len(pages) < 2_000, "paging does not end"


def ids(pages) -> list[str]:
    return [step.id for page in pages for step in page.events]


def titles(page) -> list[str]:
    return [step.title for step in page.events]


RANKS = ["account", "event", "portfolio-connected", "conversation", "request", "feedback", "annotation"]
RANKS += ["portfolio-removed"]


def owned(events, user_id):
    """The person's events, and those without a user whose session's next identified event is theirs."""
    in_order = sorted(events, key=lambda each: (each.created_at, each.pk))
    for number, each in enumerate(in_order):
        owner = each.user_id or next(
            (later.user_id for later in in_order[number:] if later.session_id == each.session_id and later.user_id),
            None,
        )
        if owner == user_id and (each.user_id or each.session_id):
            yield each


def oracle(user_id, kinds=frozenset()):
    """(time, rank, id, kind, is error) of everything, newest first."""
    rows = [("account", "record", each, each.created_at, False) for each in User.objects.filter(pk=user_id)]
    for each in Portfolio.objects.filter(user_id=user_id):
        rows.append(("portfolio-connected", "record", each, each.created_at, False))
        if each.deleted_at:
            rows.append(("portfolio-removed", "record", each, each.deleted_at, False))
    events, asked = owned(Event.objects.all(), user_id), AIRequest.objects.filter(user_id=user_id)
    rows += [("event", "event", each, each.created_at, bool(each.error_code)) for each in events]
    rows += [("request", "request", each, each.created_at, bool(each.error_type)) for each in asked]
    theirs = list(Conversation.objects.filter(user_id=user_id))
    rows += [("conversation", "conversation", each, each.created_at, False) for each in theirs]
    said = set(Message.objects.filter(conversation__in=theirs, role="assistant").values_list("pk", flat=True))
    for name, model in (("feedback", Feedback), ("annotation", Annotation)):
        rows += [(name, name, each, each.created_at, False) for each in model.objects.filter(message_id__in=said)]
    placed = [(at, RANKS.index(name), row.pk, name, kind, failed) for name, kind, row, at, failed in rows]
    placed.sort(reverse=True)
    return [each for each in placed if not kinds or each[4] in kinds or (each[5] and "error" in kinds)]


def oracle_of_sessions(expected):
    """[start, end, steps] of each session, newest first; and the seconds before each entry, newest first."""
    sessions, seconds, last = [], [], None
    for moment, _, _, name, *_ in reversed(expected):
        seconds.append((moment - last).total_seconds() if last else None)
        if name == "annotation":
            continue
        if last is None or moment - last >= SESSION_GAP:
            sessions.append([moment, moment, 0])
        sessions[-1][1] = moment
        sessions[-1][2] += 1
        last = moment
    return sessions[::-1], seconds[::-1]


def joined(pages):
    """The pages' sessions, those that go on over a page's edge put together again."""
    sessions = []
    for each in (session for page in pages for session in page.sessions):
        if each.continues_later:
            sessions[-1][0] = each.start
            sessions[-1][2] += each.entries
        else:
            assert not sessions or not sessions[-1][3], "a session was to go on, and did not"
            sessions.append([each.start, each.end, each.entries, False])
        sessions[-1][3] = each.continues_earlier
    return [each[:3] for each in sessions]


def random_life(chance: random.Random):
    """Two people and nobody, on the same devices, within hours, often at the same instant."""
    people = [UserFactory(created_at=at(chance.choice([0, 0, 5]))).pk for _ in range(2)]
    moments = [at(minutes) for minutes in chance.sample(range(0, 400, 3), 14)]

    def when():
        return chance.choice(moments)

    for _ in range(chance.randrange(45)):
        EventFactory(
            user_id=chance.choice([people[0], people[0], people[1], None, None]),
            session_id=chance.choice(["s1", "s2", "s3", "", None]),
            error_code=chance.choice([None, None, "BAD"]),
            created_at=when(),
        )
    for user_id in people:
        for _ in range(chance.randrange(3)):
            PortfolioFactory(user_id=user_id, created_at=when(), deleted_at=chance.choice([None, when()]))
        for _ in range(chance.randrange(4)):
            conversation = ConversationFactory(user_id=user_id, created_at=moments[0])
            for _ in range(chance.randrange(4)):
                answer = AnswerFactory(conversation=conversation, created_at=moments[0])
                AIRequestFactory(
                    user_id=user_id,
                    message_id=answer.pk,
                    conversation_id=conversation.pk,
                    error_type=chance.choice([None, "api_failure"]),
                    created_at=when(),
                )
                for _ in range(chance.randrange(3)):
                    FeedbackFactory(message_id=answer.pk, created_at=moments[0] + (when() - TIME_ZERO))
                    AnnotationFactory(message_id=answer.pk, created_at=moments[0] + (when() - TIME_ZERO))
    return people[0]
