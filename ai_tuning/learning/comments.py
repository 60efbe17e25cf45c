"""What a comment complains of, by its words. English only: others are left to the language model."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ai_tuning.learning.traits import LONGER, SHORTER

CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that comments say. `rule`: what follows; dimension and direction as those of traits."""

    name: str
    noun: str
    category: str
    words: re.Pattern[str]
    dimension: str
    direction: str
    rule: str


def _complaint(name: str, noun: str, category: str, words: str, dimension: str, direction: str, rule: str) -> Complaint:
    found = re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    return Complaint(name, noun, category, found, dimension, direction, rule)


COMPLAINTS: tuple[Complaint, ...] = (
    _complaint(
        "too_long", "too long", "communication_style",
        r"(?:too|so|very) (?:long|wordy|verbose|much text)|shorter|more concise|brief(?:er)?|rambl\w+|tl;?dr",
        "length", "shorter", SHORTER,
    ),
    _complaint(
        "too_short", "too short", "communication_style",
        r"(?:too|so|very) (?:short|brief|shallow|vague|generic)|more details?|elaborate|not enough (?:detail|depth)",
        "length", "longer", LONGER,
    ),
    _complaint(
        "wrong", "wrong", "content",
        r"wrong|incorrect|inaccurate|not (?:true|right|correct|accurate)|mistakes?|errors?|made up|hallucinat\w+|"
        r"does(?:n['’]t| not) (?:add up|match)",
        "checking", "more", "Check figures against the data before stating them, and say where they come from.",
    ),
    _complaint(
        "outdated", "out of date", "content",
        r"out ?dated|out of date|old (?:data|numbers|prices|news)|stale|not current|yesterday['’]?s",
        "dating", "more", "Say which date the data are of.",
    ),
    _complaint(
        "beside_the_point", "beside the point", "content",
        r"(?:did(?:n['’]t| not)|does(?:n['’]t| not)) (?:answer|address)|not what i asked|off[- ]topic|irrelevant|"
        r"beside the point|missed the point",
        "answering", "more", "Answer the question that was asked first; anything else comes after it.",
    ),
    _complaint(
        "unclear", "hard to understand", "tone",
        r"confus\w+|unclear|hard to (?:read|follow|understand)|jargon|too technical|don['’]t understand|simpler",
        "plainness", "more", "Use plain words, and explain a technical term where it comes up.",
    ),
    _complaint(
        "unsourced", "without sources", "content",
        r"no sources?|sources?\?|citations?|where (?:does|did|do) (?:this|that|these|you)|references?",
        "sources", "more", "Name the source of what is stated.",
    ),
)  # fmt: skip


def complaints_in(comment: str) -> frozenset[str]:
    """The names of the complaints that a comment makes."""
    text = comment[:CHARACTERS]
    return frozenset(each.name for each in COMPLAINTS if each.words.search(text))
