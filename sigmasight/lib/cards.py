"""A figure as a card shows it: one name, one value with its unit, what it was before, how exact it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sigmasight.lib.charts import Spark, sparkline
from sigmasight.lib.format import COUNT, UNKNOWN, Quantity, Unit, delta


@dataclass(frozen=True, slots=True)
class Card:
    """What `{% figure %}` draws. `missing` says, in words, why there is no value."""

    name: str
    value: Quantity
    sub: str = ""
    href: str = ""
    delta: str = ""
    tone: str = ""
    spark: Spark | None = None
    exactness: str = "exact"
    age: str = ""


def card(
    name: str,
    now: float | None,
    before: float | None = None,
    *,
    unit: Unit = COUNT,
    compare: bool = True,
    sub: str = "",
    href: str = "",
    note: str = "",
    tone: str = "",
    values: Sequence[float | None] = (),
    earlier: Sequence[float | None] = (),
    exactness: str = "exact",
    age: str = "",
) -> Card:
    """A card of a figure and its history. `note` takes the delta's place; without `compare` there is neither."""
    changed = note or (str(delta(now, before, unit)) if compare else "")
    spark = sparkline(values, earlier if compare else ()) if values else None
    value = UNKNOWN if now is None else unit.show(now)
    return Card(name, value, sub, href, changed, tone, spark, exactness, age)
