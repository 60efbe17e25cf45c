"""What changed between two texts, word by word."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["same", "removed", "added"]

# A word with the space after it. Together the tokens are the text.
_TOKEN = re.compile(r"\s*\S+\s*?|\s+")
# Beyond that many words, lines are compared instead: the time grows with the square.
WORDS = 4_000


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text: in both, in the first only (`removed`) or in the second only (`added`)."""

    kind: Kind
    text: str


def word_diff(before: str, after: str) -> list[Segment]:
    """The segments of both texts, in order. Those that are the same or removed are `before`, put together; those that
    are the same or added are `after`. By Ratcliff and Obershelp's matching blocks (`difflib`), over words; of texts
    with more than WORDS words over lines."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    if max(len(old), len(new)) > WORDS:
        old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    found: list[Segment] = []
    for kind, low, high, start, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            _add(found, "same", "".join(old[low:high]))
        else:
            _add(found, "removed", "".join(old[low:high]))
            _add(found, "added", "".join(new[start:end]))
    return found


def _add(found: list[Segment], kind: Kind, text: str) -> None:
    if text:
        found.append(Segment(kind, text))
