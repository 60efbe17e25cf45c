"""The morning question, "is everything all right?": figures of every room on one page, and what they say in words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from django.db import OperationalError, connections
from django.urls import reverse
from django.utils import timezone

from activity import people
from activity.people import PeopleBucket, PeopleFigures
from ai_tuning import feedback, review
from ai_tuning.feedback import RatingFigures
from ai_tuning.review import Waiting
from metrics import batch, pages
from metrics.batch import LastBatch
from metrics.pages import Window
from sigmasight.lib.cards import Card, card
from sigmasight.lib.charts import tiny_bars
from sigmasight.lib.format import COUNT, SECONDS, SHARE, age, delta, duration, milliseconds, percent
from sigmasight.lib.periods import Period

# A share that moved by less is as usual, in words; a figure's own noise is larger.
POINTS_WORTH_A_WORD = 0.005
RATIO_WORTH_A_WORD = 0.25


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
class Sentence:
    """A plain statement with the page that shows what it rests on."""

    text: str
    href: str = ""


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
    humans = _people(period)
    metro = _metro(period)
    last = batch.last_batch()
    headline, said = _in_words(window, last)
    return Overview(
        _cards(period, window, humans, metro, last),
        headline,
        said,
        metro is None,
        window,
        last,
        _notable(period, window, humans, metro),
    )


def _people(period: Period) -> PeopleWindow:
    return PeopleWindow(
        people.figures(period),
        people.by_bucket(period),
        people.figures(period.previous) if period.compare else None,
        people.by_bucket(period.previous) if period.compare else [],
    )


def _metro(period: Period) -> MetroWindow | None:
    try:
        return MetroWindow(
            feedback.ratings(period),
            feedback.ratings_by_bucket(period),
            feedback.ratings(period.previous) if period.compare else None,
            review.waiting(),
        )
    except OperationalError:
        connections["metro"].close()
        return None


def _cards(
    period: Period, window: Window, humans: PeopleWindow, metro: MetroWindow | None, last: LastBatch | None
) -> list[Card]:
    now = timezone.now()
    fresh = age(window.summary.last_at, now) if window.summary.last_at else ""
    compare = period.compare
    ai_href = f"{reverse('ai-metrics')}?period={period.key}"
    before = humans.before
    raw_users = f"{reverse('admin:activity_user_changelist')}"
    requests, errors, latency, first, *_ = pages.request_cards(window)
    shared: dict[str, Any] = {"compare": compare}
    cards = [
        card(
            "People active",
            humans.now.active,
            before.active if before else None,
            values=humans.series("active"),
            earlier=humans.previous("active"),
            sub=f"of {COUNT.show(humans.now.total)}",
            href=reverse("admin:activity_event_changelist"),
            **shared,
        ),
        card(
            "Sign-ups",
            humans.now.signed_up,
            before.signed_up if before else None,
            values=humans.series("signed_up"),
            earlier=humans.previous("signed_up"),
            href=raw_users,
            **shared,
        ),
        card(
            "Conversion",
            humans.now.conversion,
            before.conversion if before else None,
            unit=SHARE,
            sub="sign-up to portfolio",
            values=[b.with_portfolio / b.signed_up if b.signed_up else None for b in humans.buckets],
            earlier=[b.with_portfolio / b.signed_up if b.signed_up else None for b in humans.earlier],
            exactness=f"exact, of {humans.now.signed_up:,}",
            href=raw_users,
            **shared,
        ),
        _led(requests, ai_href, name="AI requests"),
        _led(errors, f"{ai_href}#errors"),
        _led(latency, f"{ai_href}#latency"),
        _led(first, f"{ai_href}#latency"),
        _led(pages.request_cards(window)[4], f"{ai_href}#tokens"),
    ]
    cards += _metro_cards(period, metro, now)
    cards += [_batch_card(last, now), _lag_card(window, fresh)]
    return cards


def _led(drawn: Card, href: str, name: str = "") -> Card:
    return Card(
        name or drawn.name,
        drawn.value,
        drawn.sub,
        href,
        drawn.delta,
        drawn.tone,
        drawn.spark,
        drawn.exactness,
        drawn.age,
    )


def _metro_cards(period: Period, metro: MetroWindow | None, now: dt.datetime) -> list[Card]:
    href = f"{reverse('tuning')}?period={period.key}&rating=down"
    if metro is None:
        return [
            card("Thumbs-down share", None, note="metro is away", exactness="", href=href),
            card("To review", None, note="metro is away", exactness=""),
        ]
    values = [figures.down_share for _, figures in metro.buckets]
    waiting = metro.waiting
    return [
        card(
            "Thumbs-down share",
            metro.now.down_share,
            metro.before.down_share if metro.before else None,
            unit=SHARE,
            compare=period.compare,
            sub=f"of {COUNT.show(metro.now.total)} rated",
            values=values,
            href=href,
            exactness="exact, of those who rated",
        ),
        card(
            "To review",
            waiting.unjudged,
            sub="thumbs-down, 30 d",
            note=f"oldest {age(waiting.oldest, now)}" if waiting.oldest else "nothing waits",
            href=f"{reverse('tuning')}?period=30d&rating=down",
        ),
    ]


def _batch_card(last: LastBatch | None, now: dt.datetime) -> Card:
    href = reverse("admin:metrics_batchrun_changelist")
    if last is None:
        return card("Last batch", None, note="none has ended yet", exactness="", href=href)
    run, extra = last.last.run, last.extra_seconds
    note, tone = f"{run.status} {run.completed_at:%d %b %H:%M}", ""
    if run.status != "completed":
        tone = "bad" if run.status == "failed" else "warn"
    elif last.slow_phase:
        note, tone = f"+{duration(last.slow_phase_extra)}: {last.slow_phase}", "warn"
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


def _lag_card(window: Window, fresh: str) -> Card:
    return Card(
        "Newest request",
        SECONDS.show((timezone.now() - window.summary.last_at).total_seconds())
        if window.summary.last_at
        else card("", None).value,
        "ago",
        f"{reverse('ai-metrics')}#requests",
        "recording" if window.summary.last_at else "none in this period",
        "",
        None,
        "live",
        "now",
    )


def _in_words(window: Window, last: LastBatch | None) -> tuple[str, list[Sentence]]:
    """The headline and the sentences after it. Says only what the figures beside it say."""
    now, before = window.summary, window.before
    ai_href = f"{reverse('ai-metrics')}?period={window.period.key}"
    said, bad = [], False
    if not now.requests:
        return "No AI requests in this period.", []
    rate, was = now.error_rate or 0.0, before.error_rate if before else None
    usual = f" ({percent(was)} before)" if was is not None else ""
    said.append(Sentence(f"Error rate {percent(rate)}{usual}.", f"{ai_href}#errors"))
    bad |= was is not None and rate - was > POINTS_WORTH_A_WORD
    p95, earlier = now.latency.p95, before.latency.p95 if before else None
    if p95 is not None and earlier and abs(p95 - earlier) / earlier > RATIO_WORTH_A_WORD:
        slower = "slower" if p95 > earlier else "faster"
        said.append(
            Sentence(
                f"Answers {slower}: p95 {milliseconds(p95)}, {milliseconds(earlier)} before.", f"{ai_href}#latency"
            )
        )
        bad |= p95 > earlier
    if last is not None:
        run, href = last.last.run, reverse("admin:metrics_batchrun_change", args=[last.last.run.pk])
        if run.status != "completed":
            bad = True
            said.append(Sentence(f"The last batch {'failed' if run.status == 'failed' else 'was partial'}.", href))
        elif last.slow_phase:
            said.append(
                Sentence(f"Last batch {duration(last.extra_seconds)} later than usual: {last.slow_phase}.", href)
            )
        else:
            said.append(Sentence("The last batch went through in its usual time.", href))
    return ("Worth a look." if bad else "All quiet."), said


def _notable(period: Period, window: Window, humans: PeopleWindow, metro: MetroWindow | None) -> list[Sentence]:
    """Up to three changes against the period before that are worth a sentence, the strongest first."""
    found: list[tuple[float, Sentence]] = []
    if metro and metro.before and metro.before.down_share is not None and metro.now.down_share is not None:
        moved = metro.now.down_share - metro.before.down_share
        if abs(moved) > POINTS_WORTH_A_WORD:
            text = (
                f"Thumbs-down share {percent(metro.now.down_share)} of {metro.now.total:,} rated, "
                f"{percent(metro.before.down_share)} before."
            )
            found.append((abs(moved) * 20, Sentence(text, f"{reverse('tuning')}?period={period.key}&rating=down")))
    if humans.before:
        for name, label in (("active", "people active"), ("signed_up", "sign-ups")):
            now, was = getattr(humans.now, name), getattr(humans.before, name)
            if was and abs(now - was) / was > 0.05:
                change = delta(now, was)
                text = f"{COUNT.show(now)} {label}, {change.arrow} {change.change}; {COUNT.show(was)} before."
                view = "activity_event" if name == "active" else "activity_user"
                found.append((abs(now - was) / was, Sentence(text, reverse(f"admin:{view}_changelist"))))
    peaks = [bucket for bucket in window.buckets if bucket.p95 is not None and bucket.requests >= 20]
    typical = window.summary.latency.p95
    if peaks and typical:
        peak = max(peaks, key=lambda bucket: bucket.p95 or 0)
        if (peak.p95 or 0) > 1.5 * typical:
            at = f"{peak.at:%H:%M}" if period.bucket != "day" else f"{peak.at.day} {peak.at:%b}"
            text = f"p95 rose to {milliseconds(peak.p95)} at {at}; it is {milliseconds(typical)} over the whole period."
            found.append(
                ((peak.p95 or 0) / typical, Sentence(text, reverse("ai-metrics") + period.bucket_href(peak.at)))
            )
    stops = people.what_stops_people(period, limit=1)
    if stops:
        text = f"{COUNT.show(stops[0].people)} people met {stops[0].error_code}, last at {stops[0].last_at:%H:%M}."
        href = f"{reverse('admin:activity_event_changelist')}?error_code={stops[0].error_code}"
        found.append((0.5, Sentence(text, href)))
    found.sort(key=lambda pair: -pair[0])
    return [sentence for _, sentence in found[:3]]
