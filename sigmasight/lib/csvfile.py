"""Any table as a CSV file, streamed: as many rows as there are, in the memory of one."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

from django.http import StreamingHttpResponse

# A cell that begins so is a formula to a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Line:
    """Where the writer leaves a line."""

    def write(self, text: str) -> str:
        return text


def lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The head, and a line for each row. Moments are ISO 8601, in UTC; None is an empty cell."""
    writer = csv.writer(_Line())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([guarded(cell) for cell in row])


def guarded(cell: object) -> object:
    """The cell, with an apostrophe before what a spreadsheet would calculate."""
    if isinstance(cell, dt.datetime):
        return cell.astimezone(dt.UTC).isoformat()
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, str) and cell.startswith(FORMULA):
        return f"'{cell}"
    return "" if cell is None else cell


def csv_response(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> StreamingHttpResponse:
    """The file as a download, `<name>-<today>.csv`. `columns`: snake_case names with their unit, as in `latency_ms`;
    `rows`: plain values, not what a page makes of them."""
    response = StreamingHttpResponse(lines(columns, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}-{dt.datetime.now(dt.UTC):%Y-%m-%d}.csv"'
    return response
