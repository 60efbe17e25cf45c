"""Thumbs, counted by when they were given and found by what they were given to."""

from __future__ import annotations

import datetime as dt
import random
import uuid

import pytest

from ai_tuning import feedback
from ai_tuning.feedback import RatingFigures
from ai_tuning.models import Feedback
from sigmasight.lib.periods import between, floor, named
from tests.conftest import TIME_ZERO
from tests.factories.ai_tuning import FeedbackFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

PERIODS = {
    "minutes": between(TIME_ZERO, TIME_ZERO + dt.timedelta(minutes=30)),
    "hours": named("24h", TIME_ZERO + dt.timedelta(minutes=25)),
    "days": named("30d", TIME_ZERO),
}


@pytest.mark.parametrize("name", PERIODS)
def test_ratings_are_what_the_thumbs_say(name):
    period, chance = PERIODS[name], random.Random(name)
    edges = [period.start, period.end, *period.buckets()]
    rows = Feedback.objects.bulk_create(
        Feedback(
            message_id=uuid.uuid4(),
            rating=chance.choice(["up", "down", "down"]),
            created_at=chance.choice(edges) - chance.choice([0, 1]) * dt.timedelta(microseconds=1)
            if chance.random() < 0.3
            else period.start + (2 * chance.random() - 0.5) * period.span,
        )
        for _ in range(300)
    )
    inside = [row for row in rows if period.start <= row.created_at < period.end]
    seen = feedback.ratings_by_bucket(period)
    assert [at for at, _ in seen] == period.buckets()
    for at, figures in seen:
        own = [row.rating for row in inside if floor(row.created_at, period.bucket) == at]
        assert figures == RatingFigures(own.count("up"), own.count("down"))
    total = feedback.ratings(period)
    assert (total.up, total.total) == ([row.rating for row in inside].count("up"), len(inside))
    assert total.down_share == pytest.approx(total.down / len(inside))


def test_without_thumbs_there_is_no_share():
    figures = feedback.ratings(PERIODS["days"])
    assert figures == RatingFigures(0, 0)
    assert figures.down_share is None


def test_rated_messages_come_the_newest_thumb_first_and_no_more_than_asked_for():
    rows = [FeedbackFactory(created_at=TIME_ZERO + dt.timedelta(seconds=n)) for n in range(5)]
    FeedbackFactory(rating="up", created_at=TIME_ZERO)
    FeedbackFactory(created_at=TIME_ZERO - dt.timedelta(microseconds=1))
    newest = [row.message_id for row in reversed(rows)]
    assert feedback.rated_messages_since(TIME_ZERO, "down", limit=10) == newest
    assert feedback.rated_messages_since(TIME_ZERO, "down", limit=2) == newest[:2]


def test_voices_are_told_apart_by_message_the_oldest_first():
    one, other = uuid.uuid4(), uuid.uuid4()
    late = FeedbackFactory(message_id=one, created_at=TIME_ZERO)
    early = FeedbackFactory(message_id=one, rating="up", created_at=TIME_ZERO - dt.timedelta(days=1))
    alone = FeedbackFactory(message_id=other)
    assert feedback.voices([one, other, uuid.uuid4()]) == {one: [early, late], other: [alone]}
    assert feedback.voices([]) == {}
