"""The overview in words: what the figures beside it say, and nothing that chance alone would explain.

A change is worth a sentence where it is larger than twice its standard error: for counts as of a Poisson process,
for shares as of two independent samples (the normal approximation).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import reverse
from django.utils.http import urlencode

from activity import people
from activity.people import PeopleFigures
from ai_tuning.feedback import RatingFigures
from metrics.batch import LastBatch
from metrics.pages import Window, comparable
from sigmasight.lib.format import COUNT, delta, duration, milliseconds, percent
from sigmasight.lib.periods import Period
from sigmasight.lib.zones import here

STANDARD_ERRORS = 2.0
# Latency has no simple standard error: a quarter more or less is what people notice.
LATENCY_RATIO = 0.25
PEAK_RATIO = 1.5
PEAK_REQUESTS = 20
SENTENCES = 3


@dataclass(frozen=True, slots=True)
class Sentence:
    """A plain statement with the page that shows what it rests on; `mark` is the part of it that links there."""

    text: str
    href: str = ""
    mark: str = ""

    @property
    def parts(self) -> tuple[str, str, str]:
        """The words before the link, the link's own, and those after it."""
        before, mark, after = self.text.partition(self.mark) if self.mark else ("", self.text, "")
        return before, mark, after


def count_strength(now: int, before: int) -> float:
    """How many standard errors two counts are apart; 0 where there is nothing to tell apart."""
    return abs(now - before) / math.sqrt(now + before) if now + before else 0.0


def share_strength(now: int, of_now: int, before: int, of_before: int) -> float:
    """How many standard errors two shares are apart (pooled); 0 where either has no sample."""
    if not of_now or not of_before:
        return 0.0
    pooled = (now + before) / (of_now + of_before)
    error = math.sqrt(pooled * (1 - pooled) * (1 / of_now + 1 / of_before))
    return abs(now / of_now - before / of_before) / error if error else 0.0


def minutes(seconds: float) -> str:
    """A length of time to the minute, from two minutes on: a batch is not late by seconds."""
    return str(duration(60 * round(seconds / 60) if seconds >= 120 else seconds))


def in_words(window: Window, last: LastBatch | None) -> tuple[str, list[Sentence]]:
    """The headline, and the sentences after it."""
    now, before = window.summary, window.before
    ai_href = reverse("ai-metrics") + window.period.href
    if not now.requests:
        return "No AI requests in this period.", []
    said, bad = [], False
    rate = percent(now.error_rate)
    was = f" ({percent(before.error_rate)} before)" if before and before.error_rate is not None else ""
    said.append(Sentence(f"Error rate {rate}{was}.", f"{ai_href}#errors", str(rate)))
    if before and before.error_rate is not None and now.error_rate is not None:
        strength = share_strength(now.failed, now.requests, before.failed, before.requests)
        bad |= now.error_rate > before.error_rate and strength > STANDARD_ERRORS
    latency_before = comparable(before.latency if before else None)
    p95, earlier = now.latency.p95, latency_before.p95 if latency_before else None
    if p95 is not None and earlier and abs(p95 - earlier) / earlier > LATENCY_RATIO:
        word = "slower" if p95 > earlier else "faster"
        text = f"Answers are {word}: p95 {milliseconds(p95)}, {milliseconds(earlier)} before."
        said.append(Sentence(text, f"{ai_href}#latency", str(milliseconds(p95))))
        bad |= p95 > earlier
    if last is not None:
        sentence, failed = _batch(last)
        said.append(sentence)
        bad |= failed
    return ("Worth a look." if bad else "All quiet."), said


def _batch(last: LastBatch) -> tuple[Sentence, bool]:
    run = last.last.run
    href = reverse("batch-run", args=[run.pk])
    if run.status != "completed":
        word = "failed" if run.status == "failed" else "went through only in part"
        return Sentence(f"The last batch {word}.", href, word), True
    extra = last.extra_seconds
    if last.slow_phase and extra is not None and extra > 0:
        late = f"{minutes(extra)} longer"
        return Sentence(f"The last batch took {late} than usual: {last.slow_phase}.", href, late), False
    if extra is None:
        return Sentence("The last batch went through.", href, "went through"), False
    return Sentence("The last batch took its usual time.", href, "usual time"), False


def notable(
    period: Period,
    window: Window,
    humans: PeopleFigures,
    humans_before: PeopleFigures | None,
    ratings: RatingFigures | None,
    ratings_before: RatingFigures | None,
) -> list[Sentence]:
    """Up to three things about the period that are worth a sentence, the strongest first."""
    found = [
        *_about_ratings(period, ratings, ratings_before),
        *_about_people(period, humans, humans_before),
        *_about_latency(period, window),
        *_about_stops(period),
    ]
    found.sort(key=lambda pair: -pair[0])
    return [sentence for _, sentence in found[:SENTENCES]]


def _about_ratings(
    period: Period, now: RatingFigures | None, before: RatingFigures | None
) -> Iterator[tuple[float, Sentence]]:
    if now is None or before is None:
        return
    strength = share_strength(now.down, now.total, before.down, before.total)
    if strength > STANDARD_ERRORS:
        share = percent(now.down_share)
        text = f"Thumbs-down share {share} of {now.total:,} rated; {percent(before.down_share)} before."
        yield strength, Sentence(text, f"{reverse('conversations')}{period.href}&rating=down", str(share))


def _about_people(period: Period, now: PeopleFigures, before: PeopleFigures | None) -> Iterator[tuple[float, Sentence]]:
    if before is None:
        return
    counts = (
        (now.active, before.active, "people active", reverse("onboarding-events") + period.href),
        (now.signed_up, before.signed_up, "sign-ups", reverse("onboarding") + period.href),
    )
    for count, was, label, href in counts:
        if count is None or was is None:
            continue
        strength = count_strength(count, was)
        if strength > STANDARD_ERRORS and was:
            change = delta(count, was)
            text = f"{COUNT.show(count)} {label}, {change.arrow} {change.change}; {COUNT.show(was)} before."
            yield strength, Sentence(text, href, str(COUNT.show(count)))


def _about_latency(period: Period, window: Window) -> Iterator[tuple[float, Sentence]]:
    typical = window.summary.latency.p95
    peaks = [bucket for bucket in window.buckets if bucket.p95 is not None and bucket.requests >= PEAK_REQUESTS]
    if not peaks or not typical:
        return
    peak = max(peaks, key=lambda bucket: bucket.p95 or 0.0)
    height = (peak.p95 or 0.0) / typical
    if height > PEAK_RATIO:
        at = f"on {peak.at.day} {peak.at:%b}" if period.bucket == "day" else f"at {here(peak.at):%H:%M}"
        mark = f"{milliseconds(peak.p95)} {at}"
        text = f"p95 rose to {mark}; over the whole period it is {milliseconds(typical)}."
        yield 2 * height, Sentence(text, reverse("ai-metrics") + period.bucket_href(peak.at), mark)


def _about_stops(period: Period) -> Iterator[tuple[float, Sentence]]:
    for stop in people.what_stops_people(period, limit=1):
        who = f"{COUNT.show(stop.people)} {'person' if stop.people == 1 else 'people'}"
        at = here(stop.last_at)
        last = f"{at:%H:%M}" if period.bucket != "day" else f"{at.day} {at:%b %H:%M}"
        href = f"{reverse('onboarding-events')}{period.href}&{urlencode({'error': stop.error_code})}"
        yield 1.0, Sentence(f"{who} met {stop.error_code}, last {last}.", href, who)
