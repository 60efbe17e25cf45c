"""The morning question, "is everything all right?": figures of every room on one page, and what they say in words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

from django.urls import reverse
from django.utils import timezone

from activity.people import PeopleBucket, PeopleFigures, PeopleLook
from admin_portal import words
from admin_portal.words import Sentence
from ai_tuning import feedback, review
from ai_tuning.feedback import RatingFigures
from ai_tuning.review import Waiting
from metrics import batch, pages
from metrics.batch import LastBatch
from metrics.pages import Window
from sigmasight.lib.away import reaching
from sigmasight.lib.cards import Card, card
from sigmasight.lib.charts import tiny_bars
from sigmasight.lib.format import COUNT, SECONDS, SHARE, age, duration
from sigmasight.lib.periods import Period, is_covered


@dataclass(frozen=True, slots=True)
class PeopleWindow:
    now: PeopleFigures
    buckets: list[PeopleBucket]
    before: PeopleFigures | None
    earlier: list[PeopleBucket]

    def series(self, name: str) -> list[float | None]:
        return [getattr(bucket, name) for bucket in self.buckets]

    def previous(self, name: str) -> list[float | None]:
        return [getattr(bucket, name) for bucket in self.earlier]


@dataclass(frozen=True, slots=True)
class MetroWindow:
    """What metro knows; None in its place where metro is away."""

    now: RatingFigures
    buckets: list[tuple[dt.datetime, RatingFigures]]
    before: RatingFigures | None
    waiting: Waiting


@dataclass(frozen=True, slots=True)
class Overview:
    cards: list[Card]
    headline: str
    said: list[Sentence]
    metro_away: bool
    window: Window
    last_batch: LastBatch | None
    notable: list[Sentence] = field(default_factory=list)


def overview(period: Period) -> Overview:
    """Everything the page needs, in a fixed number of queries."""
    window = pages.look_at(period)
    period = window.period
    humans = _people(period)
    metro = _metro(period)
    last = batch.last_batch()
    headline, said = words.in_words(window, last)
    return Overview(
        _cards(period, window, humans, metro, last),
        headline,
        said,
        metro is None,
        window,
        last,
        words.notable(
            period, window, humans.now, humans.before, metro.now if metro else None, metro.before if metro else None
        ),
    )


def _people(period: Period) -> PeopleWindow:
    look, look_back = PeopleLook(period), PeopleLook(period.previous)
    buckets = look.by_bucket()
    earlier = look_back.by_bucket() if period.compare else []
    if not is_covered([each.active for each in buckets], [each.active for each in earlier]):
        earlier = []
    before = look_back.figures() if earlier else None
    return PeopleWindow(look.figures(), buckets, before, earlier)


def _metro(period: Period) -> MetroWindow | None:
    with reaching("metro"):
        buckets = feedback.ratings_by_bucket(period)
        earlier = feedback.ratings_by_bucket(period.previous) if period.compare else []
        if not is_covered([each.total for _, each in buckets], [each.total for _, each in earlier]):
            earlier = []
        before = feedback.sum_up(earlier) if earlier else None
        return MetroWindow(feedback.sum_up(buckets), buckets, before, review.waiting())
    return None


def _cards(
    period: Period, window: Window, humans: PeopleWindow, metro: MetroWindow | None, last: LastBatch | None
) -> list[Card]:
    now = timezone.now()
    here = reverse("ai-metrics") + period.href
    requests, errors, latency, first, tokens, _ = pages.request_cards(window)
    return [
        *_people_cards(humans, compare=period.compare, hourly=period.bucket != "day"),
        replace(requests, name="AI requests", href=here + requests.href),
        replace(errors, href=here + errors.href),
        replace(latency, href=here + latency.href),
        replace(first, href=here + first.href),
        replace(tokens, href=here + tokens.href),
        *_metro_cards(period, metro, now),
        _batch_card(last, now),
        _lag_card(window, now),
    ]


def _people_cards(humans: PeopleWindow, *, compare: bool, hourly: bool) -> list[Card]:
    now, before = humans.now, humans.before
    users = reverse("admin:activity_user_changelist")
    counted = age(now.signed_up_as_of, timezone.now()) if now.signed_up_as_of else ""
    return [
        card(
            "People active",
            now.active,
            before.active if before else None,
            compare=compare,
            sub="" if now.total is None else f"of {COUNT.show(now.total)}",
            values=humans.series("active"),
            earlier=humans.previous("active"),
            exactness=pages.bound_of(now.who),
            href=reverse("admin:activity_event_changelist"),
            age="now",
        ),
        card(
            "Sign-ups",
            now.signed_up,
            before.signed_up if before else None,
            compare=compare,
            values=humans.series("signed_up"),
            earlier=humans.previous("signed_up"),
            note="" if now.signed_up is not None else "not counted yet",
            href=users,
            age=counted,
        ),
        card(
            "Conversion",
            now.conversion,
            before.conversion if before else None,
            unit=SHARE,
            compare=compare,
            sub="to portfolio",
            # An hour's share of two or three sign-ups is noise: drawn by day only.
            values=[] if hourly else humans.series("conversion"),
            earlier=humans.previous("conversion"),
            exactness=f"exact, of {now.cohort:,}",
            href=users,
            age=counted,
        ),
    ]


def _metro_cards(period: Period, metro: MetroWindow | None, now: dt.datetime) -> list[Card]:
    tuning = reverse("tuning")
    if metro is None:
        return [
            card("Thumbs-down", None, note="metro is away", exactness="", href=tuning),
            card("To review", None, note="metro is away", exactness="", href=tuning),
        ]
    waiting = metro.waiting
    return [
        card(
            "Thumbs-down",
            metro.now.down_share,
            metro.before.down_share if metro.before else None,
            unit=SHARE,
            compare=period.compare,
            sub=f"of {COUNT.show(metro.now.total)} rated",
            values=[figures.down_share for _, figures in metro.buckets] if period.bucket == "day" else [],
            href=f"{tuning}{period.href}&rating=down",
            age="now",
        ),
        card(
            "To review",
            waiting.unjudged,
            sub="in 30 days",
            note=f"oldest {age(waiting.oldest, now)}" if waiting.oldest else "nothing waits",
            href=f"{tuning}?period=30d&rating=down",
            age="now",
        ),
    ]


def _batch_card(last: LastBatch | None, now: dt.datetime) -> Card:
    href = reverse("batch")
    if last is None:
        return card("Last batch", None, note="none has ended yet", exactness="", href=href)
    run, extra = last.last.run, last.extra_seconds
    note, tone = f"{run.status} {run.completed_at:%d %b %H:%M}", ""
    if run.status != "completed":
        tone = "bad" if run.status == "failed" else "warn"
    elif last.slow_phase:
        note, tone = f"+{words.minutes(last.slow_phase_extra)}: {last.slow_phase}", "warn"
    elif extra is not None:
        note = f"usual {duration(last.usual_seconds)}"
    return Card(
        "Last batch",
        SECONDS.show(last.last.seconds or 0),
        f"ended {run.completed_at:%H:%M}",
        href,
        note,
        tone,
        tiny_bars(last.history, high=[len(last.history) - 1] if tone else []),
        "exact",
        age(run.completed_at, now),
    )


def _lag_card(window: Window, now: dt.datetime) -> Card:
    last_at = window.summary.last_at
    return card(
        "Newest request",
        (now - last_at).total_seconds() if last_at else None,
        unit=SECONDS,
        sub="ago",
        href=f"{reverse('ai-metrics')}{window.period.href}{'#requests' if last_at else ''}",
        note=f"{last_at:%H:%M:%S} UTC" if last_at else "none in this period",
        exactness="live",
        age="now",
    )
