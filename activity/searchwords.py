"""What somebody typed into the search box, as PostgreSQL understands it.

The syntax is the web's: words (all of them), "exact words", or, -without; and a word with a * at its end stands for
all that begin so. Words are compared as English has them: taxes, taxed and tax are one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.db import DataError, OperationalError, ProgrammingError, connections, transaction
from psycopg.errors import ProgramLimitExceeded

# More of a search than this says nothing that PostgreSQL would not refuse.
SEARCH_CHARACTERS = 1000
PREFIX_CHARACTERS = 3

_PREFIX = re.compile(r"(?<![\w*])(\w+)\*(?![\w*])")
# A made-up word that neither stemmer nor parser changes stands in for a prefix until the operators are understood.
_STAND_IN = "zqx{}zqx"
_LEXEME = re.compile(r"'(?:[^'\\]|''|\\.)*'")
_FOLLOWED_BY = re.compile(r"('(?:[^'\\]|''|\\.)*')|<(?:-|\d+)>")

NO_WORDS = (
    "There is no word in this to search for: the, of, is and the like are too common, and signs are no words. "
    "Add a word that the message must hold."
)
ONLY_WITHOUT = "A search that only leaves words out would find nearly everything: add a word that must be there."
SHORT_PREFIX = f"Write at least {PREFIX_CHARACTERS} letters before the *."
UNREADABLE = "This can’t be searched for: write a few words of the message."
CUT = f"Only the first {SEARCH_CHARACTERS:,} characters are searched for."


@dataclass(frozen=True, slots=True)
class Words:
    """A search, understood. The three queries are tsquery texts.

    `query`: what must match. `indexed`: what the index can say by itself, which `query` implies; where it is not the
    same (`exact` False: the order of words counts), what the index finds has to be looked at. `shown`: what to
    highlight, without the words that must not be there. `problem`: why there is nothing to search for and what to
    do; the rest is then empty. `note`: what was left out of account.
    """

    query: str = ""
    indexed: str = ""
    shown: str = ""
    problem: str = ""
    note: str = ""

    @property
    def exact(self) -> bool:
        return self.query == self.indexed

    @property
    def lexemes(self) -> list[str]:
        """The words to highlight as the index has them: taxed is tax."""
        return [_unquoted(each) for each in _LEXEME.findall(self.shown)]


def cleaned(text: str) -> str:
    """Without what PostgreSQL can't store, trimmed."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode().strip()


def understand(text: str) -> Words:
    """What the text asks for. Never fails: what makes no sense comes back as a problem."""
    text = cleaned(text)
    note = CUT if len(text) > SEARCH_CHARACTERS else ""
    prefixes: list[str] = []

    def stand_in(found: re.Match[str]) -> str:
        prefixes.append(found[1])
        return _STAND_IN.format(len(prefixes) - 1)

    text = _PREFIX.sub(stand_in, text[:SEARCH_CHARACTERS])
    if any(len(each) < PREFIX_CHARACTERS for each in prefixes):
        return Words(problem=SHORT_PREFIX)
    try:
        with transaction.atomic("default"), connections["default"].cursor() as cursor:
            cursor.execute(
                """
                SELECT websearch_to_tsquery('english', %(text)s)::text, ARRAY(
                       SELECT CASE WHEN numnode(english) > 0 THEN english ELSE to_tsquery('simple', word) END::text
                         FROM unnest(%(prefixes)s::text[]) WITH ORDINALITY AS each (word, place),
                              LATERAL to_tsquery('english', word) AS english ORDER BY place)
                """,
                {"text": text, "prefixes": [f"{each}:*" for each in prefixes]},
            )
            query, begun = cursor.fetchone()
            for number, prefix in enumerate(begun):
                query = query.replace(f"'{_STAND_IN.format(number)}'", f"( {prefix} )" if " " in prefix else prefix)
            cursor.execute("SELECT numnode(%(query)s::tsquery), querytree(%(query)s::tsquery)", {"query": query})
            nodes, shown = cursor.fetchone()
    except OperationalError as error:
        if isinstance(error.__cause__, ProgramLimitExceeded):  # a word, or all of them, too long
            return Words(problem=UNREADABLE)
        raise
    except (DataError, ProgrammingError):
        return Words(problem=UNREADABLE)
    if not nodes:
        return Words(problem=NO_WORDS)
    if shown in ("", "T"):
        return Words(problem=ONLY_WITHOUT)
    return Words(query, _without_order(query, shown), shown, note=note)


def _without_order(query: str, shown: str) -> str:
    """The query with "both" for "one after the other". A phrase that must not be there is left out: a message may
    hold its words in another order."""
    return _FOLLOWED_BY.sub(lambda found: found[1] or "&", shown if "!(" in query.replace(" ", "") else query)


def _unquoted(quoted: str) -> str:
    return quoted[1:-1].replace("''", "'").replace("\\\\", "\\")
