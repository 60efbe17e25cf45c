"""What waits for an admin: thumbs-down of thirty days that nobody has judged, and judgements nobody has reviewed."""

from __future__ import annotations

import datetime as dt
import random
import uuid

import pytest
import time_machine

from ai_tuning import review
from ai_tuning.models import Annotation, Feedback
from ai_tuning.review import Waiting
from tests.conftest import TIME_ZERO
from tests.factories.ai_tuning import AnnotationFactory, FeedbackFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

DAY = dt.timedelta(days=1)


def test_nothing_waits_where_nobody_complained():
    FeedbackFactory(rating="up")
    assert review.waiting() == Waiting(0, None, 0)


def test_the_queue_is_what_the_rows_say():
    chance = random.Random(3)
    messages = [uuid.uuid4() for _ in range(40)]
    thumbs = Feedback.objects.bulk_create(
        Feedback(
            message_id=chance.choice(messages),
            rating=chance.choice(["up", "down"]),
            created_at=TIME_ZERO - chance.random() * 45 * DAY,
        )
        for _ in range(120)
    )
    judged = Annotation.objects.bulk_create(
        Annotation(
            message_id=message,
            admin_user_id=uuid.uuid4(),
            annotation_type="flag",
            content="x",
            status=chance.choice(["pending", "reviewed", "applied"]),
        )
        for message in chance.sample(messages, 12)
    )
    done = {row.message_id for row in judged}
    open_ = [
        row
        for row in thumbs
        if row.rating == "down" and row.created_at >= TIME_ZERO - 30 * DAY and row.message_id not in done
    ]
    assert review.waiting(TIME_ZERO) == Waiting(
        len({row.message_id for row in open_}),
        min(row.created_at for row in open_),
        sum(row.status == "pending" for row in judged),
    )


def test_two_thumbs_down_on_one_answer_are_one_to_judge():
    message = uuid.uuid4()
    FeedbackFactory(message_id=message, created_at=TIME_ZERO - DAY)
    FeedbackFactory(message_id=message, created_at=TIME_ZERO)
    assert review.waiting(TIME_ZERO) == Waiting(1, TIME_ZERO - DAY, 0)


@pytest.mark.parametrize("status", Annotation.Status.values)
def test_any_judgement_takes_an_answer_out_of_the_queue(status):
    thumb = FeedbackFactory(created_at=TIME_ZERO)
    AnnotationFactory(message_id=thumb.message_id, status=status)
    assert review.waiting(TIME_ZERO) == Waiting(0, None, int(status == "pending"))


def test_a_thumb_waits_for_thirty_days_to_the_microsecond():
    FeedbackFactory(created_at=TIME_ZERO - 30 * DAY)
    FeedbackFactory(created_at=TIME_ZERO - 30 * DAY - dt.timedelta(microseconds=1))
    assert review.waiting(TIME_ZERO).unjudged == 1
    with time_machine.travel(TIME_ZERO, tick=False):
        assert review.waiting().unjudged == 1


def test_pending_judgements_wait_whatever_their_age():
    AnnotationFactory(created_at=TIME_ZERO - 400 * DAY)
    assert review.waiting(TIME_ZERO).pending == 1
