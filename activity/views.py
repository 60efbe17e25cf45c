"""/admin/onboarding: how far people get, where they stop and why; and the single events behind it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any, cast

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe

from activity import events as events_domain
from activity import funnel, pages
from activity.eventlook import EVENT_COLUMNS, EventLook, event_page, event_rows
from activity.events import EventFilter
from activity.files import OfGap
from activity.files import files as onboarding_files
from activity.forms import EventFilterForm
from activity.funnel import By
from activity.funnellook import FunnelLook, definitions
from activity.funnels.definition import Definition
from activity.people import people
from sigmasight.lib.chips import filter_chips
from sigmasight.lib.csvfile import TableFile, asked_file, csv_response
from sigmasight.lib.htmx import render_part
from sigmasight.lib.pagination import BadCursorError, Cursor, read_cursor
from sigmasight.lib.periods import period_from

DEFAULT_PERIOD = "30d"
STUCK_SHOWN = 20
EVENTS_SHOWN = 50
BY = {"source": "Source", "device": "Device", "error": "Stopping error"}
PERSON = "person"
EVENT_FILTERS = {
    "type": "Event",
    "category": "Category",
    "error": "Error",
    "user": "Person",
    "session": "Session",
    "show": "Show",
}


@require_safe
def onboarding(request: HttpRequest) -> HttpResponseBase:
    """A funnel of those who entered in a period; with `?gap=2`, the people who stopped after its second step."""
    period = period_from(request, default=DEFAULT_PERIOD)
    notes = [period.error] if period.error else []
    known = definitions()
    context: dict[str, Any] = {"period": period, "known": known, "notes": notes}
    if not known:
        return render_part(request, "activity/onboarding.html", "gap", context)
    told = _chosen(request, known, notes)
    look, links = FunnelLook(told, period), pages.Links(request.GET, period)
    file = asked_file(request, _files(request, look, notes)) if request.GET.get("format") else None
    if file is not None:
        return file
    context |= {"told": told, "look": look, "links": links, "funnels": [(each, _to(links, each)) for each in known]}
    context["drawer"] = _drawer(request, look, links, notes)
    if not _is_for_drawer(request):
        context |= _rest(request, look, links, notes)
    return render_part(request, "activity/onboarding.html", "gap", context)


def _files(request: HttpRequest, look: FunnelLook, notes: list[str]) -> dict[str, TableFile]:
    by, cut = _cuts(request, look, notes)
    known = [str(number) for number in range(1, len(look.told.steps))]
    gap = int(_one_of(request, "gap", known, known[0], notes)) if known else 1
    return onboarding_files(look, EventLook(look.period, compare=False), by, cut, gap, _of_gap(request))


def _cuts(request: HttpRequest, look: FunnelLook, notes: list[str]) -> tuple[By, str]:
    """What the parts are by, and how long cohorts are."""
    default = "day" if look.period.span <= dt.timedelta(days=15) else "week"
    by = cast("By", _one_of(request, "by", BY, "source", notes))
    return by, _one_of(request, "cohorts", ("day", "week"), default, notes)


def _of_gap(request: HttpRequest) -> OfGap:
    """Whom of a gap's people the URL asks for; "-" asks for the source or device that is not known."""
    code = "" if request.GET.get("clean") else request.GET.get("reason", "").replace("\x00", "") or None
    source, device = (request.GET.get(name, "").replace("\x00", "") or None for name in ("source", "device"))
    return {"error": code, "source": "" if source == "-" else source, "device": "" if device == "-" else device}


def _rest(request: HttpRequest, look: FunnelLook, links: pages.Links, notes: list[str]) -> dict[str, Any]:
    """What stands on the page beside the drawer."""
    period, told = look.period, look.told
    unfinished = period.end >= timezone.now() - dt.timedelta(seconds=90)
    seen = EventLook(period, compare=period.compare)
    by, cut = _cuts(request, look, notes)
    of = pages.categories(told)
    parts, codes = look.parts(by), seen.errors(of)
    steps = pages.step_rows(look, links)
    charts = pages.day_charts(told, seen, links, unfinished)
    as_of = look.figures.as_of
    recovered = look.recoveries(of)
    return {
        "sentence": pages.sentence(look),
        "compared": pages.compared(look, seen),
        "steps": steps,
        "charts": charts,
        "are_events": any(total for _, total, _ in charts),
        "codes": pages.code_rows(look, codes, links, recovered.by_code),
        "recovered_since": recovered.since,
        "codes_left": max(0, len(codes) - pages.CODES_SHOWN),
        "events_href": links.events(),
        "errors_href": links.events(show="errors"),
        "errors_of": " and ".join(of),
        "by": by,
        "choices_of_by": [(key, label, f"{links.here(by=key)}#parts") for key, label in BY.items()],
        "parts": pages.part_rows(parts, by, links),
        "parts_left": max(0, len(parts) - pages.PARTS_SHOWN),
        "cohorts": pages.cohort_rows(look.cohorts(cut), links),
        "cut": cut,
        "choices_of_cut": [(key, f"{links.here(cohorts=key)}#cohorts") for key in ("day", "week")],
        "unattributed_href": steps[0].href or links.events(),
        "is_stale": as_of is not None and timezone.now() - as_of > dt.timedelta(minutes=15),
        "provenance": seen.provenance,
        "compares": seen.compares,
    }


def _drawer(request: HttpRequest, look: FunnelLook, links: pages.Links, notes: list[str]) -> dict[str, Any] | None:
    """The people in the gap that the URL names; None where it names none."""
    asked, last = request.GET.get("gap", ""), len(look.told.steps) - 1
    if not asked:
        return None
    if asked not in [str(number) for number in range(1, last + 1)]:
        notes.append(f"This funnel has no gap “{asked[:20]}”: take 1 to {last}.")
        return None
    gap, after = int(asked), _cursor(request, notes)
    of = _of_gap(request)
    code = of["error"]
    wanted = {name: value for name, value in (("source", of["source"]), ("device", of["device"])) if value is not None}
    step, following = look.told.steps[gap - 1], look.told.steps[gap]
    found = funnel.dropped(
        look.told.slug,
        look.period,
        step.name,
        **of,
        cursor=after,
        limit=STUCK_SHOWN,
        now=look.now,
    )
    reasons = look.reasons(gap)
    total: int | None = look.figures.steps[gap - 1].dropped
    if wanted:
        total = None
    elif code is not None:
        total = sum(each.people for each in reasons if each.code == code)
    return {
        "gap": gap,
        "step": step,
        "following": following,
        "people": pages.stuck(found.people, PERSON, links),
        "next": str(found.next) if found.next else None,
        "total": total,
        "stopped": look.figures.steps[gap - 1].dropped,
        "code": code,
        "all_href": links.gap(gap),
        "close_href": links.here(),
        "reasons": [(each, links.gap(gap, each)) for each in reasons if each.is_named or not each.code],
        "of": [(name, value or "not known") for name, value in wanted.items()],
    }


@require_safe
def events(request: HttpRequest) -> HttpResponseBase:
    """Single events of a period, newest first, with every filter there is."""
    period = period_from(request, default="7d")
    form = EventFilterForm(request.GET)
    only: EventFilter = form.as_filter()
    notes = [*([period.error] if period.error else []), *form.problems()]
    after = _cursor(request, notes)
    found = events_domain.explore(only, period.start, period.end)
    if request.GET.get("format") == "csv" and not notes:
        return csv_response("events", EVENT_COLUMNS, event_rows(found))
    page = event_page(found, after, EVENTS_SHOWN)
    names = people(row.user_id for row in page.rows if row.user_id)
    labels = {name: label for name, label in EVENT_FILTERS.items() if name not in form.errors}
    return render_part(
        request,
        "activity/events.html",
        "list",
        {
            # A list has nothing to compare with.
            "period": replace(period, compare_href="", week_href=""),
            "form": form,
            "notes": notes,
            "chips": filter_chips(request.GET, labels),
            "total": found.total.count,
            "is_about": not found.total.is_exact,
            "is_shortened": found.start > period.start,
            "rows": [(row, names.get(row.user_id) if row.user_id else None) for row in page.rows],
            "next": str(page.next) if page.next else None,
            "after": after,
            "acts": [("CSV of all", _as_csv(request))],
        },
    )


def _as_csv(request: HttpRequest) -> str:
    """The address of the same list as a file: of the errors alone where it is narrowed to them."""
    query = request.GET.copy()
    query.pop("after", None)
    query["format"] = "csv"
    return f"?{query.urlencode()}"


def _is_for_drawer(request: HttpRequest) -> bool:
    """Whether `render_part` will render the drawer alone, which needs less."""
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request and htmx.target == "gap"


def _chosen(request: HttpRequest, known: list[Definition], notes: list[str]) -> Definition:
    asked = request.GET.get("funnel", "")
    for each in known:
        if each.slug == asked:
            return each
    if asked:
        notes.append(f"There is no funnel “{asked[:20]}”: there are {', '.join(each.slug for each in known)}.")
    return known[0]


def _to(links: pages.Links, told: Definition) -> str:
    return links.here(funnel=told.slug)


def _one_of(request: HttpRequest, name: str, choices: Any, default: str, notes: list[str]) -> str:
    asked = request.GET.get(name, "")
    if asked and asked not in choices:
        notes.append(f"There is no “{asked[:20]}” to show it by: take {', '.join(choices)}.")
    return asked if asked in choices else default


def _cursor(request: HttpRequest, notes: list[str]) -> Cursor | None:
    try:
        return read_cursor(request.GET.get("after", ""))
    except BadCursorError as error:
        notes.append(str(error))
        return None
