"""The morning question, "is everything all right?": figures of every room on one page, and what they say in words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

from django.urls import reverse
from django.utils import timezone

from activity.people import Activation, PeopleBucket, PeopleFigures, PeopleLook
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
from sigmasight.lib.zones import here


@dataclass(frozen=True, slots=True)
class PeopleWindow:
    now: PeopleFigures
    buckets: list[PeopleBucket]
    before: PeopleFigures | None
    earlier: list[PeopleBucket]
    activation: Activation | None
    activation_before: Activation | None

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
    activation_before = look_back.activation() if earlier else None
    return PeopleWindow(look.figures(), buckets, before, earlier, look.activation(), activation_before)


def _metro(period: Period) -> MetroWindow | None:
    with reaching("metro"):
        buckets, *more = feedback.ratings_of([period, period.previous] if period.compare else [period])
        earlier = more[0] if more else []
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
    requests, errors, latency, first, *_ = pages.request_cards(window)
    cost = pages.cost_card(window)
    return [
        *_people_cards(period, humans, now),
        replace(requests, name="AI requests", href=here + requests.href),
        replace(latency, href=here + latency.href),
        replace(errors, href=here + errors.href),
        replace(first, href=here + first.href),
        replace(cost, href=here + cost.href if cost.href.startswith("#") else cost.href),
        *_metro_cards(period, metro, now),
        _batch_card(last, now),
        _lag_card(window, now),
    ]


def _people_cards(period: Period, humans: PeopleWindow, now_is: dt.datetime) -> list[Card]:
    now, before = humans.now, humans.before
    onboarding, compare = reverse("onboarding") + period.href, period.compare
    # An hour's share of two or three sign-ups is noise: drawn by day only.
    daily = period.bucket == "day"
    counted = age(now.signed_up_as_of, now_is) if now.signed_up_as_of else ""
    came, came_before = humans.activation, humans.activation_before
    signed_up = "new: not counted yet" if now.signed_up is None else f"{COUNT.show(now.signed_up)} new"
    return [
        card(
            "People active",
            now.active,
            before.active if before else None,
            compare=compare,
            sub=signed_up,
            values=humans.series("active"),
            earlier=humans.previous("active"),
            exactness=pages.bound_of(now.who),
            href=reverse("onboarding-events") + period.href,
            age="now",
        ),
        card(
            "Activation",
            came.share if came else None,
            came_before.share if came_before else None,
            unit=SHARE,
            compare=compare,
            sub="to first chat",
            values=came.by_bucket if came and daily else (),
            earlier=came_before.by_bucket if came_before else (),
            note=_still_open(came.mature_at if came else None, came.window if came else None, now_is),
            exactness=f"exact, of {came.signed_in:,}" if came else "",
            href=f"{onboarding}&funnel=activation",
            age=age(came.as_of, now_is) if came and came.as_of else "",
        ),
        card(
            "Conversion",
            now.conversion,
            before.conversion if before else None,
            unit=SHARE,
            compare=compare,
            sub="to portfolio",
            values=humans.series("conversion") if daily else (),
            earlier=humans.previous("conversion"),
            note=_still_open(now.mature_at, now.window, now_is),
            exactness=f"exact, of {now.cohort:,}",
            href=onboarding,
            age=counted,
        ),
    ]


def _still_open(mature_at: dt.datetime | None, window: dt.timedelta | None, now: dt.datetime) -> str:
    """What stands in the delta's place as long as a share can only rise: held against one that is done, it would
    always look like a fall."""
    if mature_at is None or window is None or mature_at <= now:
        return ""
    return f"may rise: {duration(window.total_seconds())} to get there"


def _metro_cards(period: Period, metro: MetroWindow | None, now: dt.datetime) -> list[Card]:
    conversations = reverse("conversations")
    if metro is None:
        return [
            card("Thumbs-down", None, note="metro is away", exactness="", href=conversations),
            card("To review", None, note="metro is away", exactness="", href=conversations),
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
            href=f"{conversations}{period.href}&rating=down",
            age="now",
        ),
        card(
            "To review",
            waiting.unjudged,
            sub="in 30 d",
            note=f"oldest {age(waiting.oldest, now)}" if waiting.oldest else "nothing waits",
            href=f"{conversations}?period=30d&rating=down",
            age="now",
        ),
    ]


def _batch_card(last: LastBatch | None, now: dt.datetime) -> Card:
    href = reverse("batch")
    if last is None:
        return card("Last batch", None, note="none has ended yet", exactness="", href=href)
    run, extra = last.last.run, last.extra_seconds
    ended = here(run.completed_at or run.started_at)
    note, tone = f"{run.status} {ended:%d %b %H:%M}", ""
    if run.status != "completed":
        tone = "bad" if run.status == "failed" else "warn"
    elif last.slow_phase:
        note, tone = f"+{words.minutes(last.slow_phase_extra)}: {last.slow_phase}", "warn"
    elif extra is not None:
        note = f"usual {duration(last.usual_seconds)}"
    return Card(
        "Last batch",
        SECONDS.show(last.last.seconds or 0),
        f"ended {ended:%H:%M}",
        href,
        note,
        tone,
        tiny_bars(last.history, high=[len(last.history) - 1] if tone else []),
        "exact",
        age(run.completed_at, now),
    )


def _lag_card(window: Window, now: dt.datetime) -> Card:
    """How far the figures are behind: everything written by then is in them."""
    told = window.summary.provenance
    behind = max(0.0, (now - told.as_of).total_seconds()) if told.as_of else None
    last_at = window.summary.last_at
    return card(
        "Data behind",
        behind,
        unit=SECONDS,
        sub="" if told.as_of else "read as it is",
        href=reverse("retention"),
        note=f"newest request {age(last_at, now)}" if last_at else "no request in this period",
        tone="warn" if told.is_stale else "",
        exactness="late rows missing" if told.is_stale else "live",
        age="now",
    )
