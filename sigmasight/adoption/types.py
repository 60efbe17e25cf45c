"""Whether a column's type serves where another is wanted, and how it becomes that."""

from __future__ import annotations

import re
from enum import Enum

_SIZED = re.compile(r"(?P<base>[a-z][a-z ]*[a-z])(?:\((?P<size>\d+)(?:,(?P<scale>\d+))?\))?(?: COLLATE .+)?")
_TEXTS = ("character varying", "character", "text")
_INTEGERS = ("smallint", "integer", "bigint")


class Fit(Enum):
    """AS_IS: it serves. WIDEN: changing it touches the catalogue only. REWRITE: it rewrites every row. NEVER: not
    without knowing what the values mean."""

    AS_IS = "as it is"
    WIDEN = "widen"
    REWRITE = "rewrite"
    NEVER = "never"


def fit(there: str, wanted: str) -> Fit:
    """How a column of type `there` comes to serve where `wanted` is. Both as format_type() spells them.

    A wider type serves: what is written is the writers' business. A collation of their own stays.
    """
    if there == wanted:
        return Fit.AS_IS
    ours, theirs = _SIZED.fullmatch(wanted), _SIZED.fullmatch(there)
    if not ours or not theirs:
        return Fit.NEVER
    mine, base = ours["base"], theirs["base"]
    if mine in _TEXTS and base in _TEXTS:
        return _text(base, theirs["size"], mine, ours["size"])
    if mine in _INTEGERS and base in _INTEGERS:
        return Fit.AS_IS if _INTEGERS.index(base) >= _INTEGERS.index(mine) else Fit.REWRITE
    if mine == base == "numeric":
        return _numeric(theirs, ours)
    if (base, mine) == ("json", "jsonb"):
        return Fit.REWRITE
    return Fit.NEVER


def _text(base: str, size: str | None, mine: str, wanted: str | None) -> Fit:
    if base == "text" or (base == "character varying" and size is None):
        return Fit.AS_IS
    if wanted is not None and int(size or 1) >= int(wanted):
        return Fit.AS_IS
    # A padded type's values change when it becomes another.
    return Fit.WIDEN if base == "character varying" else Fit.REWRITE


def _numeric(theirs: re.Match[str], ours: re.Match[str]) -> Fit:
    if theirs["size"] is None:
        return Fit.AS_IS
    if ours["size"] is None:
        return Fit.WIDEN
    scale, wanted_scale = int(theirs["scale"] or 0), int(ours["scale"] or 0)
    whole, wanted_whole = int(theirs["size"]) - scale, int(ours["size"]) - wanted_scale
    if scale >= wanted_scale and whole >= wanted_whole:
        return Fit.AS_IS
    if scale > wanted_scale:  # decimals would be lost
        return Fit.NEVER
    return Fit.WIDEN if scale == wanted_scale else Fit.REWRITE
