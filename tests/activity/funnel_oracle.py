"""Funnels in plain Python, from the definitions in docs/funnels.md and not from the SQL: what the tests compare with.

And the world they are about: events and records, stored or not.
"""

from __future__ import annotations

import datetime as dt
import random
import statistics
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from uuid import UUID

from django.db import connections

from activity.funnel_models import Funnel, FunnelProgress
from activity.models import Event
from tests.factories.activity import ConversationFactory, MessageFactory, PortfolioFactory, UserFactory
from tests.factories.ai_tuning import FeedbackFactory

SECOND, MINUTE, HOUR, DAY = (dt.timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
# In the past, as partitions stand round the real today.
NOW = dt.datetime.now(dt.UTC).replace(hour=12, minute=34, second=56, microsecond=0) - DAY
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)
WINDOW = dt.timedelta(days=14)

TYPES = (
    "onboarding.register_start", "onboarding.register_complete", "onboarding.register_error",
    "onboarding.login_success", "onboarding.login_error", "onboarding.portfolio_start",
    "onboarding.portfolio_complete", "onboarding.portfolio_error", "chat.session_start", "chat.message_sent",
    "chat.unheard_of", "auth.logout", "auth.token_refresh", "page.view", "no_category", "record:portfolio",
)  # fmt: skip
PROOFS = {
    "onboarding": [
        {"onboarding.register_start", "onboarding.register_error"},
        {"onboarding.register_complete", "a user"},
        {"onboarding.login_success", "auth.token_refresh", "auth.logout", "a conversation", "chat."},
        {"onboarding.portfolio_start", "onboarding.portfolio_error"},
        {"onboarding.portfolio_complete", "a portfolio"},
    ],
    "activation": [
        {
            "onboarding.login_success", "auth.token_refresh", "auth.logout", "onboarding.portfolio_start",
            "onboarding.portfolio_error", "onboarding.portfolio_complete", "a portfolio",
        },
        {"chat.", "a conversation"},
        {"a thumbs-up"},
    ],
    "in-order": [{"onboarding.login_success"}, {"chat.message_sent", "a portfolio"}, {"auth.logout"}],
}  # fmt: skip
IN_ORDER: list[dict[str, Any]] = [
    {"name": "signed_in", "label": "Signed in", "events": ["onboarding.login_success"]},
    {"name": "asked", "label": "Asked", "events": ["chat.message_sent"], "records": ["portfolio"]},
    {"name": "left", "label": "Left", "events": ["auth.logout"]},
]


def ship() -> None:
    """The funnels that ship, as the migration adds them: tests that commit leave no table filled."""
    for slug, name, is_implied, steps in import_module("activity.migrations.0003_funnels").SHIPPED:
        Funnel.objects.get_or_create(
            slug=slug, defaults={"name": name, "is_implied": is_implied, "steps": steps, "conversion_window": WINDOW}
        )


@dataclass
class World:
    """What happened. Records are (whose, when)."""

    events: list[Event] = field(default_factory=list)
    users: list[tuple[UUID, dt.datetime]] = field(default_factory=list)
    portfolios: list[tuple[UUID, dt.datetime]] = field(default_factory=list)
    conversations: list[tuple[UUID, dt.datetime]] = field(default_factory=list)
    thumbs: list[tuple[UUID, dt.datetime]] = field(default_factory=list)

    def store_records(self) -> None:
        accounts = {user: UserFactory(pk=user, created_at=at) for user, at in self.users}
        for user, at in self.portfolios:
            PortfolioFactory(user=accounts[user], created_at=at)
        for user, at in self.conversations:
            ConversationFactory(user_id=user, created_at=at)
        for user, at in self.thumbs:
            answer = MessageFactory(conversation=ConversationFactory(user_id=user, created_at=at), role="assistant")
            self.conversations.append((user, at))
            FeedbackFactory(message_id=answer.pk, rating="up", created_at=at)


def random_world(seed: int, people: int = 14, sessions: int = 9, events: int = 260) -> World:
    """A crowd on a few machines, with ties in time, records early, late and missing, and much that makes no sense."""
    chance = random.Random(seed)
    ids = [uuid.UUID(int=chance.getrandbits(128)) for _ in range(people)]
    names = [f"s{number}" for number in range(sessions)]
    moments = [NOW - 25 * DAY * chance.random() for _ in range(events // 2)]
    world = World()
    for _ in range(events):
        kind = chance.choice(TYPES)
        failed = chance.random() < 0.15
        world.events.append(
            Event(
                id=uuid.UUID(int=chance.getrandbits(128)),
                user_id=chance.choice(ids) if chance.random() < 0.6 else None,
                session_id=chance.choice(names) if chance.random() < 0.8 else chance.choice([None, ""]),
                event_type=kind,
                event_category=kind.split(".")[0],
                event_data=chance.choice([{}, {"source": "Podcast "}, {"utm_source": "ads", "source": "x"}, [], None]),
                error_code=chance.choice(["A", "B"]) if failed else chance.choice([None, ""]),
                error_message="went wrong" if failed else None,
                user_agent=chance.choice([None, "curl/8", "(iPhone; CPU iPhone OS 26)", "(Windows NT 10.0)"]),
                created_at=chance.choice(moments),
            )
        )
    for user in ids:
        if chance.random() < 0.7:
            world.users.append((user, chance.choice(moments)))
            if chance.random() < 0.5:
                world.portfolios += [(user, chance.choice(moments)) for _ in range(2)]
        if chance.random() < 0.4:
            world.conversations.append((user, chance.choice(moments)))
        if chance.random() < 0.4:
            world.thumbs += [(user, chance.choice(moments)) for _ in range(2)]
    return world


@dataclass
class Told:
    """What the oracle tells of one subject in one funnel."""

    reached: list[dt.datetime | None]
    inferred: list[bool]
    source: str
    device: str
    stopped_by: str
    last_type: str | None


def place(event: Event) -> tuple[dt.datetime, UUID]:
    return event.created_at, event.id


def attributed(events: list[Event]) -> dict[tuple[str, Any], list[Event]]:
    """Each subject's events. Those of neither a person nor a session are nobody's."""
    by_session = defaultdict(list)
    for event in sorted(events, key=place):
        if event.session_id:
            by_session[event.session_id].append(event)
    found: dict[tuple[str, Any], list[Event]] = defaultdict(list)
    for event in events:
        if event.user_id:
            found["user", event.user_id].append(event)
        elif event.session_id:
            later = [each for each in by_session[event.session_id] if each.user_id and place(each) > place(event)]
            found[("user", later[0].user_id) if later else ("session", event.session_id)].append(event)
    return found


def told(world: World, slug: str) -> dict[tuple[str, Any], Told]:
    """Everybody in a funnel."""
    events = attributed(world.events)
    evidence: dict[tuple[str, Any], list[tuple[dt.datetime, str]]] = defaultdict(list)
    for subject, theirs in events.items():
        evidence[subject] += [(event.created_at, event.event_type) for event in theirs]
    for kind, records in (
        ("a user", world.users),
        ("a portfolio", world.portfolios),
        ("a conversation", world.conversations),
        ("a thumbs-up", world.thumbs),
    ):
        for user, at in records:
            evidence["user", user].append((at, kind))
    found = {}
    for subject, proofs in evidence.items():
        times = [
            sorted(
                at for at, kind in proofs if kind in step or (f"{kind.split('.')[0]}." in step and "." in kind)
            )
            for step in PROOFS[slug]
        ]  # fmt: skip
        reached: list[dt.datetime | None] = []
        if slug == "in-order":
            since = dt.datetime.min.replace(tzinfo=dt.UTC)
            for step in times:
                after = [at for at in step if at >= since] if None not in reached else []
                reached.append(after[0] if after else None)
                since = reached[-1] or since
            inferred = [False] * len(times)
        else:
            for number in range(len(times)):
                later = [at for step in times[number:] for at in step]
                reached.append(min(later) if later else None)
            inferred = [at is not None and at not in step[:1] for at, step in zip(reached, times, strict=True)]
        if reached[0] is not None:
            found[subject] = _told(subject, sorted(events.get(subject, []), key=place), reached, inferred)
    return found


def _told(subject: Any, events: list[Event], reached: list[dt.datetime | None], inferred: list[bool]) -> Told:
    source, device = "", "unknown"
    if events:
        data = events[0].event_data
        if isinstance(data, dict):
            source = (data.get("utm_source") or data.get("source") or "").strip().lower()
        agent = events[0].user_agent
        device = {None: "unknown", "curl/8": "other"}.get(agent, "iPhone" if "iPhone" in (agent or "") else "Windows")
    failed = [event for event in events if event.error_code or event.event_type.endswith("_error")]
    stopped_by = ""
    if failed and None in reached and failed[-1].created_at >= max(at for at in reached if at):
        stopped_by = failed[-1].error_code or failed[-1].event_type
    own = [event for event in events if subject[0] == "session" or event.user_id]
    return Told(reached, inferred, source, device, stopped_by, own[-1].event_type if own else None)


def stored(slug: str, version: int = 1) -> dict[tuple[str, Any], Told]:
    """The same, as it is in the database."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT user_id, last_type FROM funnel_people")
        last: dict[Any, str] = dict(cursor.fetchall())
        cursor.execute(
            "SELECT DISTINCT ON (session_id) session_id, event_type FROM funnel_anonymous WHERE user_id IS NULL"
            " ORDER BY session_id, created_at DESC, id DESC"
        )
        last |= dict(cursor.fetchall())
    return {
        ("session", row.session_id) if row.session_id else ("user", row.subject): Told(
            row.reached,
            [bool(row.inferred & 1 << number) for number in range(len(row.reached))],
            row.source,
            row.device,
            row.stopped_by,
            last.get(row.session_id or row.subject),
        )
        for row in FunnelProgress.objects.filter(funnel__slug=slug, funnel__version=version)
    }


@dataclass
class Expected:
    """What a period's figures should be: people by step, and the exact times they took."""

    reached: list[int]
    previous: list[list[float]]
    first: list[list[float]]

    @staticmethod
    def median(times: list[float]) -> float | None:
        return statistics.median(times) if times else None


def expected(people: list[Told], start: dt.datetime, end: dt.datetime, window: dt.timedelta = WINDOW) -> Expected:
    """The figures of those who entered in [start, end)."""
    count = len(people[0].reached) if people else 0
    found = Expected([0] * count, [[] for _ in range(count)], [[] for _ in range(count)])
    for one in people:
        entered = one.reached[0]
        assert entered is not None
        if not start <= entered < end:
            continue
        for number, at in enumerate(one.reached):
            if at is None or at - entered > window:
                continue
            found.reached[number] += 1
            if number and not one.inferred[number]:
                if not one.inferred[0]:
                    found.first[number].append((at - entered).total_seconds() * 1000)
                if not one.inferred[number - 1]:
                    before = one.reached[number - 1]
                    assert before is not None
                    found.previous[number].append((at - before).total_seconds() * 1000)
    return found
