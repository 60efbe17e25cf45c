"""What people said of answers (metro)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connections
from django.db.models.expressions import RawSQL
from psycopg import sql

from activity.models import Message
from activity.querysets import among
from ai_tuning.models import Feedback
from sigmasight.lib.pagination import Cursor
from sigmasight.lib.periods import Period


@dataclass(frozen=True, slots=True)
class RatingFigures:
    up: int
    down: int

    @property
    def total(self) -> int:
        return self.up + self.down

    @property
    def down_share(self) -> float | None:
        """Thumbs-down as a share of all thumbs, 0 to 1; None for no thumbs."""
        return self.down / self.total if self.total else None


def ratings(period: Period) -> RatingFigures:
    """The period's thumbs, by when they were given."""
    return sum_up(ratings_by_bucket(period))


def sum_up(buckets: list[tuple[dt.datetime, RatingFigures]]) -> RatingFigures:
    """The thumbs of all buckets together."""
    return RatingFigures(sum(each.up for _, each in buckets), sum(each.down for _, each in buckets))


def ratings_by_bucket(period: Period) -> list[tuple[dt.datetime, RatingFigures]]:
    """The thumbs of every bucket of the period, in order, empty ones included."""
    return ratings_of([period])[0]


def ratings_of(periods: Sequence[Period]) -> list[list[tuple[dt.datetime, RatingFigures]]]:
    """The same of several periods, in one query."""
    of_one = """
        SELECT {number}, date_bin({step}, created_at, {origin}),
               count(*) FILTER (WHERE rating = 'up'), count(*) FILTER (WHERE rating = 'down')
          FROM ai_feedback WHERE created_at >= {start} AND created_at < {end} GROUP BY 2
    """
    found: list[dict[dt.datetime, RatingFigures]] = [{} for _ in periods]
    with connections["metro"].cursor() as cursor:
        cursor.execute(
            sql.SQL(" UNION ALL ").join(
                sql.SQL(of_one).format(**{k: sql.Literal(v) for k, v in {**each.sql(), "number": number}.items()})
                for number, each in enumerate(periods)
            )
        )
        for number, at, up, down in cursor.fetchall():
            found[number][at.astimezone(dt.UTC)] = RatingFigures(up, down)
    return [
        [(at, of.get(at, RatingFigures(0, 0))) for at in each.buckets()]
        for each, of in zip(periods, found, strict=True)
    ]


def rated_messages_since(start: dt.datetime, rating: str, limit: int) -> list[UUID]:
    """Messages that got this rating since then, the newest thumb first, at most `limit`."""
    rated = Feedback.objects.filter(created_at__gte=start).rated(rating).order_by("-created_at")
    return list(rated.values_list("message_id", flat=True)[:limit])


def rated_answers_of(user_id: UUID, rating: str) -> list[UUID]:
    """Those of a person's answers that got this rating, whenever."""
    found: list[UUID] = []
    for portion in answers_of(user_id):
        answers = RawSQL("SELECT unnest(%s::uuid[])", [portion])
        rated = Feedback.objects.filter(message_id__in=answers).rated(rating)
        found += rated.values_list("message_id", flat=True)
    return found


def voices(message_ids: Iterable[UUID]) -> dict[UUID, list[Feedback]]:
    """The feedback on these messages, by message, oldest first."""
    found: dict[UUID, list[Feedback]] = {}
    for feedback in Feedback.objects.for_messages(message_ids).order_by("created_at", "id"):
        found.setdefault(feedback.message_id, []).append(feedback)
    return found


@dataclass(frozen=True, slots=True)
class FeedbackFigures:
    """Thumbs, and how many of them came with a better text or with a comment (an empty one is none)."""

    up: int
    down: int
    with_edits: int
    with_comments: int

    @property
    def total(self) -> int:
        return self.up + self.down

    @property
    def positive_ratio(self) -> float:
        """Thumbs-up as a share of all thumbs, 0 to 1; 0 for no thumbs."""
        return round(self.up / self.total, 4) if self.total else 0.0

    def __add__(self, other: FeedbackFigures) -> FeedbackFigures:
        return FeedbackFigures(
            self.up + other.up,
            self.down + other.down,
            self.with_edits + other.with_edits,
            self.with_comments + other.with_comments,
        )


NO_FEEDBACK = FeedbackFigures(0, 0, 0, 0)
# So many ids go into one query.
IDS = 20_000
# Before the first feedback of all: PostgreSQL's own -infinity is beyond what Python reads.
EVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def figures(start: dt.datetime | None, end: dt.datetime) -> FeedbackFigures:
    """The feedback given in [start, end), everybody's; since ever where there is no start.

    Three counts over as many narrow indexes, none of which reads a row.
    """
    with connections["metro"].cursor() as cursor:
        cursor.execute(
            """
            SELECT (SELECT count(*) FROM ai_feedback WHERE rating = 'up' AND created_at >= %(start)s
                       AND created_at < %(end)s),
                   (SELECT count(*) FROM ai_feedback WHERE rating = 'down' AND created_at >= %(start)s
                       AND created_at < %(end)s),
                   (SELECT count(*) FROM ai_feedback WHERE rating IN ('up', 'down') AND edited_text > ''
                       AND created_at >= %(start)s AND created_at < %(end)s),
                   (SELECT count(*) FROM ai_feedback WHERE comment > '' AND created_at >= %(start)s
                       AND created_at < %(end)s)
            """,
            {"start": start or EVER, "end": end},
        )
        return FeedbackFigures(*cursor.fetchone())


def figures_of(user_id: UUID, start: dt.datetime, end: dt.datetime) -> FeedbackFigures:
    """The feedback on one person's answers, given in [start, end); zeros for somebody without messages.

    Feedback does not say whose it is: the answers they got come from gondola in one query, and are counted in metro
    IDS at a time.
    """
    found = NO_FEEDBACK
    for portion in answers_of(user_id):
        with connections["metro"].cursor() as cursor:
            cursor.execute(
                """
                SELECT count(*) FILTER (WHERE rating = 'up'), count(*) FILTER (WHERE rating = 'down'),
                       count(*) FILTER (WHERE edited_text > ''), count(*) FILTER (WHERE comment > '')
                  FROM ai_feedback WHERE message_id = ANY(%s::uuid[]) AND created_at >= %s AND created_at < %s
                """,
                [portion, start, end],
            )
            found += FeedbackFigures(*cursor.fetchone())
    return found


def answers_of(user_id: UUID) -> list[str]:
    """The ids of every answer in a person's conversations, as arrays of up to IDS that go to metro as they come:
    feedback is given to answers."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT array_agg(id)::text
              FROM (SELECT m.id, (row_number() OVER () - 1) / %s AS portion
                      FROM agent_conversations c JOIN agent_messages m ON m.conversation_id = c.id
                     WHERE c.user_id = %s AND m.role = 'assistant') AS answers
             GROUP BY portion
            """,
            [IDS, user_id],
        )
        return [portion for (portion,) in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Judged:
    """Feedback with what it was given to. Of a message that is gone, `user_id`, `conversation_id` and `text` are
    None; `text` is None too where the message has none."""

    feedback: Feedback
    user_id: UUID | None
    conversation_id: UUID | None
    text: str | None


def with_messages(rows: Iterable[Feedback]) -> list[Judged]:
    """Each with its message and its owner, in the order given: one query in gondola, however many."""
    given = list(rows)
    of = {
        pk: (user, conversation, text)
        for pk, user, conversation, text in Message.objects.filter(
            pk__in=among({row.message_id for row in given})
        ).values_list("pk", "conversation__user_id", "conversation_id", "content")
    }
    return [Judged(row, *of.get(row.message_id, (None, None, None))) for row in given]


@dataclass(frozen=True, slots=True)
class FeedbackPage:
    """A page of feedback, newest first, out of `total` that match. `next`: where the following page begins."""

    items: list[Judged]
    total: int
    next: Cursor | None


def negative(
    start: dt.datetime,
    end: dt.datetime,
    *,
    edited_only: bool = False,
    limit: int = 50,
    offset: int = 0,
    after: Cursor | None = None,
) -> FeedbackPage:
    """Thumbs-down of [start, end), newest first, with the answers they were given to. Three queries.

    `edited_only`: those that came with a better text. `after` is an alternative to `offset`.
    """
    found = Feedback.objects.created_in(start, end).rated(Feedback.Rating.DOWN)
    if edited_only:
        found = found.edited()
    total = found.count()
    if after is not None:
        found, offset = found.after(after), 0
    rows = list(found.newest_first()[offset : offset + limit + 1])
    shown = rows[:limit]
    following = Cursor(shown[-1].created_at, shown[-1].pk) if len(rows) > limit else None
    return FeedbackPage(with_messages(shown), total, following)
