"""What one person did, put together from sources that each app registers (in its `AppConfig.ready`).

A source knows one table. Asked, it gives that person's newest entries before a place, and no more of them than a page
holds, so that merging all sources costs the same for ten entries and for a million. Places are ordered by time, then
by the source's rank, then by id: ties have an order too, and a cursor names exactly one place.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from sigmasight.lib.pagination import BadCursorError

KINDS = ("event", "record", "conversation", "request", "feedback", "annotation")
# As good as "now and later": the last moment that PostgreSQL and Python both know.
LATEST = dt.datetime.max.replace(tzinfo=dt.UTC)
_FIRST_ID = UUID(int=0)
_INSTANT = dt.timedelta(microseconds=1)

_Row = TypeVar("_Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Ref:
    """What is behind an entry: a row of `model` (`activity.event`), and, where there is one, the conversation that it
    belongs to and the message in it."""

    model: str
    id: UUID
    conversation_id: UUID | None = None
    message_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `id` is unique within its source. `details` are short and go beside the title."""

    at: dt.datetime
    id: UUID
    kind: str
    event_type: str
    title: str
    ref: Ref
    details: tuple[str, ...] = ()
    is_error: bool = False
    error_code: str | None = None
    error_message: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a source is asked: the newest `limit` entries of a person whose (time, id) is less than (`at`, `before_id`).

    `errors_only`: only those that failed. `shared` lasts for one page: what one source looked up, another may use.
    """

    user_id: UUID
    at: dt.datetime
    before_id: UUID
    limit: int
    errors_only: bool = False
    shared: dict[str, Any] = field(default_factory=dict, compare=False)

    def is_before(self, at: dt.datetime, identifier: UUID) -> bool:
        """Whether an entry comes before the place."""
        return (at, identifier) < (self.at, self.before_id)

    def page(self, rows: QuerySet[_Row], time: str = "created_at") -> QuerySet[_Row]:
        """The page's rows of a table, newest first. `time`: the column that says when."""
        earlier = Q(**{f"{time}__lt": self.at}) | Q(pk__lt=self.before_id)
        # Beside the comparison of the pair: the bare bound is what the index and the partitions are chosen by.
        return rows.filter(earlier, **{f"{time}__lte": self.at}).order_by(f"-{time}", "-pk")[: self.limit]

    def floor(self, rows: QuerySet[_Row], most: int, time: str = "created_at") -> dt.datetime | None:
        """Where the `most`-th row before the place is, for those who look no further than that; None for fewer rows."""
        times = replace(self, limit=most).page(rows, time).values_list(time, flat=True)
        return next(iter(times[most - 1 : most]), None)


@dataclass(frozen=True, slots=True)
class Found:
    """What a source answers. `entries`: newest first.

    `floor`: where a source looks at a bounded number of rows, the moment down to which (included) it has seen all;
    None where it has seen everything. `missing`: the database that did not answer, "" where all did.
    """

    entries: list[Entry]
    floor: dt.datetime | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One table's part in a timeline. Of two entries at one moment, the one of lower `rank` came first.

    `own`: these are the person's doing, and make up sessions; what others did to them isn't. `fails`: its entries
    may be errors. `database`: the alias it can't do without.
    """

    name: str
    kind: str
    rank: int
    fetch: Callable[[Look], Found]
    own: bool = True
    fails: bool = False
    database: str = "default"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place before one entry of a timeline; with `source` "", before everything of that moment.

    `step_at`: when the step was that the person took next after this place, None where nobody knows: a page that
    begins here can tell whether its first session goes on where the page before it ended.
    """

    at: dt.datetime
    source: str = ""
    id: UUID = _FIRST_ID
    step_at: dt.datetime | None = None

    def __str__(self) -> str:
        """The cursor as it stands in a URL."""
        step_at = self.step_at.isoformat() if self.step_at else ""
        text = f"{self.at.isoformat()}|{self.source}|{self.id}|{step_at}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Milestone:
    """A first, or the last, in a person's time here. `at` None: it has not come, or nobody knows; `note` says which."""

    name: str
    label: str
    at: dt.datetime | None
    note: str = ""


_registered: dict[str, Source] = {}


def register(*sources: Source) -> None:
    """Adds sources to every timeline. Raises ValueError for a name that is taken, and for a kind nobody knows."""
    for source in sources:
        if source.kind not in KINDS:
            raise ValueError(f"{source.name}: there is no kind “{source.kind}”, take one of {', '.join(KINDS)}.")
        if _registered.get(source.name, source) != source:
            raise ValueError(f"There is another source named “{source.name}”: give this one a name of its own.")
        if not source.name or "|" in source.name:
            raise ValueError("A source needs a name, without “|”: cursors carry it.")
        _registered[source.name] = source


def sources() -> list[Source]:
    """All sources, by rank."""
    return sorted(_registered.values(), key=lambda source: (source.rank, source.name))


def bound(cursor: Cursor | None, source: Source, order: dict[str, int]) -> tuple[dt.datetime, UUID]:
    """The (time, id) that a source's entries before the cursor are less than. `order`: each source's place in rank."""
    if cursor is None:
        return LATEST, _FIRST_ID
    mine, its = order[source.name], order.get(cursor.source, -1)
    if mine == its:
        return cursor.at, cursor.id
    if mine > its:
        return cursor.at, _FIRST_ID
    return (cursor.at + _INSTANT if cursor.at < LATEST else LATEST), _FIRST_ID


def read_cursor(text: str) -> Cursor | None:
    """The cursor a URL carries, None where it carries none. Raises BadCursorError for one that can't be read."""
    if not text:
        return None
    try:
        at, source, identifier, step_at = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().split("|")
        if source and source not in _registered:
            raise ValueError("no such source")
        return Cursor(_moment(at), source, UUID(identifier), _moment(step_at) if step_at else None)
    except (ValueError, OverflowError, binascii.Error) as error:
        raise BadCursorError("This part of the timeline can’t be found: start from its newest entry.") from error


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    # In UTC, as PostgreSQL refuses offsets that Python takes.
    return moment.astimezone(dt.UTC)
