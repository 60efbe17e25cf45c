"""Feedback as the page of it lists it: narrowed, with the answers it was given to, and how long it waits for an admin.

A thumbs-down is *reviewed* once an admin has annotated its answer, whenever that was.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from django.db import connections
from django.db.models import Exists, OuterRef
from psycopg import sql

from activity.people import people
from ai_tuning.feedback import Judged, answers_of, with_messages
from ai_tuning.models import Annotation, Feedback
from ai_tuning.querysets import FeedbackQuerySet
from sigmasight.lib.pagination import Cursor
from sigmasight.lib.periods import Period
from sigmasight.lib.worddiff import Segment, word_diff

SHOWN = 25
# Rows that are read at once for a file.
CHUNK = 500
# How long a thumbs-down may have waited, in days, from the newest on; None: longer than all of these.
AGES: tuple[tuple[str, float, float | None], ...] = (
    ("under a day", 0, 1),
    ("1 to 3 days", 1, 3),
    ("3 to 7 days", 3, 7),
    ("7 to 30 days", 7, 30),
    ("over 30 days", 30, None),
)


@dataclass(frozen=True, slots=True)
class VoiceFilter:
    """`rating`: "up", "down" or "" for both; `review`: "open" (thumbs-down that nobody annotated), "done" or "";
    `text`: "edited" or "commented" only; `user_id`: on the answers of one person only."""

    rating: str = ""
    review: str = ""
    text: str = ""
    user_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Voice:
    """One piece of feedback. `is_reviewed`: an admin has annotated the answer. `name`: whose answer it was, "" where
    nobody knows any more. `diff`: from the answer to the text the person would have wanted; empty where they wrote
    none, or the answer is gone."""

    judged: Judged
    name: str
    is_reviewed: bool
    diff: list[Segment]


@dataclass(frozen=True, slots=True)
class VoicePage:
    """`total`: how many pass the filters, exact. `oldest_first`: in which order they stand."""

    rows: list[Voice]
    total: int
    next: Cursor | None
    oldest_first: bool


@dataclass(frozen=True, slots=True)
class VoiceFigures:
    """Thumbs of a period. `edited`, `commented`: with a better text, with a comment. `reviewed`: of the thumbs-down,
    those that an admin has dealt with; `median_wait`: seconds from those thumbs to the first annotation after them,
    None for none. `oldest`: the first thumbs-down that still waits; `waiting`: how many do, by AGES."""

    up: int
    down: int
    edited: int
    commented: int
    reviewed: int
    median_wait: float | None
    oldest: dt.datetime | None
    waiting: tuple[int, ...]

    @property
    def total(self) -> int:
        return self.up + self.down

    @property
    def down_share(self) -> float | None:
        """Of all thumbs, 0 to 1; None for none."""
        return self.down / self.total if self.total else None

    @property
    def reviewed_share(self) -> float | None:
        """Of the thumbs-down, 0 to 1; None for none."""
        return self.reviewed / self.down if self.down else None

    @property
    def open(self) -> int:
        """Thumbs-down that nobody has dealt with."""
        return self.down - self.reviewed


def figures(period: Period, now: dt.datetime) -> VoiceFigures:
    """The period's figures, in one query."""
    bounds = [now - dt.timedelta(days=days) for _, _, days in AGES if days is not None]
    younger_than = sql.SQL(", ").join(
        sql.SQL("count(*) FILTER (WHERE any_at IS NULL AND created_at > {})").format(sql.Literal(bound))
        for bound in bounds
    )
    statement = sql.SQL("""
        WITH down AS MATERIALIZED (
            SELECT f.created_at, min(a.created_at) AS any_at,
                   min(a.created_at) FILTER (WHERE a.created_at >= f.created_at) AS after_at
              FROM ai_feedback f LEFT JOIN ai_admin_annotations a ON a.message_id = f.message_id
             WHERE f.rating = 'down' AND f.created_at >= {start} AND f.created_at < {end}
             GROUP BY f.id
        )
        SELECT (SELECT count(*) FROM ai_feedback f WHERE f.rating = 'up'
                   AND f.created_at >= {start} AND f.created_at < {end}),
               count(*),
               (SELECT count(*) FROM ai_feedback f WHERE f.rating IN ('up', 'down') AND f.edited_text > ''
                   AND f.created_at >= {start} AND f.created_at < {end}),
               (SELECT count(*) FROM ai_feedback f WHERE f.comment > ''
                   AND f.created_at >= {start} AND f.created_at < {end}),
               count(any_at),
               (percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM after_at - created_at)))::float8,
               min(created_at) FILTER (WHERE any_at IS NULL), {younger_than}
          FROM down
    """)
    with connections["metro"].cursor() as cursor:
        cursor.execute(
            statement.format(start=sql.Literal(period.start), end=sql.Literal(period.end), younger_than=younger_than)
        )
        up, down, edited, commented, reviewed, wait, oldest, *younger = cursor.fetchone()
    so_far = [0, *younger, down - reviewed]
    waiting = [after - before for before, after in pairwise(so_far)]
    return VoiceFigures(up, down, edited, commented, reviewed, wait, oldest, tuple(waiting))


def narrowed(period: Period, only: VoiceFilter) -> FeedbackQuerySet:
    """The feedback of a period that passes a filter."""
    found = Feedback.objects.created_in(period.start, period.end)
    if only.rating:
        found = found.rated(only.rating)
    if only.text == "edited":
        found = found.edited()
    elif only.text == "commented":
        found = found.commented()
    if only.review:
        judged = Exists(Annotation.objects.filter(message_id=OuterRef("message_id")))
        found = found.rated(Feedback.Rating.DOWN).filter(judged if only.review == "done" else ~judged)
    if only.user_id is not None:
        found = found.on_answers(answers_of(only.user_id))
    return found


def voice_page(period: Period, only: VoiceFilter, after: Cursor | None = None, size: int = SHOWN) -> VoicePage:
    """A page of feedback: newest first, but what waits for review oldest first."""
    found = narrowed(period, only)
    oldest_first = only.review == "open"
    total = found.count()
    ordered = found.oldest_first() if oldest_first else found.newest_first()
    if after is not None:
        ordered = ordered.later_than(after) if oldest_first else ordered.after(after)
    rows = list(ordered[: size + 1])
    shown = rows[:size]
    following = Cursor(shown[-1].created_at, shown[-1].pk) if len(rows) > size else None
    return VoicePage(_voices(shown), total, following, oldest_first)


def every_voice(period: Period, only: VoiceFilter) -> Iterator[Voice]:
    """All that pass, in the page's order, read CHUNK at a time."""
    after: Cursor | None = None
    while True:
        page = voice_page(period, only, after, CHUNK)
        yield from page.rows
        if page.next is None:
            return
        after = page.next


def _voices(rows: list[Feedback]) -> list[Voice]:
    given = with_messages(rows)
    known = people(each.user_id for each in given if each.user_id)
    annotated = set(
        Annotation.objects.for_messages({row.message_id for row in rows}).values_list("message_id", flat=True)
    )
    found = []
    for each in given:
        person = known.get(each.user_id) if each.user_id else None
        wanted = each.feedback.edited_text or ""
        diff = word_diff(each.text, wanted) if wanted and each.text else []
        name = (person.full_name or person.email) if person else ""
        found.append(Voice(each, name, each.feedback.message_id in annotated, diff))
    return found
