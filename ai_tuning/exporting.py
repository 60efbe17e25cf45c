"""Annotations as training data: each with the answer it judges, the question and what was said before.

Read in batches of BATCH annotations: one query in metro, one in gondola for their answers, and one more in metro, for
what was kept with annotations whose conversation is gone. So memory does not grow with the export. Every export is
written down before its first record goes out, and how many went out when it ends.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from ai_tuning import judged
from ai_tuning.annotations import narrowed, tags_of
from ai_tuning.judged import Judged
from ai_tuning.models import Annotation, AnnotationExport
from ai_tuning.querysets import AnnotationQuerySet
from sigmasight.lib.pagination import Cursor

BATCH = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which annotations: made in [start, end), of this status, type and severity where given; after the cursor's, in
    the order they were made; `limit` of them at most, None: all."""

    start: dt.datetime
    end: dt.datetime
    status: str | None = None
    annotation_type: str | None = None
    severity: str | None = None
    after: Cursor | None = None
    limit: int | None = None

    def rows(self) -> AnnotationQuerySet:
        return narrowed(
            Annotation.objects.created_in(self.start, self.end),
            status=self.status,
            annotation_type=self.annotation_type,
            severity=self.severity,
        )

    def as_written(self) -> dict[str, Any]:
        """As it stands in the list of exports."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "status": self.status,
            "annotation_type": self.annotation_type,
            "severity": self.severity,
            "limit": self.limit,
            "after": str(self.after) if self.after else None,
        }


@dataclass(frozen=True, slots=True)
class Record:
    """An annotation and what it judges; `about` None: the conversation is gone, and nothing was kept of it."""

    annotation: Annotation
    about: Judged | None


@dataclass(slots=True)
class Export:
    """One export under way; iterate over it once. `total`: how many annotations match, on all pages. `next_cursor`:
    where the next page begins, None where this is the last one. `records`: how many went out so far."""

    wanted: Wanted
    total: int
    log: AnnotationExport
    first: list[Record]
    until: Cursor | None = None
    more: bool = False
    records: int = 0

    @property
    def next_cursor(self) -> Cursor | None:
        return self.until if self.more else None

    def __iter__(self) -> Iterator[Record]:
        finished = None
        try:
            batch = self.first
            while batch:
                for record in batch:
                    self.records += 1
                    yield record
                last = batch[-1].annotation
                batch = _batch(self.wanted, Cursor(last.created_at, last.pk), self.until)
            finished = timezone.now()
        finally:
            AnnotationExport.objects.filter(pk=self.log.pk).update(records=self.records, finished_at=finished)


def begin(wanted: Wanted, admin_id: UUID, kind: str, reason: str = "") -> Export:
    """Writes down who takes what, and gets the first records ready, so that what can fail fails before anything goes
    out. Raises OperationalError where either database is away."""
    total = wanted.rows().count()
    until, more = _end(wanted)
    first = _batch(wanted, wanted.after, until)
    log = AnnotationExport.objects.create(
        admin_user_id=admin_id,
        format=kind,
        filters=wanted.as_written(),
        reason=reason,
        created_at=timezone.now(),
    )
    return Export(wanted, total, log, first, until, more)


def as_json(record: Record) -> dict[str, Any]:
    """A record as it is exported: the keys of the contract, and what was asked and said before beside them."""
    annotation, about = record.annotation, record.about
    return {
        "annotation_id": annotation.pk,
        "annotation_type": annotation.annotation_type,
        "severity": annotation.severity,
        "admin_comment": annotation.content,
        "suggested_response": annotation.suggested_response,
        "tags": tags_of(annotation),
        "status": annotation.status,
        "created_at": annotation.created_at,
        "updated_at": annotation.updated_at,
        "admin_user_id": annotation.admin_user_id,
        "message_id": annotation.message_id,
        "original_message": about and {"id": about.message_id, "role": about.role, "content": about.content},
        "prompt": about and about.prompt,
        "conversation_context": [{"role": turn.role, "content": turn.content} for turn in about.context]
        if about
        else [],
        "conversation_id": about and about.conversation_id,
        "source": ("evidence" if about.kept else "conversation") if about else None,
    }


def _after(wanted: Wanted, place: Cursor | None) -> AnnotationQuerySet:
    rows = wanted.rows().oldest_first()
    return rows if place is None else rows.later_than(place)


def _end(wanted: Wanted) -> tuple[Cursor | None, bool]:
    """The place of the last row of the page, and whether more come after it; no place where there is no limit.

    Known before the first record goes out: rows that are deleted meanwhile make the page shorter, and no other.
    """
    if wanted.limit is None:
        return None, False
    places = _after(wanted, wanted.after).values_list("created_at", "pk")
    last = list(places[wanted.limit - 1 : wanted.limit + 1])
    return (Cursor(*last[0]) if last else None), len(last) == 2


def _batch(wanted: Wanted, place: Cursor | None, until: Cursor | None) -> list[Record]:
    """The next records after the place, up to the page's end."""
    rows = _after(wanted, place)
    if until is not None:
        rows = rows.up_to(until)
    found = list(rows[:BATCH])
    about = judged.judged(row.message_id for row in found)
    gone = [row.pk for row in found if row.message_id not in about]
    kept = judged.kept(gone) if gone else {}
    return [Record(row, about.get(row.message_id) or kept.get(row.pk)) for row in found]
