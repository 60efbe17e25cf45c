"""Any table as a CSV file, streamed: as many rows as there are, in the memory of one."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.http import Http404, HttpRequest, StreamingHttpResponse

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


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table of a page as a file. `rows` is called only where the file is asked for."""

    name: str
    columns: Sequence[str]
    rows: Callable[[], Iterable[Sequence[object]]]


def asked_file(request: HttpRequest, files: Mapping[str, TableFile]) -> StreamingHttpResponse | None:
    """The table that `?format=csv&table=…` asks a page for; None where it asks for the page. Raises Http404 for a table
    that the page has not."""
    if request.GET.get("format") != "csv":
        return None
    wanted = request.GET.get("table", "")
    if wanted not in files:
        raise Http404(f"There is no table “{wanted[:40]}” here: take table={' or table='.join(sorted(files))}.")
    file = files[wanted]
    return csv_response(file.name, file.columns, file.rows())
