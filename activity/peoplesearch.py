"""Finding people by a piece of their name or e-mail address, among a million, on any PostgreSQL.

pg_trgm would be the tool, but it is an extension, which the embedded PostgreSQL does not have and an ordinary owner may
not add. So an index of our own does as it does: of each person, every three characters in a row (`pieces`), made by
built-in functions alone, so that nothing of ours runs inside the application's INSERT. E-mail address and name stand in
it in small letters, each after two blanks, with `@ . _ + - |` as blanks.

What is searched for are words: somebody is found who has them all, each anywhere in the address or the name; a word of
one or two characters only where a part of them (a word, what follows a dot) begins, and single letters without any
longer word only where the address or the name does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.fields.array import ArrayContains  # type: ignore[attr-defined]
from django.db import connections
from django.db.models import F, Field, Func, Q, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Lower, StrIndex, Substr
from django.db.models.lookups import GreaterThan

_MARKS, _BLANKS = "@._+-|", "      "
LONGEST, MOST_WORDS = 200, 8
SHORT, TELLING = 3, 4


def spelled() -> Func:
    """A person's address and name, as `pieces` are cut from it."""
    whole = _joined(Value("  "), F("email"), Value("  "), F("full_name"))
    return _function("translate", Lower(whole), Value(_MARKS), Value(_BLANKS))


def pieces() -> Func:
    """Every three characters in a row of `spelled`, as an array; what the index `ix_users_pieces` holds."""
    cut = [
        _function("regexp_replace", Substr(spelled(), start), Value("(...)"), Value(r"\1|"), Value("g"))
        for start in (1, 2, 3)
    ]
    joined = _joined(cut[0], Value("|"), cut[1], Value("|"), cut[2])
    return _function("string_to_array", joined, Value("|"), output=ArrayField(TextField()))


def _holds(text: Combinable, piece: str) -> GreaterThan:
    return GreaterThan(StrIndex(text, Value(piece)), 0)


def having(wanted: Sequence[str]) -> ArrayContains:
    """Whether a person has all these pieces: what the index can tell."""
    return ArrayContains(pieces(), list(wanted))


def _joined(*texts: Combinable) -> Func:
    # In this order, as migrations write it down, and compare it.
    return Func(*texts, arg_joiner=" || ", output_field=TextField(), template="(%(expressions)s)")


def _function(name: str, *arguments: Combinable, output: Field | None = None) -> Func:  # type: ignore[type-arg]
    return Func(*arguments, function=name, output_field=output or TextField())


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody searches for, in small letters as the database makes them."""

    words: tuple[str, ...]

    @property
    def is_found(self) -> Q:
        """Whether somebody is found, told by reading their text. The planner takes most for found: so it goes through
        people in the list's order, and stops when there are enough."""
        found = Q()
        for word in self.words:
            if len(word) < SHORT:
                found &= Q(_holds(spelled(), self._blanks + _plain(word)))
            else:
                found &= Q(_holds(Lower("email"), word)) | Q(_holds(Lower("full_name"), word))
        return found

    @property
    def _blanks(self) -> str:
        """Before a short word. Where there are but single letters, there must be a piece of each: they begin the whole
        address or name."""
        return "  " if all(len(word) == 1 for word in self.words) else " "

    @property
    def pieces(self) -> list[str]:
        """What the index holds of everybody who is found."""
        found: dict[str, None] = {}
        for word in self.words:
            text = _plain(word)
            if len(word) < SHORT:
                text = self._blanks + text
            found |= dict.fromkeys(text[place : place + SHORT] for place in range(len(text) - SHORT + 1))
        return list(found)

    def telling_pieces(self, sample: Sequence[tuple[str, str]]) -> list[str]:
        """The few pieces that tell most: those that fewest of a sample of people (address, name) have. The others, that
        nearly everybody has, would only make the index slow."""
        texts = [_plain(f"  {email}  {name}".lower()) for email, name in sample]
        return sorted(self.pieces, key=lambda piece: sum(piece in text for text in texts))[:TELLING]


def wanted(text: str) -> Wanted | None:
    """What a text asks for, None for nothing. Raises ValueError where it is too much."""
    if len(text) > LONGEST:
        raise ValueError(f"That is {len(text)} characters to search for: {LONGEST} are the most.")
    text = text.replace("\x00", "")
    if not text.split():
        return None
    with connections["default"].cursor() as cursor:
        # Which letters are small ones of which depends on the database's locale: so it is asked.
        cursor.execute("SELECT lower(%s)", [text])
        words = cursor.fetchone()[0].split()
    if len(words) > MOST_WORDS:
        raise ValueError(f"Those are {len(words)} words to search for: {MOST_WORDS} are the most.")
    return Wanted(tuple(dict.fromkeys(words)))


def _plain(word: str) -> str:
    return word.translate(str.maketrans(_MARKS, _BLANKS))
