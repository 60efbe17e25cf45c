"""Visits: people who come back, look, ask the AI. One day's requests, events, and the conversations that are kept."""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass

from admin_portal.demo import faults, talk
from admin_portal.demo.people import DONE, OLDER, Person, Session, person
from admin_portal.demo.plan import DAY, QUESTION_RHYTHM, Clock, Plan, as_uuid, generator, metro_id
from admin_portal.demo.sink import LATER, REQUESTS, Sink
from admin_portal.demo.voices import Voice, voice_on
from sigmasight.lib.copying import NULL, compact_json, escaped, field

# Model, share, median seconds to the last token, spread (sigma of the logarithm), share of it to the first token.
_MODELS = (
    ("gpt-5-mini", 0.62, 1.34, 0.62, 0.40),
    ("claude-sonnet", 0.80, 1.90, 0.58, 0.36),
    ("gpt-5", 0.94, 2.85, 0.60, 0.34),
    ("o4-mini", 1.00, 3.80, 0.66, 0.62),
)
_QUESTIONS = (0.38, 0.64, 0.80, 0.90, 0.96, 1.0)
TOOL_SETS: tuple[tuple[str, ...], ...] = (
    (),
    ("get_portfolio_complete",),
    ("get_portfolio_complete", "get_factor_exposures"),
    ("get_positions_details",),
    ("get_prices_historical",),
    ("search_knowledge",),
    ("get_portfolio_complete", "get_prices_historical"),
    ("get_portfolio_complete", "get_factor_exposures", "search_knowledge"),
    ("get_correlation_matrix",),
    ("get_portfolio_complete", "get_positions_details", "get_prices_historical", "get_factor_exposures"),
    ("get_current_quotes", "get_positions_details"),
)  # fmt: skip
_TOOL_WEIGHTS = (0.17, 0.36, 0.52, 0.62, 0.71, 0.79, 0.86, 0.91, 0.94, 0.965, 1.0)


@dataclass(frozen=True, slots=True)
class _Day:
    """What the visits of one day share. Seconds are from its midnight."""

    plan: Plan
    day: int
    sink: Sink
    clock: Clock
    chance: random.Random
    limits: tuple[float, float]
    incident: tuple[float, float]
    night: tuple[float, float]  # the batch holds the factor tables: tools are slow
    tools: tuple[tuple[int, str], ...]  # ready columns: count and JSON


def write_visits(plan: Plan, day: int, sink: Sink) -> None:
    """All visits that begin on a day."""
    chance = generator(plan.seed, "visits", day)
    today = _Day(
        plan,
        day,
        sink,
        Clock(plan.midnight(day)),
        chance,
        (plan.seconds(plan.start, day), plan.seconds(plan.end, day)),
        (plan.seconds(plan.incident[0], day), plan.seconds(plan.incident[1], day)),
        (3.1 * 3600, 3.9 * 3600) if day in plan.failed_nights or day == len(plan.dates) - 1 else (0.0, 0.0),
        _ready_tools(chance),
    )
    # Conversations are told by their own chance, so that a bench with none makes the same requests.
    words = generator(plan.seed, "words", day)
    low, high = today.limits
    burst_at, burst_share = plan.bursts.get(day, (0.0, 0.0))
    for _ in range(plan.visits_of(day)):
        one = _somebody(plan, day, chance)
        if chance.random() < burst_share:
            at = burst_at + chance.random() * 1800
        else:
            at = QUESTION_RHYTHM[int(chance.random() * 4096)] + chance.random() * 60
        kept, with_events = chance.random() < plan.kept, chance.random() < plan.event_share
        if low <= at < high:
            _ask(today, one, at, words if kept else None, with_events=with_events)
    for _ in range(plan.looks_of(day)):
        one = _somebody(plan, day, chance)
        at = QUESTION_RHYTHM[int(chance.random() * 4096)] + chance.random() * 60
        session = Session(sink, today.clock, chance, today.limits)
        _arrive(session, chance, one, at)
        _leave(session, chance, one, at + chance.expovariate(1 / 600))


def _somebody(plan: Plan, day: int, chance: random.Random) -> Person:
    """One of those who have a portfolio by that day. Some come much oftener than others."""
    for _ in range(6):
        luck = chance.random()
        if day >= 3 and luck < 0.75 * day / (day + 6):
            cohort = 1 + int(chance.random() * (day - 2))
            size = plan.people_of(cohort)
            if size:
                one = person(plan.seed, cohort, int(chance.random() ** 1.6 * size))
                if one.reach == DONE:
                    return one
        else:
            return person(plan.seed, OLDER, int(chance.random() ** 1.8 * plan.older))
    return person(plan.seed, OLDER, int(chance.random() * plan.older))


def _arrive(session: Session, chance: random.Random, one: Person, at: float) -> None:
    if not one.hosted and chance.random() < 0.3:
        session.event(at, "onboarding.login_success", one.id, '{"method":"password"}')
    else:
        session.event(at, "auth.token_refresh", one.id)


def _leave(session: Session, chance: random.Random, one: Person, at: float) -> None:
    if chance.random() < 0.6:
        session.event(at, "auth.token_refresh", one.id)
    if chance.random() < 0.25:
        session.event(at + 2, "auth.logout", one.id)


def _ask(today: _Day, one: Person, at: float, words: random.Random | None, *, with_events: bool) -> None:
    """One conversation: each question a request, each request its row, kept ones with every word."""
    chance = today.chance
    model = _model(chance)
    luck = chance.random()
    questions = next(n for n, edge in enumerate(_QUESTIONS, 1) if luck <= edge)
    conversation = as_uuid(chance.getrandbits(128))
    session = Session(today.sink, today.clock, chance, today.limits)
    if with_events:
        _arrive(session, chance, one, at - 20)
        session.event(at - 2, "chat.session_start", one.id, f'{{"conversation_id":"{conversation}","mode":"green"}}')
    story = None
    if words is not None:
        story = talk.begin(words, one.chance, today.plan.midnight(today.day), questions, _stale(today))
    began, history = at, 0
    messages: list[str] = []
    for number in range(questions):
        if at >= today.limits[1]:
            break
        message = as_uuid(chance.getrandbits(128))
        if with_events:
            session.event(at, "chat.message_sent", one.id, f'{{"conversation_id":"{conversation}"}}')
        turn = story.turn(number) if story else None
        answered, history = _request(today, one, model, conversation, message, at, history, turn, messages)
        if turn and words and answered < today.limits[1]:
            _voice(today, session, one, message, answered, turn, words)
        at = answered + 8 + chance.expovariate(1 / 55)
    if with_events:
        _leave(session, chance, one, at + 20)
    if story and messages:
        _keep(today, one, conversation, began, at, messages, model)


def _model(chance: random.Random) -> tuple[str, float, float, float, float]:
    luck = chance.random()
    return next(model for model in _MODELS if luck <= model[1])


def _stale(today: _Day) -> int:
    """For how many days the night's figures have been missing; 0 on most days."""
    failed = today.plan.failed_nights
    return (
        1 if failed.get(today.day) == "failed" else 2 if failed.get(today.day - 1) == "failed" and today.day % 2 else 0
    )


def _request(
    today: _Day,
    one: Person,
    model: tuple[str, float, float, float, float],
    conversation: str,
    message: str,
    at: float,
    history: int,
    turn: talk.Turn | None,
    messages: list[str],
) -> tuple[float, int]:
    """One request's row, and the messages of a kept one. Returns when the answer was there and the tokens so far."""
    chance = today.chance
    name, _, median, spread, first_share = model
    tired = 1 + 0.18 * math.sin((at / DAY - 0.35) * 2 * math.pi)  # slower when America is up
    overloaded = today.incident[0] <= at < today.incident[1]
    if turn is not None:
        count, tools = len(turn.tools), NULL
        tokens_out = max(12, round(len(turn.answer) / 3.9))
        if count:
            listed = [call.as_metric() for call in turn.tools]
            tools = escaped(compact_json({"tools": listed} if chance.random() < 0.6 else listed))
    else:
        count, tools = today.tools[int(chance.random() * len(today.tools))]
        tokens_out = int(140 * math.exp(chance.gauss(0, 0.75))) + 18
    seconds = median * tired * math.exp(chance.gauss(0, spread)) * (0.72 + 0.12 * count + tokens_out / 900)
    if overloaded:
        seconds *= 2.4 if name == "gpt-5-mini" else 3.6
    if count and today.night[0] <= at < today.night[1]:
        seconds = seconds * 1.5 + 1.0
    tokens_in = 900 + history + int(420 * count * math.exp(chance.gauss(0.6, 0.5)) + chance.expovariate(1 / 350))
    fault = faults.draw(chance, name, count, overloaded=overloaded, certain=bool(turn and turn.flaw == "error"))
    first: float | None = min(seconds, seconds * first_share * math.exp(chance.gauss(0, 0.18)))
    wrong = f"{NULL}\t{NULL}"
    out: int | None = tokens_out
    if fault is not None:
        kind, words, cut = fault
        wrong = f"{kind}\t{words}"
        seconds = max(seconds, cut)
        if kind in ("incomplete_response", "STREAM_FAILED"):
            out = tokens_out // 3
        else:
            out = first = None
    answered = at + seconds
    # The month ends here: what is still being answered has no row yet.
    if answered >= today.limits[1]:
        return answered, history
    total_ms = int(seconds * 1000)
    first_ms = None if first is None else int(first * 1000)
    total = None if out is None else tokens_in + out
    shown_first, shown_out, shown_total = (NULL if v is None else v for v in (first_ms, out, total))
    identifier = as_uuid(chance.getrandbits(128))
    today.sink.add(
        REQUESTS if answered < DAY else LATER + REQUESTS,
        f"{identifier}\t{conversation}\t{message}\t{one.id}\t{name}\t{tokens_in}\t{shown_out}\t{shown_total}"
        f"\t{shown_first}\t{total_ms}\t{count}\t{tools}\t{wrong}\t{today.clock(answered)}\n",
    )
    if turn is not None:
        answer: str | None = turn.answer
        error = None
        if fault is not None:
            answer = turn.answer[: len(turn.answer) // 3].rsplit(" ", 1)[0] if out else None
            error = compact_json({"type": fault[0], "message": json.loads(f'"{fault[1]}"')})
        _messages(
            today, conversation, message, at, answered, turn, answer, error, messages,
            f"{shown_first}\t{total_ms}\t{tokens_in}\t{shown_out}\t{shown_total}",
        )  # fmt: skip
    return answered, history + tokens_out + 40


def _messages(
    today: _Day,
    conversation: str,
    message: str,
    at: float,
    answered: float,
    turn: talk.Turn,
    answer: str | None,
    error: str | None,
    messages: list[str],
    figures: str,
) -> None:
    """The question, now and then its tools' own messages, and the answer."""
    chance, clock = today.chance, today.clock
    none = f"{NULL}\t" * 7

    def put(identifier: str, role: str, content: str | None, rest: str, moment: float) -> None:
        messages.append(f"{identifier}\t{conversation}\t{role}\t{field(content)}\t{rest}\t{clock(moment)}\n")

    put(as_uuid(chance.getrandbits(128)), "user", turn.question, f"{none}{NULL}", at)
    calls = NULL
    if turn.tools:
        split = chance.random() < 0.25
        calls = escaped(compact_json([call.as_stored(with_result=not split) for call in turn.tools]))
        step = (answered - at) / (len(turn.tools) + 2)
        for number, call in enumerate(turn.tools if split else (), 1):
            put(
                as_uuid(chance.getrandbits(128)), "tool", compact_json(call.result or {"error": call.error}),
                f"{escaped(compact_json([{'name': call.name, 'id': call.id}]))}\t{NULL}\t{call.milliseconds}"
                f"\t{NULL}\t{NULL}\t{NULL}\t{NULL}\t{NULL}",
                at + step * number,
            )  # fmt: skip
    put(message, "assistant", answer, f"{calls}\t{figures}\tmsg_{message[:8]}\t{field(error)}", answered)


def _voice(
    today: _Day,
    session: Session,
    one: Person,
    message: str,
    answered: float,
    turn: talk.Turn,
    words: random.Random,
) -> None:
    voice: Voice | None = voice_on(words, turn)
    at = answered + 6 + words.expovariate(1 / 45)
    if voice is None or at >= today.limits[1]:
        return
    identifier = metro_id(today.plan.seed, words.getrandbits(74))
    today.sink.add(
        "ai_feedback",
        f"{identifier}\t{message}\t{voice.rating}\t{field(voice.edited)}\t{field(voice.comment)}\t{today.clock(at)}\n",
    )
    session.event(at, "chat.feedback_given", one.id, f'{{"message_id":"{message}","rating":"{voice.rating}"}}')


def _keep(
    today: _Day,
    one: Person,
    conversation: str,
    began: float,
    ended: float,
    messages: list[str],
    model: tuple[str, float, float, float, float],
) -> None:
    provider = "anthropic" if model[0].startswith("claude") else "openai"
    shown = json.dumps({"model": model[0], "prompt_version": "v41" if today.day > 9 else "v40", "surface": "chat"})
    last = min(ended, today.limits[1] - 0.001)
    today.sink.add(
        "agent_conversations",
        f"{conversation}\t{one.id}\tgreen\t{provider}\tthread_{conversation[:8]}\t{shown}\t{today.clock(began)}"
        f"\t{today.clock(last)}\n",
    )
    for message in messages:
        today.sink.add("agent_messages", message)


def _ready_call(name: str, bits: int) -> dict[str, object]:
    """A call with its time, some tools slower than others; now and then one that failed."""
    took = round((60 + 45 * len(name)) * (0.25 + (bits % 1009 / 1009) ** 3 * 3))
    call: dict[str, object] = {"name": name, "id": f"call_{bits:012x}", "duration_ms": took}
    return {**call, "duration_ms": 10_000, "error": "timeout"} if bits % 61 == 0 else call


def _ready_tools(chance: random.Random) -> tuple[tuple[int, str], ...]:
    """Some hundred ready pairs of count and JSON, in both shapes."""
    ready = []
    for _ in range(400):
        luck = chance.random()
        names = TOOL_SETS[next(n for n, edge in enumerate(_TOOL_WEIGHTS) if luck <= edge)]
        listed = [_ready_call(name, chance.getrandbits(48)) for name in names]
        if not listed:
            ready.append((0, NULL))
        else:
            bare = [{"name": call["name"]} for call in listed]
            shape: object = {"tools": listed} if chance.random() < 0.6 else bare
            ready.append((len(listed), compact_json(shape)))
    return tuple(ready)
