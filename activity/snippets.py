"""The piece of a message that shows what was searched for: safe segments, never HTML."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

# Marks that no honest text holds, and no other comes so far: PostgreSQL sets them round each word it finds.
BEGIN, END = "\x02", "\x03"
SHORT = 240  # characters that are shown whole
WIDTH = 160  # of a fragment, where a text is longer
LEAD = 50  # of those, before the first hit
WORD = 24  # a fragment is cut between words, where there is a space so near
# Of a text that holds the words more often than that, the first so many are weighed.
WEIGHED = 300

_MARKED = re.compile(f"{BEGIN}([^{BEGIN}{END}]*){END}")
_STRAY = str.maketrans("", "", BEGIN + END)
_SPACES = re.compile(r"\s+")


class Segment(NamedTuple):
    """A piece of a snippet, and whether it is one of the words that were searched for."""

    text: str
    is_hit: bool


class _Hit(NamedTuple):
    start: int
    end: int
    word: str


def snippet(marked: str, begins: bool = True, ends: bool = True) -> tuple[Segment, ...]:
    """The telling part of a text with marks round its hits, one or two fragments of it; white space becomes single
    spaces. `begins`, `ends`: whether the text begins and ends there, or was cut; what is left out is a "…"."""
    text, hits = _unmarked(_SPACES.sub(" ", marked).strip())
    if len(text) <= SHORT:
        chosen = [(0, len(text))]
    else:
        first = _fragment(text, hits)
        chosen = [first]
        shown = {hit.word for hit in hits if first[0] <= hit.start and hit.end <= first[1]}
        others = [hit for hit in hits if hit.word not in shown and not first[0] < hit.end <= first[1] + LEAD]
        if others and (second := _fragment(text, [hit for hit in others if not _touches(hit, first)])):
            chosen = _apart(first, second)
    pieces: list[Segment] = []
    if chosen[0][0] > 0 or not begins:
        pieces.append(Segment("…", False))
    for number, (start, end) in enumerate(chosen):
        if number:
            pieces.append(Segment(" … ", False))
        pieces += _pieces(text, hits, start, end)
    if chosen[-1][1] < len(text) or not ends:
        pieces.append(Segment("…", False))
    return _joined(pieces)


def _unmarked(marked: str) -> tuple[str, list[_Hit]]:
    """The text without its marks, and where the hits are in it."""
    parts: list[str] = []
    hits: list[_Hit] = []
    position = length = 0
    for found in _MARKED.finditer(marked):
        before = marked[position : found.start()].translate(_STRAY)
        start = length + len(before)
        length = start + len(found[1])
        parts += [before, found[1]]
        if found[1]:
            hits.append(_Hit(start, length, found[1].lower()))
        position = found.end()
    parts.append(marked[position:].translate(_STRAY))
    return "".join(parts), hits


def _fragment(text: str, hits: list[_Hit]) -> tuple[int, int]:
    """The stretch of WIDTH with the most different hits; of those, with the most side by side; then with the most."""
    best, place = (0, 0, 0), 0
    weighed = hits[:WEIGHED]
    for number, first in enumerate(weighed):
        together = [hit for hit in weighed[number : number + WIDTH] if hit.end <= first.start + WIDTH - LEAD]
        beside = sum(
            after.start - before.end <= 1 and after.word != before.word for before, after in pairwise(together)
        )
        score = (len({hit.word for hit in together}), beside, len(together))
        if score > best:
            best, place = score, first.start
    start = max(place - LEAD, 0)
    end = min(start + WIDTH, len(text))
    start = max(end - WIDTH, 0)
    if start and (space := text.find(" ", start, min(start + WORD, place))) >= 0:
        start = space + 1
    if end < len(text) and (space := text.rfind(" ", end - WORD, end)) > place:
        end = space
    return start, end


def _touches(hit: _Hit, fragment: tuple[int, int]) -> bool:
    return hit.start < fragment[1] and fragment[0] < hit.end


def _apart(one: tuple[int, int], other: tuple[int, int]) -> list[tuple[int, int]]:
    """Two fragments in their order, or one where they meet."""
    first, second = sorted((one, other))
    return [(first[0], max(first[1], second[1]))] if second[0] <= first[1] + 1 else [first, second]


def _pieces(text: str, hits: list[_Hit], start: int, end: int) -> list[Segment]:
    pieces = []
    position = start
    for hit in hits:
        if hit.end <= position or hit.start >= end:
            continue
        begun, done = max(hit.start, position), min(hit.end, end)
        pieces += [Segment(text[position:begun], False), Segment(text[begun:done], True)]
        position = done
    return [*pieces, Segment(text[position:end], False)]


def _joined(pieces: list[Segment]) -> tuple[Segment, ...]:
    """Without empty ones, and with neighbours of a kind as one."""
    joined: list[Segment] = []
    for piece in pieces:
        if joined and joined[-1].is_hit == piece.is_hit:
            joined[-1] = Segment(joined[-1].text + piece.text, piece.is_hit)
        elif piece.text:
            joined.append(piece)
    return tuple(joined)
