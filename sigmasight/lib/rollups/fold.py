"""Too many different values: of a dimension, a bucket keeps the most frequent by name and the rest together.

A writer that puts an id into its error types would otherwise make as many cells as rows, and every page that reads
them as slow. What cells add up to stays exact; only which of the rare values it was is lost.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence

from sigmasight.lib.rollups.spec import Cell, Measure, Rollup

# So many values of one dimension have cells of their own in a bucket.
MOST_VALUES = 200
# What the others are called.
OTHER = "(other)"


def folded(rollup: Rollup, measures: Sequence[Measure], cells: list[Cell], weights: Sequence[int]) -> list[Cell]:
    """The same cells where no bucket has too many values; otherwise those of rare values merged into OTHER.

    `weights`: how many source rows each cell is of. The empty value, which says that there was none, stays.
    """
    per_bucket = Counter(cell.at for cell in cells)
    crowded = {at for at, count in per_bucket.items() if count > MOST_VALUES}
    if not crowded:
        return cells
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
        plain.append(parts[0] if parts[0].key == key and len(parts) == 1 else _one(measures, at, key, parts))
    return plain


def _kept(values: Counter[str]) -> set[str]:
    if len(values) <= MOST_VALUES:
        return set(values)
    # OTHER may be there from smaller buckets, and takes no one's place.
    ranked = sorted((value for value in values if value not in ("", OTHER)), key=lambda each: (-values[each], each))
    return {"", *ranked[:MOST_VALUES]}


def _one(measures: Sequence[Measure], at: dt.datetime, key: tuple[str, ...], parts: Sequence[Cell]) -> Cell:
    cell = Cell(at, key)
    for measure in measures:
        value = measure.empty()
        for part in parts:
            value = measure.merged(value, part.values[measure.name])
        cell.values[measure.name] = measure.stored(value)
    return cell
