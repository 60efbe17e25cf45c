"""How much of what happens on which day: everything that the seed and the end decide."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

DAY = 86_400
# What scale 1 is.
PEOPLE, OLDER_PEOPLE, REQUESTS, LOOKS = 2_860, 900, 60_000, 12_000
# Share of the visits to the AI whose conversation is kept at scale 1; the others' were deleted by their owners.
KEPT_SHARE = 0.3
MOST_KEPT_VISITS = 25_000
# Expected rows, measured over many days: what the overrides divide by.
EVENTS_A_PERSON, EVENTS_A_REQUEST, EVENTS_A_LOOK = 4.2, 2.1, 1.85
QUESTIONS_A_VISIT = 2.32
# With --events: one person starts to sign up for so many events.
EVENTS_TO_A_PERSON = 16

_WEEKDAYS = (1.0, 1.08, 1.1, 1.06, 0.94, 0.55, 0.6)
# By UTC hour: Europe's day, then America's.
_SIGN_UPS = (14, 10, 8, 7, 8, 12, 22, 38, 55, 64, 66, 62, 60, 66, 74, 76, 72, 66, 62, 60, 56, 46, 34, 22)
_QUESTIONS = (16, 12, 10, 10, 12, 16, 26, 44, 58, 62, 60, 58, 60, 74, 98, 104, 92, 80, 72, 76, 70, 50, 36, 24)


@dataclass(frozen=True)
class Plan:
    """What will be written. `start` to `end` is the month (UTC); nothing is later than `end`.

    `people` start to sign up in it, `older` had an account before; `requests` go to the AI, `looks` are visits that
    ask it nothing; `event_share` is the share
    of visits to the AI that leave activity events, `kept` the share whose conversation is stored.
    """

    seed: int
    days: int
    end: dt.datetime
    people: int
    older: int
    requests: int
    looks: int
    event_share: float
    kept: float

    @property
    def start(self) -> dt.datetime:
        return self.end - dt.timedelta(days=self.days)

    @cached_property
    def dates(self) -> list[dt.date]:
        """Each UTC day the month touches: the first and the last are usually not whole."""
        first = self.start.date()
        return [first + dt.timedelta(days=n) for n in range((self.end.date() - first).days + 1)]

    def midnight(self, day: int) -> dt.datetime:
        return dt.datetime.combine(self.dates[0] + dt.timedelta(days=day), dt.time.min, dt.UTC)

    def seconds(self, moment: dt.datetime, day: int) -> float:
        """Seconds of `moment` from the midnight that begins the day."""
        return (moment - self.midnight(day)).total_seconds()

    @property
    def raw_rows(self) -> int:
        """About how many events and requests there will be."""
        of_questions = self.requests * self.event_share * EVENTS_A_REQUEST
        return round(self.people * EVENTS_A_PERSON + of_questions + self.looks * EVENTS_A_LOOK + self.requests)

    @cached_property
    def _weights(self) -> list[float]:
        count = len(self.dates)
        noise = random.Random(f"{self.seed} days")  # noqa: S311
        return [
            _WEEKDAYS[date.weekday()] * (1 + 0.14 * n / count) * noise.uniform(0.94, 1.06)
            for n, date in enumerate(self.dates)
        ]

    @cached_property
    def _whole(self) -> float:
        """The sum of the weights, days that are cut counting as much as is left of them."""
        total = 0.0
        for n, weight in enumerate(self._weights):
            low, high = max(0.0, self.seconds(self.start, n)), min(DAY, self.seconds(self.end, n))
            total += weight * (high - low) / DAY
        return total or 1.0

    def _part(self, amount: float, day: int) -> int:
        return round(amount * self._weights[day] / self._whole)

    def people_of(self, day: int) -> int:
        """How many start to sign up on the whole of that day, even where the month has only a part of it."""
        return self._part(self.people, day)

    def visits_of(self, day: int) -> int:
        return self._part(self.requests / QUESTIONS_A_VISIT, day)

    def looks_of(self, day: int) -> int:
        return self._part(self.looks, day)

    @cached_property
    def incident(self) -> tuple[dt.datetime, dt.datetime]:
        """When the models were overloaded: an early afternoon, some six days before the end."""
        day = (self.end - dt.timedelta(days=min(6, self.days // 2))).date()
        begin = dt.datetime.combine(day, dt.time(13, 10), dt.UTC)
        return begin, begin + dt.timedelta(minutes=150)

    @cached_property
    def bursts(self) -> dict[int, tuple[float, float]]:
        """By day: the second at which everybody asks at once, and the share of the day's visits that do."""
        pick = random.Random(f"{self.seed} bursts")  # noqa: S311
        days = pick.sample(range(len(self.dates)), k=min(4, len(self.dates)))
        return {day: (pick.choice((13.5, 14.5, 19.0)) * 3600, pick.uniform(0.06, 0.16)) for day in days}

    @cached_property
    def failed_nights(self) -> dict[int, str]:
        """By day: nights whose batch failed or finished in part. Answers of those days rest on old figures."""
        pick = random.Random(f"{self.seed} nights")  # noqa: S311
        last = len(self.dates) - 1
        nights = sorted(pick.sample(range(1, max(2, last - 1)), k=min(4, max(1, last - 2)))) if last > 2 else []
        return {day: ("failed" if n % 2 == 0 else "partial") for n, day in enumerate(nights)}


def make_plan(
    *, seed: int, days: int, end: dt.datetime, scale: float, events: int | None = None, requests: int | None = None
) -> Plan:
    """The plan for a scale, or for about so many events and requests."""
    asked = round(REQUESTS * scale) if requests is None else requests
    people, older, looks, share = PEOPLE * scale, OLDER_PEOPLE * scale, LOOKS * scale, 1.0
    if events is not None:
        people = events / EVENTS_TO_A_PERSON
        older = people * OLDER_PEOPLE / PEOPLE
        left = events - people * EVENTS_A_PERSON
        # At most half of what is left comes from questions; the rest from people who only look.
        of_questions = min(asked * EVENTS_A_REQUEST, left / 2)
        share = of_questions / (asked * EVENTS_A_REQUEST) if asked else 0.0
        looks = (left - of_questions) / EVENTS_A_LOOK
    visits = asked / QUESTIONS_A_VISIT
    kept = min(KEPT_SHARE, MOST_KEPT_VISITS / visits) if visits else 0.0
    return Plan(seed, days, end, round(people), max(20, round(older)), asked, round(looks), share, kept)


def rhythm(weights: tuple[int, ...], cells: int = 4096) -> list[int]:
    """Seconds of the day for equally likely cells: `rhythm[int(random() * 4096)]` draws a plausible hour."""
    minutes = [weights[n // 60] + (weights[(n // 60 + 1) % 24] - weights[n // 60]) * (n % 60) / 60 for n in range(1440)]
    sums = list(accumulate(minutes))
    found, minute = [], 0
    for cell in range(cells):
        goal = (cell + 0.5) / cells * sums[-1]
        while sums[minute] < goal:
            minute += 1
        found.append(minute * 60)
    return found


SIGN_UP_RHYTHM = rhythm(_SIGN_UPS)
QUESTION_RHYTHM = rhythm(_QUESTIONS)


def draw(seed: int, *what: object) -> bytes:
    """32 bytes that depend on nothing but the seed and the words: ids, and choices that two places must agree on."""
    return hashlib.blake2b(f"{seed} {what}".encode(), digest_size=32).digest()


def generator(seed: int, *what: object) -> random.Random:
    """A source of chance of its own for one purpose, so that days can be written in any order."""
    return random.Random(f"{seed} {what}")  # noqa: S311


def as_uuid(number: int) -> str:
    """128 random bits as a version 4 UUID."""
    number = number & ~(0xF << 76) & ~(0x3 << 62) | (0x4 << 76) | (0x2 << 62)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def metro_prefix(seed: int) -> str:
    """What the ids of all rows in metro begin with: 12 hexadecimal digits, the seed's own.

    So what an interrupted run left there can be told from everything else, and removed.
    """
    text = draw(seed, "metro").hex()
    return f"{text[:8]}-{text[8:12]}"


def metro_id(seed: int, bits: int) -> str:
    """An id in metro for 74 random bits."""
    return metro_prefix(seed) + as_uuid(bits)[13:]


def uuid_of(digest: bytes) -> str:
    """The first 16 bytes as a version 4 UUID."""
    return as_uuid(int.from_bytes(digest[:16]))


class Clock:
    """Writes seconds from a midnight as PostgreSQL reads them, much faster than datetime does."""

    def __init__(self, midnight: dt.datetime) -> None:
        self._midnight = midnight
        self._today = f"{midnight:%Y-%m-%d} "

    def __call__(self, seconds: float) -> str:
        if not 0 <= seconds < DAY:
            moment = self._midnight + dt.timedelta(seconds=seconds)
            return f"{moment:%Y-%m-%d %H:%M:%S.%f}+00"
        whole = int(seconds)
        return (
            f"{self._today}{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
            f".{int((seconds - whole) * 1_000_000):06d}+00"
        )
