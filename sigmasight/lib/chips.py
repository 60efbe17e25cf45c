"""Filters as chips: each says what narrows the page, and is the link that lifts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.http import QueryDict

from sigmasight.lib.periods import PAGE_KEYS

# Characters of a value that a chip shows.
SHOWN = 60


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter in force: `href` is the page without it."""

    text: str
    href: str
    on: bool = True
    remove: bool = True


def filter_chips(query: QueryDict, labels: Mapping[str, str]) -> list[Chip]:
    """A chip for each of the URL's filters that is set; `labels` are their names by parameter."""
    chips = []
    for name, label in labels.items():
        value = query.get(name, "").strip()
        if not value:
            continue
        rest = query.copy()
        for key in (name, *PAGE_KEYS):
            rest.pop(key, None)
        shown = value if len(value) <= SHOWN else f"{value[: SHOWN - 1]}…"
        chips.append(Chip(f"{label}: {shown}", "?" + rest.urlencode()))
    return chips
