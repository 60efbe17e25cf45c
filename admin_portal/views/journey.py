"""/admin/users/<id>: one person, and everything they did."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from activity.journey import portfolios_of
from activity.models import Portfolio
from admin_portal import inbrief, journeys
from admin_portal.journeys import Journey, Session, Step
from metrics.journey import batch_marks
from sigmasight.lib.chips import Chip
from sigmasight.lib.format import NBSP, duration
from sigmasight.lib.htmx import render_part
from sigmasight.lib.pagination import BadCursorError
from sigmasight.lib.timeline import Milestone, Ref, read_cursor

OLDER = "older"
KINDS = {
    "event": ("Events", "pulse"),
    "record": ("Account and portfolios", "person"),
    "conversation": ("Conversations", "chat"),
    "request": ("AI requests", "spark"),
    "feedback": ("Ratings", "thumb-up"),
    "annotation": ("Annotations", "memo"),
    "error": ("Errors", "alert"),
}
ICONS = {"feedback.down": "thumb-down", "portfolio.connected": "database", "portfolio.removed": "database"}


@dataclass(frozen=True, slots=True)
class Line:
    """A step as the page shows it: `href`, what is behind it; `row_href`, its raw row where that is something else."""

    step: Step
    icon: str
    href: str
    row_href: str
    gap: str


@dataclass(frozen=True, slots=True)
class Run:
    """A batch run as a thin mark: `href`, the run; `words`, whose it was and how it ended."""

    at: dt.datetime
    href: str
    words: str
    tone: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A session with its lines, or, with none, lines that belong to nobody's session. `away`: what lay before it.

    `later`: batch runs after it and before what came next; `runs`: those while it went on. Newest first.
    """

    session: Session | None
    lines: list[Line]
    away: str
    later: list[Run] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)


@require_safe
def journey(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """Who a person is, how far they got, and their timeline, newest first."""
    notes = []
    try:
        before = read_cursor(request.GET.get("before", ""))
    except BadCursorError as error:
        before = None
        notes.append(str(error))
    asked = dict.fromkeys(request.GET.getlist("kind"))
    kinds = {kind for kind in asked if kind in KINDS}
    if unknown := [kind for kind in asked if kind not in KINDS]:
        notes.append(f"There is no kind “{unknown[0][:40]}”: it filters nothing.")
    more = bool(getattr(request, "htmx", None)) and request.htmx.target == OLDER  # type: ignore[attr-defined]
    shared: dict[str, Any] = {}
    page = journeys.journey(user_id, before=before, kinds=kinds, with_milestones=not more, shared=shared)
    if page is None:
        raise Http404("Nobody has this id, and nothing was ever recorded of it.")
    told = None if more else inbrief.brief(user_id, page.person, shared, metro_is_away="metro" in page.missing)
    shown = stretches(page)
    if not kinds and shown:
        place_runs(shown, batch_runs(page, portfolios_of(user_id, shared), before.at if before else timezone.now()))
    query = request.GET.copy()
    query["before"] = str(page.next_cursor or "")
    return render_part(
        request,
        "admin_portal/journey.html",
        OLDER,
        {
            "journey": page,
            "person": page.person,
            "milestones": [_milestone(each, page) for each in page.milestones],
            "brief": told,
            "stretches": shown,
            "chips": kind_chips(request.GET, kinds),
            "kinds": kinds,
            "before": before,
            "older_href": f"?{query.urlencode()}" if page.next_cursor else "",
            "notes": notes,
        },
    )


def kind_chips(query: QueryDict, kinds: set[str]) -> list[Chip]:
    """A chip for each kind: a link that adds it to the filter, or takes it out."""
    chips = []
    for kind, (label, _) in KINDS.items():
        rest = query.copy()
        rest.pop("before", None)
        rest.setlist("kind", [each for each in KINDS if (each in kinds) != (each == kind)])
        chips.append(Chip(label, f"?{rest.urlencode()}", on=kind in kinds, remove=kind in kinds))
    return chips


def stretches(page: Journey) -> list[Stretch]:
    """The page's lines in stretches: a session each, and between them what others did."""
    found: list[Stretch] = []
    seconds_since_own = [each.seconds_since_previous for each in page.sessions]
    for step in page.events:
        place = _inside(step, page) if step.session is None else step.session
        session = None if place is None else page.sessions[place]
        if not found or found[-1].session is not session:
            away = seconds_since_own[place] if place is not None else None
            found.append(Stretch(session, [], "" if away is None else f"{duration(away)} away"))
        found[-1].lines.append(_line(step, session))
    return found


def batch_runs(page: Journey, portfolios: list[Portfolio], end: dt.datetime) -> list[Run]:
    """The engine's runs of the time that the page shows, as thin marks: of their portfolios, and of everybody's."""
    marks = batch_marks([each.pk for each in portfolios], page.events[-1].at, end)
    found = []
    for mark in marks:
        whose = "their portfolio" if mark.is_theirs else "everybody’s portfolios"
        tone = {"failed": "bad", "partial": "warn"}.get(mark.run.status, "")
        words = f"Batch run over {whose}, {mark.run.status}"
        found.append(Run(mark.at, reverse("batch-run", args=[mark.run.pk]), words, tone))
    return found


def place_runs(shown: list[Stretch], runs: list[Run]) -> None:
    """Each run goes to the stretch it fell in, or to the one it came after."""
    for run in runs:
        for stretch in shown:
            newest, oldest = stretch.lines[0].step.at, stretch.lines[-1].step.at
            if run.at > newest:
                stretch.later.append(run)
                break
            if run.at >= oldest:
                stretch.runs.append(run)
                break


def _inside(step: Step, page: Journey) -> int | None:
    """The session during which something happened that is not of it."""
    return next((n for n, each in enumerate(page.sessions) if each.start <= step.at <= each.end), None)


def _line(step: Step, session: Session | None) -> Line:
    gap = step.seconds_since_previous
    begins = session is not None and step.at == session.start and not session.continues_earlier
    thread, row = _thread(step.ref), _row(step.ref)
    return Line(
        step,
        "alert" if step.is_error else ICONS.get(step.event_type, KINDS[step.kind][1]),
        thread or row,
        row if thread and row else "",
        "" if gap is None or begins else later(gap),
    )


def later(seconds: float) -> str:
    """The time since the step before, in words: "4 min later", "at once" for less than a twentieth of a second."""
    return "at once" if seconds < 0.05 else f"{duration(seconds)}{NBSP}later"


def _thread(ref: Ref) -> str:
    if ref.conversation_id is None:
        return ""
    anchor = f"#m-{ref.message_id}" if ref.message_id else ""
    return reverse("conversation", args=[ref.conversation_id]) + anchor


def _row(ref: Ref) -> str:
    try:
        return reverse(f"admin:{ref.model.replace('.', '_')}_change", args=[ref.id])
    except NoReverseMatch:  # in a deployment without Django's admin
        return ""


def _milestone(milestone: Milestone, page: Journey) -> dict[str, Milestone | str]:
    """A milestone with the time it took from the account's making, "" where that says nothing."""
    account = page.person.created_at if page.person else None
    took = ""
    if account and milestone.at and milestone.name not in ("account_made", "last_seen") and milestone.at >= account:
        took = f"{duration(milestone.at - account)} in"
    return {"milestone": milestone, "took": took}
