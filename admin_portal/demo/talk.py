"""What is asked and answered: stories of one to six turns about somebody's portfolio, good and bad."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from admin_portal.demo.holdings import Holdings, holdings

# Of 100 answers: what is wrong with them. An error is a request that fails.
_FLAWS = ((2.2, "contradiction"), (3.6, "refusal"), (4.7, "invented"), (6.4, "vague"), (6.8, "error"))


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call, with what it gave back, or why it did not."""

    name: str
    id: str
    arguments: dict[str, Any]
    result: dict[str, Any] | None
    milliseconds: int
    error: str = ""

    def as_metric(self) -> dict[str, Any]:
        told: dict[str, Any] = {"name": self.name, "id": self.id, "duration_ms": self.milliseconds}
        return {**told, "error": self.error} if self.error else told

    def as_stored(self, *, with_result: bool) -> dict[str, Any]:
        """As the message keeps it; the result may be in a message of its own."""
        stored = {"name": self.name, "id": self.id, "arguments": self.arguments, "duration_ms": self.milliseconds}
        if self.error:
            stored["error"] = self.error
        elif with_result:
            stored["result"] = self.result
        return stored


@dataclass(slots=True)
class Turn:
    """A question and its answer. `flaw` is "" for a good one; `better` is what the person would have wanted."""

    question: str
    tools: list[Call]
    answer: str
    flaw: str = ""
    better: str = ""


# A question, its answer, and what would have been better ("": nothing).
Told = tuple[str, str, str]


@dataclass(slots=True)
class Scene:
    """What a topic needs to tell its turn."""

    chance: random.Random
    holdings: Holdings
    today: dt.date
    flaw: str
    calls: list[Call] = field(default_factory=list)

    def call(self, name: str, result: dict[str, Any], **arguments: Any) -> bool:
        """A call to a tool. False where it did not answer in time."""
        slow = self.chance.random() < 0.012
        took = 10_000 if slow else int(90 + self.chance.expovariate(1 / 420))
        given = {"portfolio_id": self.holdings.id, **arguments} if name != "search_knowledge" else arguments
        identifier = f"call_{self.chance.getrandbits(48):012x}"
        self.calls.append(Call(name, identifier, given, result, took, "timed out after 10 s" if slow else ""))
        return not slow

    def portfolio(self) -> None:
        """The call that nearly every answer begins with."""
        held = self.holdings
        self.call(
            "get_portfolio_complete",
            {"positions": len(held.positions), "as_of": held.as_of.isoformat(), "value": held.value, "cash": held.cash},
            as_of=self.today.isoformat(),
        )

    def one_of(self, *texts: str) -> str:
        return self.chance.choice(texts)

    def figure(self, low: float, high: float, digits: int = 1) -> float:
        return round(self.chance.uniform(low, high), digits)

    @property
    def as_of(self) -> str:
        day = self.holdings.as_of
        return f"{day.day} {day:%B}"


Topic = Callable[[Scene], Told]


def table(*rows: tuple[Any, ...]) -> str:
    """A Markdown table; the first row is its head, figures stand to the right."""
    head, *body = rows
    rule = "|".join(" --- " if n == 0 else " ---: " for n in range(len(head)))
    lines = [" | ".join(map(str, row)) for row in (head, *body)]
    return f"| {lines[0]} |\n|{rule}|\n" + "\n".join(f"| {text} |" for text in lines[1:])


class Story:
    """One conversation: its topic decides the first turn, later ones follow up on it."""

    def __init__(self, chance: random.Random, chance_of_person: int, midnight: dt.datetime, stale_days: int) -> None:
        from admin_portal.demo.follow_ups import FOLLOW_UPS  # they need what is defined above
        from admin_portal.demo.topics import TOPICS

        self._chance, self._person, self._stale = chance, chance_of_person, stale_days
        self._today = midnight.date()
        self._first = chance.choice(TOPICS)
        self._next = [*chance.sample(FOLLOW_UPS, k=3), chance.choice(TOPICS), chance.choice(TOPICS)]

    def turn(self, number: int) -> Turn:
        """The so-manieth turn, from 0; to be asked for in order."""
        luck = self._chance.random() * 100
        flaw = next((kind for edge, kind in _FLAWS if luck < edge), "")
        behind = 0
        if self._stale and not flaw and self._chance.random() < 0.45:
            flaw, behind = "stale", self._stale
        as_of = self._today - dt.timedelta(days=1 + behind)
        scene = Scene(self._chance, holdings(self._person, as_of), self._today, flaw)
        topic = self._first if number == 0 else self._next[(number - 1) % len(self._next)]
        question, answer, better = topic(scene)
        if flaw == "refusal":
            answer, better = _refusal(scene), answer
            scene.calls.clear()
        elif flaw == "vague":
            answer, better = _vague(scene), answer
        elif flaw == "stale":
            better = f"Figures are of {scene.as_of}, as last night’s batch failed. " + answer
        if not flaw and any(call.error for call in scene.calls):
            late = next(call.name for call in scene.calls if call.error)
            answer += f"\n\n*`{late}` did not answer in time, so this leaves out what it would have added.*"
        return Turn(question, list(scene.calls), answer, flaw, better)


def begin(chance: random.Random, person: int, midnight: dt.datetime, questions: int, stale_days: int) -> Story:
    """A new story of at most `questions` turns, told on the day that begins at `midnight`."""
    return Story(chance, person, midnight, stale_days)


def _refusal(scene: Scene) -> str:
    return scene.one_of(
        "I can’t give personalised investment advice. Consider speaking with a licensed financial adviser about your "
        "individual circumstances.",
        "As an AI I don’t have access to real-time market data, so I’m unable to answer this. Your broker’s statement "
        "will have the current figures.",
        "I’m sorry, but I can’t help with that. Decisions like this depend on your goals, time horizon and risk "
        "tolerance, which only a professional can assess.",
        f"I can’t recommend buying or selling {scene.holdings.positions[0].ticker}. Past performance is no guarantee "
        "of future results.",
    )


def _vague(scene: Scene) -> str:
    return scene.one_of(
        "There are several factors to consider here. Diversification matters, and so do costs and time horizon. In "
        "general, a balanced portfolio tends to weather volatility better. Let me know if you’d like more detail.",
        "That depends on many things. Broadly, risk and return go together, and markets can move quickly. It may be "
        "worth reviewing your allocation from time to time.",
        "Good question. Investors often look at valuation, momentum and quality. Each has periods in which it does "
        "well and periods in which it does not.",
    )
