"""Ninety days go by, with the daily job each night: what the last quarter came to is still known, rows long gone."""

from __future__ import annotations

import datetime as dt
import random
import statistics
import uuid
from collections import Counter, defaultdict
from typing import Any

import pytest
import time_machine
from django.db import connection

from activity import funnel
from activity.rollup_models import RollupDay
from activity.rollups import ACTIVE, EVENTS
from metrics import nightly
from metrics.job_models import RetentionReceipt
from metrics.models import AIRequest, DailyMetric
from metrics.rollups import REQUESTS
from sigmasight.lib.copying import copy_in
from sigmasight.lib.partitions import ensure_days, partitions
from sigmasight.lib.periods import between
from sigmasight.lib.rollups.read import read
from tests.activity.funnel_oracle import ship
from tests.conftest import TIME_ZERO
from tests.days import RAW, make_room
from tests.metrics.nights import DAY, HOUR, ask, midnight, night, run

DAYS = 90
LAST = TIME_ZERO.date()
FIRST = LAST - (DAYS - 1) * DAY
MODELS = {"gpt-5": (7.2, 0.7), "gpt-5-mini": (6.1, 0.4), "claude": (7.0, 1.1)}
ERRORS = ("api_failure", "rate_limit_exceeded", "quota_exceeded")
KINDS = ("chat.session_start", "auth.logout", "chat.message_error")
STEPS = [f"onboarding.{name}" for name in ("register_start", "register_complete", "login_success")]
STEPS += ["onboarding.portfolio_start", "onboarding.portfolio_complete"]
REQUEST_COLUMNS = (
    "conversation_id",
    "message_id",
    "model",
    "total_latency_ms",
    "error_type",
    "input_tokens",
    "created_at",
)
EVENT_COLUMNS = ("user_id", "session_id", "event_type", "event_category", "error_code", "created_at")

pytestmark = [
    pytest.mark.django_db(databases=["default", "metro"], transaction=True),
    pytest.mark.usefixtures("committed"),
]


class Oracle:
    """Every row that was ever written, in plain Python."""

    def __init__(self) -> None:
        self.latencies: dict[str, list[int]] = defaultdict(list)
        self.errors: Counter[tuple[str, str]] = Counter()
        self.requests: Counter[tuple[dt.date, str]] = Counter()
        self.tokens = 0
        self.kinds: Counter[tuple[str, str]] = Counter()
        self.people: set[uuid.UUID] = set()
        self.regulars: set[uuid.UUID] = set()
        self.reached: Counter[int] = Counter()
        self.to_come: dict[dt.date, list[tuple[int, list[Any]]]] = defaultdict(list)

    def sign_up(self, day: dt.date, chance: random.Random) -> None:
        """Somebody starts to register, and gets some way within the fourteen days that they have."""
        who, session, at = uuid.uuid4(), uuid.uuid4().hex, midnight(day) + chance.uniform(0, 0.9) * DAY
        for step in range(chance.randint(1, len(STEPS))):
            row = [who if step else r"\N", session if step < 2 else r"\N", STEPS[step], "onboarding", r"\N", at]
            self.to_come[at.date()].append((step, row))
            at += chance.choice((0.001, 0.05, 3.2)) * DAY

    def live(self, day: dt.date, chance: random.Random) -> None:
        """Writes a day's rows."""
        requests, events = [], []
        for _ in range(chance.randint(80, 160)):
            at, model = self._moment(day, chance), chance.choice(list(MODELS))
            error = chance.choice(ERRORS) if chance.random() < 0.08 else ""
            latency = max(1, round(chance.lognormvariate(*MODELS[model])))
            requests.append([uuid.uuid4(), uuid.uuid4(), model, latency, error or r"\N", 17, at])
            self.asked(day, model, latency, error, 17)
        for _ in range(chance.randint(80, 160)):
            who, kind = uuid.UUID(int=chance.randint(1, 400)), chance.choice(KINDS)
            code = "E1" if kind.endswith("error") else ""
            events.append([who, r"\N", kind, kind.split(".")[0], code or r"\N", self._moment(day, chance)])
            self.kinds[kind, code] += 1
            self.people.add(who)
            self.regulars.add(who)
        for _ in range(chance.randint(0, 5)):
            self.sign_up(day, chance)
        for step, row in self.to_come.pop(day, []):
            events.append(row)
            self.kinds[STEPS[step], ""] += 1
            self.reached[step] += 1
            if step:
                self.people.add(row[0])
        with connection.cursor() as cursor:
            copy_in(cursor, "ai_request_metrics", REQUEST_COLUMNS, _lines(requests))
            copy_in(cursor, "user_activity_events", EVENT_COLUMNS, _lines(events))

    def asked(self, day: dt.date, model: str, latency: int, error: str, tokens: int) -> None:
        self.requests[day, model] += 1
        self.tokens += tokens
        if error:
            self.errors[model, error] += 1
        else:
            self.latencies[model].append(latency)

    @staticmethod
    def _moment(day: dt.date, chance: random.Random) -> dt.datetime:
        return midnight(day) + dt.timedelta(seconds=chance.uniform(0, 86_399.9))


def _lines(rows: list[list[Any]]) -> list[str]:
    return ["\t".join(str(value) for value in row) + "\n" for row in rows]


@pytest.mark.slow
def test_after_ninety_days_a_quarters_figures_are_what_every_row_ever_written_says(settings):
    oracle, chance = Oracle(), random.Random(90)
    ship()
    for table in RAW:
        for part in partitions(table):
            run(f"DROP TABLE {part.name}")
    make_room(midnight(FIRST))
    for number in range(DAYS):
        day = FIRST + number * DAY
        for table in RAW:
            ensure_days(table, [day, day + DAY])
        oracle.live(day, chance)
        if number % 10 == 9:  # somebody sends what they forgot, two weeks ago and three
            for back in (9, 20):
                if number >= back:
                    late = day - back * DAY
                    ask(midnight(late) + HOUR, "gpt-5", 1234, input_tokens=17)
                    oracle.asked(late, "gpt-5", 1234, "", 17)
        if number % 17 in (5, 6, 7) and number != DAYS - 1:  # nights on which nothing ran
            continue
        with time_machine.travel(night(day), tick=False):
            result = nightly.run(night(day))
        assert result.success, (day, result.errors)

    assert AIRequest.objects.order_by("created_at").first().created_at >= midnight(
        LAST + DAY - settings.RETENTION_DAYS * DAY
    )
    dropped = RollupDay.objects.filter(source="ai_request_metrics", dropped_at__isnull=False)
    assert dropped.count() == DAYS - settings.RETENTION_DAYS
    assert RetentionReceipt.objects.filter(kind="partition").count() == 2 * dropped.count()

    with time_machine.travel(night(LAST), tick=False):
        span = (midnight(FIRST), midnight(LAST) + DAY)
        reading = read(REQUESTS, *span)
        by_model = reading.merged(lambda at, key: key[0])
        for model, latencies in oracle.latencies.items():
            exact = statistics.quantiles(latencies, n=100, method="inclusive")
            for share in (50, 95, 99):
                assert by_model[model]["latency"].percentile(share / 100) == pytest.approx(exact[share - 1], rel=0.01)
            assert by_model[model]["latency"].count == len(latencies)
            assert by_model[model]["latency"].total == sum(latencies)
        groups = reading.merged(lambda at, key: key)
        assert {key: group["requests"] for key, group in groups.items() if key[1]} == dict(oracle.errors)
        assert reading.total()["input_tokens"] == oracle.tokens
        events = read(EVENTS, *span).merged(lambda at, key: key)
        assert {key: group["events"] for key, group in events.items()} == dict(oracle.kinds)
        assert read(ACTIVE, *span).total()["users"].count().count == len(oracle.people)
        assert not reading.provenance.raw, "no raw row was needed"
        steps = funnel.funnel("onboarding", between(*span), now=night(LAST)).steps
        # Whoever is there must have signed up and in, though no event says so.
        regulars = len(oracle.regulars)
        reached = [oracle.reached[number] + (regulars if number < 3 else 0) for number in range(len(STEPS))]
        assert [step.reached for step in steps] == reached

    written = DailyMetric.objects.filter(metric_type="ai_requests.model_breakdown")
    assert {(row.date, row.dimensions["key"]): int(row.metric_value) for row in written} == dict(oracle.requests)
