"""People: who they are, how far they get, and what stops them. One day's sign-ups at a time."""

from __future__ import annotations

import random
from dataclasses import dataclass

from admin_portal.demo import trouble
from admin_portal.demo.plan import DAY, SIGN_UP_RHYTHM, Clock, Plan, as_uuid, draw, generator, uuid_of
from admin_portal.demo.sink import EVENTS, LATER, Sink
from ai_tuning.importing.people import UNUSABLE_PASSWORD, invented_name, mailbox
from sigmasight.lib.copying import NULL, line

LEFT_AT_START, REGISTERED, SIGNED_IN, UPLOADING, DONE = range(5)
# How far people get, out of 1,000: 838 register, 777 sign in, 572 start a portfolio, 419 have one.
_REACH = ((162, LEFT_AT_START), (223, REGISTERED), (428, SIGNED_IN), (581, UPLOADING), (1000, DONE))
HOSTED_SHARE = 0.09
OLDER = -1  # the "day" of those who had an account before the month

AGENTS = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",  # noqa: E501
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",  # noqa: E501
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",  # noqa: E501
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "SigmaSight-iOS/4.12.0 (iPhone17,1; iOS 26.1)",
)  # fmt: skip
_DEVICES = ("desktop", "desktop", "desktop", "phone", "phone", "desktop", "phone")
_SOURCES = ("organic", "organic", "organic", "referral", "newsletter", "podcast", "search")
_PLANS = (
    ("Core holdings", "taxable"), ("Long-term", "ira"), ("Brokerage", "taxable"), ("Dividend income", "taxable"),
    ("Retirement", "401k"), ("Tech and growth", "taxable"), ("Roth", "roth_ira"), ("Family", "joint"),
    ("Options wheel", "taxable"), ("Europe ETFs", "taxable"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """Someone, as the seed made them. `reach` is the last step they got to."""

    id: str
    reach: int
    hosted: bool
    chance: int  # 0 to 65,535, theirs alone: how eagerly they ask, which portfolio they have


def person(seed: int, day: int, number: int) -> Person:
    """The person who came as the so-manieth of a day; OLDER for those from before. The same wherever it is asked."""
    digest = draw(seed, "person", day, number)
    if day == OLDER:
        return Person(uuid_of(digest), DONE, False, digest[20] << 8 | digest[21])
    hosted = digest[18] < 256 * HOSTED_SHARE
    level = (digest[16] << 8 | digest[17]) * 1000 // 65536
    reach = next(step for edge, step in _REACH if level < edge)
    if hosted and reach < SIGNED_IN:
        reach = SIGNED_IN
    return Person(uuid_of(digest), reach, hosted, digest[20] << 8 | digest[21])


def address(chance: random.Random) -> str:
    """An IP address from the ranges kept for documentation."""
    pick = chance.random()
    if pick < 0.16:
        return f"2001:db8:{chance.getrandbits(12):x}:{chance.getrandbits(8):x}::{chance.getrandbits(16):x}"
    network = "192.0.2" if pick < 0.44 else "198.51.100" if pick < 0.72 else "203.0.113"
    return f"{network}.{chance.randrange(1, 255)}"


class Session:
    """One sitting of one person at one device: writes its events."""

    def __init__(self, sink: Sink, clock: Clock, chance: random.Random, limits: tuple[float, float]) -> None:
        self._sink, self._clock, self._chance = sink, clock, chance
        self._low, self._high = limits
        kind = int(chance.random() * 7)
        self.id = f"s_{chance.getrandbits(80):020x}"
        self._tail = f"\t{address(chance)}\t{AGENTS[kind]}\t"
        self.source = f'{{"source":"{_SOURCES[int(chance.random() * 7)]}","device":"{_DEVICES[kind]}","app":"4.12"}}'

    def is_after_the_end(self, at: float) -> bool:
        return at >= self._high

    def event(
        self,
        at: float,
        kind: str,
        user: str | None,
        data: str = "{}",
        error: str = f"{NULL}\t{NULL}",
        *,
        session: bool = True,
    ) -> None:
        """One event, `at` seconds from the day's midnight, unless that is outside the month.

        `data` is JSON and `error` the two columns of code and message, both as COPY reads them.
        """
        if not self._low <= at < self._high:
            return
        self._sink.add(
            EVENTS if 0 <= at < DAY else LATER + EVENTS,
            f"{as_uuid(self._chance.getrandbits(128))}\t{user or NULL}\t{self.id if session else NULL}\t{kind}"
            f"\t{kind[: kind.index('.')]}\t{data}\t{error}{self._tail}{self._clock(at)}\n",
        )


def write_sign_ups(plan: Plan, day: int, sink: Sink) -> None:
    """All who start to sign up on a day, with whatever they do until they are done or gone."""
    chance, clock = generator(plan.seed, "sign-ups", day), Clock(plan.midnight(day))
    limits = (plan.seconds(plan.start, day), plan.seconds(plan.end, day))
    low, high = limits
    incident = tuple(plan.seconds(moment, day) for moment in plan.incident)
    last_day = day >= len(plan.dates) - 2
    for number in range(plan.people_of(day)):
        at = SIGN_UP_RHYTHM[int(chance.random() * 4096)] + chance.random() * 60
        one = person(plan.seed, day, number)
        session = Session(sink, clock, chance, limits)
        registered: float | None = at
        if not low <= at < high:
            continue
        if not one.hosted:
            registered = _register(session, chance, one, at)
        if registered is None or registered >= high:
            continue
        user = one.id
        _write_user(plan, sink, clock, one, day, number, registered)
        if one.hosted:
            at = registered + 5 + chance.expovariate(1 / 20)
        elif one.reach >= SIGNED_IN:
            at = _sign_in(session, chance, user, registered)
        else:
            if chance.random() < 0.22:  # most never come back: the mail was never confirmed
                for _ in range(trouble.tries(chance)):
                    registered += 30 + chance.expovariate(1 / 200)
                    session.event(registered, "onboarding.login_error", None, "{}", trouble.login(chance))
            continue
        if one.reach >= UPLOADING:
            _portfolio(plan, sink, session, chance, clock, one, at, incident, last_day)
        elif chance.random() < 0.5:
            session.event(at + 60 + chance.expovariate(1 / 300), "auth.logout", user)


def _register(session: Session, chance: random.Random, one: Person, at: float) -> float | None:
    """Sign-up until the account is there; None where they gave up. Older clients send no session at the start."""
    session.event(at, "onboarding.register_start", None, session.source, session=chance.random() < 0.7)
    luck = chance.random()
    gives_up = one.reach == LEFT_AT_START
    # Of those who stop here 63 % do so over an error; of those who go on 14 % met one first.
    if luck < (0.63 if gives_up else 0.14):
        for _ in range(trouble.tries(chance)):
            at += 12 + chance.expovariate(1 / 40)
            session.event(
                at, "onboarding.register_error", None, "{}", trouble.register(chance), session=chance.random() < 0.9
            )
    if gives_up:
        return None
    at += 35 + chance.expovariate(1 / 75)
    session.event(at, "onboarding.register_complete", one.id, session.source)
    return at


def _sign_in(session: Session, chance: random.Random, user: str, at: float) -> float:
    at += 20 + chance.expovariate(1 / 22) if chance.random() < 0.85 else chance.expovariate(1 / 14_000)
    if chance.random() < 0.07:
        for _ in range(trouble.tries(chance)):
            session.event(at, "onboarding.login_error", None, "{}", trouble.login(chance))
            at += 15 + chance.expovariate(1 / 60)
    session.event(at, "onboarding.login_success", user, '{"method":"password"}')
    return at


def _portfolio(
    plan: Plan,
    sink: Sink,
    session: Session,
    chance: random.Random,
    clock: Clock,
    one: Person,
    at: float,
    incident: tuple[float, ...],
    last_day: bool,
) -> None:
    """From “connect a portfolio” to having one, or not. Some come back hours later and manage."""
    at += 90 + chance.expovariate(1 / 330)
    broker = trouble.broker(chance)
    how = "csv" if chance.random() < 0.78 else "manual"
    data = f'{{"method":"{how}","broker":"{broker}"}}'
    session.event(at, "onboarding.portfolio_start", one.id, data)
    done = one.reach == DONE
    in_incident = incident[0] <= at < incident[1]
    if chance.random() < (0.22 if done else 0.68) or in_incident:
        kind = trouble.portfolio_kind(chance, done=done, incident=in_incident, last_day=last_day)
        for _ in range(trouble.tries(chance)):
            at += 20 + chance.expovariate(1 / 90)
            context, error = trouble.portfolio(chance, kind, broker)
            session.event(at, "onboarding.portfolio_error", one.id, context, error)
        if done:
            at += chance.expovariate(1 / 500) if chance.random() < 0.7 else chance.expovariate(1 / 30_000)
            if chance.random() < 0.6:
                session.event(at, "onboarding.portfolio_start", one.id, data)
    if not done:
        return
    at += 240 + chance.expovariate(1 / 600)
    positions = 4 + int(chance.expovariate(1 / 22))
    session.event(at, "onboarding.portfolio_complete", one.id, f'{{"method":"{how}","positions":{positions}}}')
    if not session.is_after_the_end(at):
        write_portfolio(plan, sink, one, clock(at))


def _write_user(plan: Plan, sink: Sink, clock: Clock, one: Person, day: int, number: int, at: float) -> None:
    name = invented_name(int(one.id[-9:], 16))
    mark = f"{day + 1:x}{number:03x}" if plan.seed == 7 else f"{plan.seed:x}.{day + 1:x}{number:03x}"
    sink.add(
        "users",
        line(one.id, f"{mailbox(name)}.{mark}@example.org", UNUSABLE_PASSWORD, name, one.chance % 97 != 0)[:-1]
        + f"\t{clock(at)}\t{clock(at)}\n",
    )


def write_portfolio(plan: Plan, sink: Sink, one: Person, at: str) -> None:
    """The portfolio of someone who got that far."""
    name, kind = _PLANS[one.chance % len(_PLANS)]
    currency = ("USD", "USD", "USD", "EUR", "GBP", "CHF")[one.chance // 10 % 6]
    balance = round(3_000 * 1.9 ** (one.chance % 1000 / 110), 2)
    identifier = uuid_of(draw(plan.seed, "portfolio", one.id))
    gone = at if one.chance % 53 == 0 else NULL
    sink.add(
        "portfolios",
        f"{identifier}\t{one.id}\t{name}\t{name}\t{kind}\t{NULL}\t{currency}\t{balance:.2f}\t{at}\t{at}\t{gone}\n",
    )


def write_older(plan: Plan, sink: Sink) -> None:
    """Those who had an account before the month began: a record and a portfolio, and no events that are left."""
    clock = Clock(plan.midnight(0))
    chance = generator(plan.seed, "older")
    first = plan.seconds(plan.start, 0)
    for number in range(plan.older):
        one = person(plan.seed, OLDER, number)
        at = first - 3600 - chance.random() ** 1.5 * 210 * DAY
        _write_user(plan, sink, clock, one, OLDER, number, at)
        if number % 8:
            write_portfolio(plan, sink, one, clock(at + 900 + chance.expovariate(1 / 4000)))
