"""One person in brief, above their timeline: who they are in words, how the AI serves them against everyone, what it
remembers, what admins said of their answers, their portfolios, and the batch runs of the time that is shown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from activity import journey, peoplelist
from activity.models import Portfolio, User
from activity.peoplelist import Onboarding
from admin_portal.words import Sentence
from ai_tuning.journey import newest_answers
from ai_tuning.person import Said, said_of
from metrics import ai
from metrics.figures import AIFilter, Percentiles, Summary
from sigmasight.lib.cards import Card, card
from sigmasight.lib.format import COUNT, MS, NBSP, SHARE, ago, count, milliseconds, percent
from sigmasight.lib.periods import between

LATELY = dt.timedelta(days=30)
# Everyone's figures of 30 days change little in so many seconds.
SECONDS = 300
# A latency so much worse than everyone's, of so many requests, is worth a word.
SLOWER, ENOUGH = 1.5, 5
PORTFOLIOS = 20


@dataclass(frozen=True, slots=True)
class Everyone:
    """All people's requests of the same 30 × 24 hours: shares 0 to 1, times in ms; None where nothing was measured."""

    requests: int
    error_rate: float | None
    p50: float | None
    p95: float | None
    first_p50: float | None
    first_p95: float | None


@dataclass(frozen=True, slots=True)
class Brief:
    """`said` None: metro is away. `portfolios`: up to PORTFOLIOS, the newest first, removed ones too; there are more
    where `has_more_portfolios`."""

    headline: str
    sentences: list[Sentence]
    cards: list[Card]
    said: Said | None
    portfolios: list[Portfolio]
    has_more_portfolios: bool


def brief(
    user_id: UUID,
    person: User | None,
    shared: dict[str, Any],
    *,
    metro_is_away: bool = False,
    now: dt.datetime | None = None,
) -> Brief:
    """All of it, in a fixed number of queries, whatever they did, and everyone's figures every SECONDS. `shared`: what
    their journey has looked up."""
    now = now or timezone.now()
    portfolios = journey.portfolios_of(user_id, shared)
    came = peoplelist.onboarding_of([person], now=now)[person.pk] if person else None
    mine = ai.summary(between(now - LATELY, now), AIFilter(user_id=user_id))
    everyone = _everyone(now)
    said = None if metro_is_away else said_of(user_id, newest_answers(user_id, shared), now - LATELY)
    headline = _headline(person, came, now)
    return Brief(
        headline,
        [*_stopped(user_id, came), *_served(mine, everyone), *_rated(user_id, said)],
        _cards(user_id, mine, everyone, said),
        said,
        portfolios[:PORTFOLIOS],
        len(portfolios) > PORTFOLIOS,
    )


def _everyone(now: dt.datetime) -> Everyone:
    key = "admin_portal.inbrief.everyone"
    known: Everyone | None = cache.get(key)
    if known is None:
        found = ai.summary(between(now - LATELY, now))
        known = Everyone(
            found.requests,
            found.error_rate,
            found.latency.p50,
            found.latency.p95,
            found.first_token.p50,
            found.first_token.p95,
        )
        cache.set(key, known, SECONDS)
    return known


# ---- in words ----


def _headline(person: User | None, came: Onboarding | None, now: dt.datetime) -> str:
    if person is None or came is None:
        return "Nobody has this account any more."
    name = person.full_name or person.email
    joined = ago(person.created_at, now)
    if came.status == "completed":
        return f"{name} signed up {joined} and completed onboarding."
    if came.status == "stalled":
        return f"{name} signed up {joined} and got no further than “{came.label}”."
    return f"{name} signed up {joined} and is at “{came.label}”."


def _stopped(user_id: UUID, came: Onboarding | None) -> Iterator[Sentence]:
    if came is not None and came.status != "completed" and came.stopped_by:
        code = came.stopped_by[:40]
        yield Sentence(f"The last thing they met there was {code}.", f"{_page(user_id)}?kind=error", code)


def _served(mine: Summary, everyone: Everyone) -> Iterator[Sentence]:
    if not mine.requests:
        yield Sentence("Asked the AI nothing in the last 30 days.")
        return
    asked = f"{count(mine.requests)}{NBSP}{'time' if mine.requests == 1 else 'times'}"
    failed = f", {count(mine.failed)} failed" if mine.failed else ", none failed"
    yield Sentence(f"Asked the AI {asked} in the last 30 days{failed}.", "?kind=request", asked)
    p95, theirs = mine.latency.p95, everyone.p95
    if p95 is not None and theirs and mine.latency.measured >= ENOUGH and p95 > SLOWER * theirs:
        slow = str(milliseconds(p95))
        yield Sentence(
            f"They wait longer than others: p95 {slow}, everyone {milliseconds(theirs)}.", "?kind=request", slow
        )


def _rated(user_id: UUID, said: Said | None) -> Iterator[Sentence]:
    if said is not None and said.down:
        words = f"{count(said.down)} of {count(said.rated)}"
        yield Sentence(f"Gave a thumbs-down to {words} rated answers.", _rated_href(user_id, "down"), words)


# ---- cards ----


def _cards(user_id: UUID, mine: Summary, everyone: Everyone, said: Said | None) -> list[Card]:
    page = _page(user_id)
    bound = f"± {mine.latency.error_bound:.0%}"

    def against(value: object) -> str:
        return f"everyone {value}" if value else "nobody else measured"

    def latency(name: str, value: float | None, theirs: float | None, of: Percentiles, sub: str) -> Card:
        slow = value is not None and theirs and of.measured >= ENOUGH and value > SLOWER * theirs
        return card(
            name,
            value,
            unit=MS,
            sub=sub,
            href=f"{page}?kind=request",
            note=against(milliseconds(theirs)),
            tone="warn" if slow else "",
            exactness=f"{bound}, of {of.measured:,}",
        )

    cards = [
        card(
            "AI requests",
            mine.requests,
            href=f"{page}?kind=request",
            note=f"everyone {COUNT.show(everyone.requests)}",
        ),
        card(
            "Error rate",
            mine.error_rate,
            unit=SHARE,
            sub=f"{mine.failed:,} failed",
            href=f"{page}?kind=error",
            note=against(percent(everyone.error_rate)),
        ),
        latency("Latency", mine.latency.p50, everyone.p50, mine.latency, "p50"),
        latency("Latency", mine.latency.p95, everyone.p95, mine.latency, "p95"),
        latency("First token", mine.first_token.p50, everyone.first_p50, mine.first_token, "p50"),
    ]
    if said is None:
        return [*cards, card("Thumbs-down", None, note="metro is away", exactness="", href=reverse("conversations"))]
    return [
        *cards,
        card(
            "Thumbs-down",
            said.down,
            sub=f"of {said.rated:,} rated",
            href=_rated_href(user_id, "down"),
            note=f"{said.up:,} thumbs-up",
        ),
    ]


def _page(user_id: UUID) -> str:
    return reverse("person", args=[user_id])


def _rated_href(user_id: UUID, rating: str) -> str:
    return f"{reverse('conversations')}?period=90d&user={user_id}&rating={rating}"
