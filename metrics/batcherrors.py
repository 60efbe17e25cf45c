"""What a batch run's stored `error_summary` says, in any of the shapes that writers gave it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any


@dataclass(frozen=True, slots=True)
class Errors:
    """How many errors there were, of which types, and what was said of them, as far as that is known."""

    count: int
    types: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


def read_errors(summary: Any) -> Errors | None:
    """The errors that a summary tells of; None where it tells of none, whatever else stands in it.

    Known shapes: `{count, types, details}`, `{exception, type, crashed_after_dates}`, `{errors}`, `{batch_type,
    calc_date[, errors]}`, and a bare list.
    """
    if isinstance(summary, list):
        summary = {"errors": summary}
    if not isinstance(summary, dict):
        return None
    found = list(_listed(summary.get("errors")))
    details = [*_listed(summary.get("details")), *found]
    exception = summary.get("exception")
    if exception is not None:  # "" too: many exceptions say nothing
        details.insert(0, exception)
    count = _number(summary.get("count"))
    if count is None:
        count = 1 if exception is not None else len(found) or len(details)
    if count <= 0:
        return None
    types = [*_named(summary.get("types")), *_named(summary.get("type"))]
    types += [each["type"] for each in details if isinstance(each, dict) and isinstance(each.get("type"), str)]
    return Errors(count, tuple(dict.fromkeys(types)), tuple(said(each) for each in details if each != ""))


def said(value: Any) -> str:
    """A value as a sentence: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _number(value: Any) -> int | None:
    if isinstance(value, float) and not isfinite(value):  # PostgreSQL's numbers go further than Python's
        return None
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _listed(value: Any) -> Iterator[Any]:
    """The entries of a list, those of an object with their names, a bare value as the only one; nothing for nothing."""
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        yield from (f"{name}: {said(each)}" for name, each in value.items())
    elif value not in (None, "", False):
        yield value


def _named(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [said(each) for each in value] if isinstance(value, list | dict) else []
