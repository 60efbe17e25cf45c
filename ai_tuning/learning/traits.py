"""What can be said of one answer without understanding it: its length, form, wording, topic, and how it came about."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

# Of a text, so much is looked at.
CHARACTERS = 20_000
LONG_WORDS, SHORT_WORDS = 250, 60
SLOW_MS = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What a trait is found in. `latency_ms` None: nobody measured."""

    text: str
    used_tools: bool = False
    failed: bool = False
    latency_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Trait:
    """Something that an answer has or has not.

    `noun` completes "answers …". `dimension`: what it is a matter of; traits that exclude each other share one. `less`
    and `more`: the rule that follows where people dislike or like it, "" where none does (then it is a finding for
    admins: no rule makes an answer quicker). Each with the direction it goes in, so that opposite rules replace each
    other.
    """

    name: str
    type: str
    category: str
    noun: str
    dimension: str
    less: tuple[str, str] = ("", "")
    more: tuple[str, str] = ("", "")


def _form(name: str, noun: str, less: str, more: str, dimension: str = "") -> Trait:
    return Trait(name, "format", "format", noun, dimension or name, ("less", less), ("more", more))


def _topic(name: str, words: str) -> Trait:
    return Trait(f"topic_{name}", "topic", "topic_preference", f"about {words}", f"topic_{name}")


SHORTER = "Keep answers short: give the result first and leave out what was not asked for."
LONGER = "Give detailed answers: explain how a result comes about and what it means."

TRAITS: tuple[Trait, ...] = (
    Trait(
        "long",
        "preference",
        "communication_style",
        f"of {LONG_WORDS} words or more",
        "length",
        ("shorter", SHORTER),
        ("longer", LONGER),
    ),
    Trait(
        "short",
        "preference",
        "communication_style",
        f"of {SHORT_WORDS} words or fewer",
        "length",
        ("longer", LONGER),
        ("shorter", SHORTER),
    ),
    _form(
        "table",
        "with a table",
        "Avoid tables: say it in sentences or a short list.",
        "Show figures that belong together as a table.",
    ),
    _form("bullets", "with a list", "Avoid bullet lists: write in sentences.", "Use bullet lists for several points."),
    _form("headings", "with headings", "Leave out headings.", "Structure answers with headings."),
    _form("code", "with code", "Leave out code.", "Show code or formulas where they help."),
    _form(
        "many_numbers",
        "dense with numbers",
        "Give fewer numbers: only those that matter, and say what they mean.",
        "Back statements with numbers.",
    ),
    Trait(
        "hedging",
        "style",
        "tone",
        "that hedge",
        "hedging",
        ("less", "Be direct: say what the data show, without hedging words."),
        ("more", "Say how certain a statement is."),
    ),
    Trait(
        "disclaimer",
        "style",
        "tone",
        "with a disclaimer",
        "disclaimer",
        ("less", "Leave out general disclaimers that were not asked for."),
        ("more", ""),
    ),
    Trait("apology", "style", "tone", "that apologise", "apology", ("less", "Don’t apologise: answer."), ("more", "")),
    Trait(
        "closing_question",
        "style",
        "tone",
        "that end in a question",
        "closing_question",
        ("less", "Don’t end answers with a question or an offer."),
        ("more", "End answers with a question or a next step."),
    ),
    Trait("refusal", "style", "content", "that refuse", "refusal"),
    Trait("used_tools", "finding", "data", "that used tools", "used_tools"),
    Trait("slow", "finding", "speed", f"that took {SLOW_MS // 1000} s or more", "slow"),
    Trait("failed", "finding", "errors", "that carry an error", "failed"),
    _topic("risk", "risk"),
    _topic("performance", "performance"),
    _topic("market", "the market"),
    _topic("technical", "technical analysis"),
    _topic("fundamentals", "fundamentals"),
    _topic("options", "options"),
    _topic("news", "news"),
)
BY_NAME = {trait.name: trait for trait in TRAITS}

_WORD = re.compile(r"\w+(?:['.,-]\w+)*")
_NUMBER = re.compile(r"(?<![\w.])[-+$€£]?\d[\d,.]*%?")
# Once is a manner of speaking, twice is hedging.
_HEDGES = frozenset({
    "may", "might", "could", "perhaps", "possibly", "probably", "likely", "seem", "seems", "appear", "appears",
    "generally", "typically", "arguably",
})  # fmt: skip
_MANY_NUMBERS, _NUMBERS_PER_100_WORDS = 5, 8


def _at_least(count: int, sign: str, pattern: str) -> Callable[[str], bool]:
    """Whether a pattern is there so often; without its sign it can't be, which is quicker to see."""
    found = re.compile(pattern, re.MULTILINE)

    def enough(text: str) -> bool:
        return sign in text and sum(1 for _ in islice(found.finditer(text), count)) == count

    return enough


_FORMS: dict[str, Callable[[str], bool]] = {
    "table": _at_least(1, "---", r"^[ \t]{0,3}\|?[ \t]{0,8}:?-{3,}:?[ \t]{0,8}\|"),
    "bullets": _at_least(3, "\n", r"^[ \t]{0,8}(?:[-*•]|\d{1,2}[.)])[ \t]+\S"),
    "headings": _at_least(2, "#", r"^#{1,6}[ \t]+\S"),
    "code": _at_least(1, "```", r"^[ \t]{0,3}```"),
    "closing_question": lambda text: text.rstrip(" \t\r\n*_").endswith("?"),
}
# Words and phrases, in lower case, as they stand between spaces once everything else is gone.
_SAYS: dict[str, tuple[str, ...]] = {
    "disclaimer": (
        "not financial advice", "not a financial advisor", "not investment advice", "consult a financial",
        "consult your financial", "consult with a financial", "past performance", "for informational purposes",
        "do your own research",
    ),
    "apology": ("sorry", "apologize", "apologise", "apologies", "my mistake"),
    "refusal": (
        "i can't", "i cannot", "i am not able", "i'm not able", "i am unable", "i'm unable", "unable to provide",
        "unable to retrieve", "unable to access", "unable to answer", "i don't have access", "i do not have access",
        "i don't have enough", "i do not have enough", "as an ai",
    ),
    "topic_risk": ("risk", "risks", "volatility", "beta", "drawdown", "value at risk", "var", "stress test"),
    "topic_performance": ("return", "returns", "performance", "gain", "gains", "loss", "losses"),
    "topic_market": ("market", "markets", "sector", "sectors", "index", "benchmark"),
    "topic_technical": ("technical", "chart", "charts", "moving average", "rsi", "indicator", "indicators"),
    "topic_fundamentals": ("earnings", "revenue", "valuation", "pe ratio", "balance sheet", "cash flow"),
    "topic_options": ("option", "options", "strike", "expiration", "greeks", "delta", "theta"),
    "topic_news": ("news", "headline", "headlines", "announcement", "announcements"),
}  # fmt: skip
_SINGLE = {name: frozenset(each for each in said if " " not in each) for name, said in _SAYS.items()}
_PHRASES = {name: tuple(f" {each} " for each in said if " " in each) for name, said in _SAYS.items()}


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case, numbers among them."""
    return _WORD.findall(text.casefold().replace("’", "'"))


def word_count(text: str) -> int:
    return len(words_of(text))


def traits_of(answer: Answer) -> frozenset[str]:
    """The names of the traits an answer has. An empty text has none but how it came about."""
    text = answer.text[:CHARACTERS]
    found = {name for name, holds in (("used_tools", answer.used_tools), ("failed", answer.failed)) if holds}
    if answer.latency_ms is not None and answer.latency_ms >= SLOW_MS:
        found.add("slow")
    if not text.strip():
        return frozenset(found)
    return frozenset(found | text_traits(text))


def text_traits(text: str) -> set[str]:
    """The names of the traits that the text alone shows."""
    found = {name for name, holds in _FORMS.items() if holds(text)}
    words = words_of(text)
    different, running = frozenset(words), f" {' '.join(words)} "
    for name, single in _SINGLE.items():
        if not single.isdisjoint(different) or any(phrase in running for phrase in _PHRASES[name]):
            found.add(name)
    if len(words) >= LONG_WORDS:
        found.add("long")
    elif len(words) <= SHORT_WORDS:
        found.add("short")
    numbers = len(_NUMBER.findall(text))
    if numbers >= _MANY_NUMBERS and numbers * 100 >= _NUMBERS_PER_100_WORDS * len(words):
        found.add("many_numbers")
    if not _HEDGES.isdisjoint(different) and sum(word in _HEDGES for word in words) >= 2:
        found.add("hedging")
    return found
