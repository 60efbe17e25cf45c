"""What a person did to an answer: from the difference between what the AI said and the text they would have wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from ai_tuning.learning.traits import CHARACTERS, text_traits, word_count

# A text is compared word by word up to here: the comparison is quadratic at worst.
COMPARED_WORDS = 400
# Shorter or longer by this share is a change of length.
CHANGED_LENGTH = 0.2
# Phrases of more words than this are passages, not wording.
SWAPPED_WORDS, DROPPED_WORDS, PHRASE_CHARACTERS = 3, 8, 60
# What is not wording but fact is no preference: 12.5 for 12.7.
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"\w+(?:['’-]\w+)*")
# Words that mean nothing alone, and swap by accident of grammar.
_EMPTY = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "been", "by", "for", "from", "had", "has", "have", "he", "her",
    "his", "i", "if", "in", "is", "it", "its", "of", "on", "or", "our", "she", "so", "that", "the", "their",
    "them", "they", "this", "to", "was", "we", "were", "what", "which", "will", "with", "you", "your",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edit:
    """How one answer was edited.

    `change`: of its length in words, relative (−0.5: half of it is gone). `before`, `after`: traits of the texts.
    `swapped`: (what it said, what it should say), `dropped`: what was taken away; lower case, without numbers. `words`:
    what it said, as " word word ", up to COMPARED_WORDS.
    """

    change: float
    before: frozenset[str]
    after: frozenset[str]
    swapped: frozenset[tuple[str, str]]
    dropped: frozenset[str]
    words: str

    @property
    def shortened(self) -> bool:
        return self.change <= -CHANGED_LENGTH

    @property
    def lengthened(self) -> bool:
        return self.change >= CHANGED_LENGTH

    def said(self, phrase: str) -> bool:
        """Whether the answer had the phrase in it, as whole words."""
        return f" {phrase} " in self.words


def edit_of(original: str, edited: str) -> Edit | None:
    """What was done; None where nothing was, or one of the texts has no words."""
    original, edited = original[:CHARACTERS], edited[:CHARACTERS]
    if original.split() == edited.split():
        return None
    said, wanted = word_count(original), word_count(edited)
    if not said or not wanted:
        return None
    old = [word.casefold() for word in _WORD.findall(original)[:COMPARED_WORDS]]
    new = [word.casefold() for word in _WORD.findall(edited)[:COMPARED_WORDS]]
    swapped: set[tuple[str, str]] = set()
    dropped: set[str] = set()
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "replace" and b - a <= SWAPPED_WORDS and d - c <= SWAPPED_WORDS:
            pair = (" ".join(old[a:b]), " ".join(new[c:d]))
            if _is_wording(old[a:b]) and _is_wording(new[c:d]):
                swapped.add(pair)
        elif what == "delete" and b - a <= DROPPED_WORDS and _is_wording(old[a:b]):
            dropped.add(" ".join(old[a:b]))
    return Edit(
        (wanted - said) / said,
        frozenset(text_traits(original)),
        frozenset(text_traits(edited)),
        frozenset(swapped),
        frozenset(dropped),
        f" {' '.join(old)} ",
    )


def _is_wording(words: list[str]) -> bool:
    """Whether it is a phrase that can be preferred: some word that means something, no figures, and not a passage."""
    return (
        any(word not in _EMPTY for word in words)
        and not any(_DIGIT.search(word) for word in words)
        and sum(map(len, words)) <= PHRASE_CHARACTERS
    )
