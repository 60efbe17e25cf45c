"""What people say of answers."""

from __future__ import annotations

import random
from dataclasses import dataclass

from admin_portal.demo.talk import Turn


@dataclass(frozen=True, slots=True)
class Voice:
    rating: str
    comment: str | None
    edited: str | None


_UP = (
    "Exactly what I needed.", "Clear, and the table helps.", "Finally an answer with numbers.", "Thanks!",
    "Matches what my broker shows.", "Good that it says how old the data is.", "Short and right.",
    "The ranking by contribution is great.", "Would love this as a weekly mail.",
)  # fmt: skip
_DOWN = {
    "stale": (
        "These are Tuesday’s prices. I traded since.", "Out of date, and it doesn’t say so.",
        "The total is off by yesterday’s move.", "My cash is wrong, that was before the deposit.",
    ),
    "contradiction": (
        "The table says something else than the text.", "I sold that. The table even says 0. It just made this up.",
        "First sentence and table contradict each other.", "Which one is it now?",
    ),
    "refusal": (
        "I didn’t ask for advice, I asked for a number.", "Refuses something it answered last week.",
        "It has my portfolio. Why can’t it say?", "Useless disclaimer.",
    ),
    "invented": (
        "I never held that.", "This position does not exist.", "Where does this figure come from? No source.",
    ),
    "vague": (
        "Could have been written without looking at my portfolio.", "No numbers.", "Generic.",
    ),
    "error": ("It stopped in the middle.", "Nothing came back.", "Had to ask three times."),
    "": ("Too long.", "Not what I meant.", "Wrong period, I said a year.", "I wanted it in euros."),
}  # fmt: skip


def voice_on(chance: random.Random, turn: Turn) -> Voice | None:
    """The thumb on an answer, if there is one: some 7 % of answers are rated, bad ones oftener."""
    flawed = bool(turn.flaw)
    if chance.random() >= (0.10 if flawed else 0.066):
        return None
    if chance.random() < (0.40 if flawed else 0.008):
        comment = chance.choice(_DOWN[turn.flaw]) if chance.random() < 0.8 else None
        edited = turn.better if turn.better and chance.random() < 0.45 else None
        return Voice("down", comment, edited)
    return Voice("up", chance.choice(_UP) if chance.random() < 0.22 else None, None)
