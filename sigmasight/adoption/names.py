"""Names in SQL text. Statements are shown to people before they run, so they are text and not psycopg's objects."""

from __future__ import annotations

import re
from hashlib import sha1

# Where the migrations make what is wanted. It goes when adoption is over.
TARGET_SCHEMA = "sigmasight_adoption"
# What adoption adds for its own use to a table that is there begins so, and goes again.
OWN = "adopt_"
LONGEST = 63

_CASTS = re.compile(r"::(?:character varying|text)(?:\(\d+\))?(?:\[\])?|[() ]")
_OF_TARGET = re.compile(rf'"?{TARGET_SCHEMA}"?\.')


def quote(name: str) -> str:
    """An identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string constant (as standard_conforming_strings reads it)."""
    return "'" + text.replace("'", "''") + "'"


def qualified(schema: str, name: str) -> str:
    """A table or another thing in its schema, quoted."""
    return f"{quote(schema)}.{quote(name)}"


def rehomed(text: str, schema: str) -> str:
    """A definition of the target schema, as it reads once the thing stands in `schema`."""
    return _OF_TARGET.sub(lambda _: f"{quote(schema)}.", text)


def gist(definition: str) -> str:
    """An expression without its text casts and brackets: PostgreSQL writes more of them each time it is given back its
    own text."""
    return _CASTS.sub("", definition)


def with_suffix(name: str, suffix: str) -> str:
    """`name` and `suffix`, shortened so that PostgreSQL takes it and two long names stay two."""
    if len(name.encode()) + len(suffix.encode()) <= LONGEST:
        return name + suffix
    mark = sha1(name.encode(), usedforsecurity=False).hexdigest()[:8]
    room = LONGEST - len(suffix.encode()) - len(mark) - 1
    return f"{name.encode()[:room].decode(errors='ignore')}_{mark}{suffix}"
