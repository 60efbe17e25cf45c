"""Too many different values: of a dimension, a bucket keeps the most frequent by name and the rest together.

A writer that puts an id into its error types would otherwise make as many cells as rows, and every page that reads
them as slow. What cells add up to stays exact; only which of the rare values it was is lost.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence

from sigmasight.lib.rollups.spec import Cell, Measure, Rollup, merged_cell

# So many values of one dimension have cells of their own in a bucket.
MOST_VALUES = 200
# What the others are called.
OTHER = "(other)"


def folded(
    rollup: Rollup, measures: Sequence[Measure], cells: list[Cell], weights: Sequence[int] | None = None
) -> list[Cell]:
    """The same cells where no bucket has too many values; otherwise those of rare values merged into OTHER.

    `weights`: how many source rows each cell is of; its first measure, unless told. The empty value, which says that
    there was none, stays.
    """
    per_bucket = Counter(cell.at for cell in cells)
    crowded = {at for at, count in per_bucket.items() if count > MOST_VALUES}
    if not crowded:
        return cells
    if weights is None:
        weights = [cell.values[rollup.measures[0].name][0] for cell in cells]
    seen: dict[dt.datetime, list[Counter[str]]] = defaultdict(lambda: [Counter() for _ in rollup.dimensions])
    for cell, weight in zip(cells, weights, strict=True):
        if cell.at in crowded:
            for values, value in zip(seen[cell.at], cell.key, strict=True):
                values[value] += weight
    kept = {at: [_kept(values) for values in dimensions] for at, dimensions in seen.items()}
    plain: list[Cell] = []
    joined: dict[tuple[dt.datetime, tuple[str, ...]], list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.at in crowded:
            key = tuple(value if value in own else OTHER for value, own in zip(cell.key, kept[cell.at], strict=True))
            joined[cell.at, key].append(cell)
        else:
            plain.append(cell)
    for (at, key), parts in joined.items():
        plain.append(merged_cell(measures, at, key, parts[0].level, parts))
    return plain


def _kept(values: Counter[str]) -> set[str]:
    if len(values) <= MOST_VALUES:
        return set(values)
    # OTHER may be there from smaller buckets, and takes no one's place.
    ranked = sorted((value for value in values if value not in ("", OTHER)), key=lambda each: (-values[each], each))
    return {"", *ranked[:MOST_VALUES]}
