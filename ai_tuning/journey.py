"""What was said of a person's answers, as sources of their timeline: their own thumbs, and admins' annotations.

Both are in metro and name a message only. Whose it is, gondola knows: so the person's newest answers are asked for
first, once for both, and metro then for what it has on those. A thumb that comes after 200 more conversations or 1,000
more answers (`activity.journey`) finds no place.
"""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from django.db.models import Min

from activity import journey
from activity.journey import Answers
from activity.querysets import among
from ai_tuning.models import Annotation, Feedback
from sigmasight.lib.away import reaching
from sigmasight.lib.timeline import LATEST, Entry, Found, Look, Milestone, Ref, Source

# The databases' clocks differ: a thumb may seem to precede its answer by this much.
CLOCK_SLACK = dt.timedelta(minutes=1)
QUOTED = 300
JUDGED: dict[str, str] = {
    Annotation.Type.CORRECTION: "An admin corrected an answer",
    Annotation.Type.IMPROVEMENT: "An admin improved an answer",
    Annotation.Type.FLAG: "An admin flagged an answer",
    Annotation.Type.APPROVED: "An admin approved an answer",
}


def _answers(look: Look) -> Answers:
    """The answers that whatever comes before the place may be about."""
    key = f"answers before {look.at}"
    if key not in look.shared:
        look.shared[key] = journey.answers(look.user_id, before=look.at, slack=CLOCK_SLACK, shared=look.shared)
    found: Answers = look.shared[key]
    return found


def _floor(known: Answers, look: Look) -> dt.datetime | None:
    """Down to when the ratings are known. Always lower than the place, or the next page would begin where this did."""
    return min(known.edge, look.at - dt.timedelta(microseconds=1)) if known.edge else None


def _feedback(look: Look) -> Found:
    known = _answers(look)
    rows: list[Feedback] = []
    if known.conversation_of:
        with reaching("metro") as metro:
            rows = list(look.page(Feedback.objects.filter(message_id__in=among(known.conversation_of))))
        if metro.away:
            return Found([], missing="metro")
    if look.at == LATEST and not known.edge and len(rows) < look.limit:
        look.shared["thumbs"] = rows  # all there are
    entries = []
    for row in rows:
        wrote = ["wrote the answer they wanted"] if row.edited_text else []
        details = (*([f"“{_clip(row.comment)}”"] if row.comment else []), *wrote)
        ref = Ref("ai_tuning.feedback", row.pk, known.conversation_of[row.message_id], row.message_id)
        entries.append(
            Entry(row.created_at, row.pk, "feedback", f"feedback.{row.rating}", f"Thumbs-{row.rating}", ref, details)
        )
    return Found(entries, _floor(known, look))


def _annotations(look: Look) -> Found:
    known = _answers(look)
    rows: list[Annotation] = []
    if known.conversation_of:
        with reaching("metro") as metro:
            rows = list(look.page(Annotation.objects.filter(message_id__in=among(known.conversation_of))))
        if metro.away:
            return Found([], missing="metro")
    entries = []
    for row in rows:
        details = (f"“{_clip(row.content)}”", *([row.severity] if row.severity else []), row.status)
        kind = row.annotation_type
        ref = Ref("ai_tuning.annotation", row.pk, known.conversation_of[row.message_id], row.message_id)
        title = JUDGED.get(kind, f"An admin’s {kind}")
        entries.append(Entry(row.created_at, row.pk, "annotation", f"annotation.{kind}", title, ref, details))
    return Found(entries, _floor(known, look))


def _clip(text: str) -> str:
    return text if len(text) <= QUOTED else f"{text[: QUOTED - 1]}…"


def newest_answers(user_id: UUID, shared: dict[str, Any]) -> Answers:
    """The newest answers a person was given; not asked for again on a page that has."""
    key = f"answers before {LATEST}"
    if key not in shared:
        shared[key] = journey.answers(user_id, before=LATEST, slack=CLOCK_SLACK, shared=shared)
    found: Answers = shared[key]
    return found


def first_thumbs_up(user_id: UUID, shared: dict[str, Any] | None = None) -> tuple[Milestone, str]:
    """A person's first thumbs-up on their first answers, and the database that did not answer ("" where all did)."""
    name, label = "first_thumbs_up", "First thumbs-up"
    if shared is not None and "thumbs" in shared:
        given = [row.created_at for row in shared["thumbs"] if row.rating == Feedback.Rating.UP]
        return Milestone(name, label, min(given, default=None)), ""
    known = newest_answers(user_id, shared) if shared is not None else None
    if known is None or known.edge:  # the newest are not all
        known = journey.answers(user_id)
    at = None
    if known.conversation_of:
        with reaching("metro") as metro:
            rated = Feedback.objects.filter(message_id__in=among(known.conversation_of)).rated(Feedback.Rating.UP)
            at = rated.aggregate(at=Min("created_at"))["at"]
        if metro.away:
            return Milestone(name, label, None, "metro is away"), "metro"
    note = f"none on their first {len(known.conversation_of):,} answers" if known.edge and at is None else ""
    return Milestone(name, label, at, note), ""


SOURCES = (
    Source("feedback", "feedback", 50, _feedback, database="metro"),
    Source("annotation", "annotation", 60, _annotations, own=False, database="metro"),
)
