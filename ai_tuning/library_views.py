"""/admin/ai/knowledge, /memories and /feedback: what the AI may read, what it remembers, and what people said of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from activity.people import people
from ai_tuning import knowledge as documents
from ai_tuning import library_pages as pages
from ai_tuning import memories as remembered
from ai_tuning import voices
from ai_tuning.library_forms import DocumentForm, FeedbackForm, LibraryForm, MemoryForm
from sigmasight.lib.away import reaching
from sigmasight.lib.chips import filter_chips
from sigmasight.lib.csvfile import csv_response
from sigmasight.lib.htmx import render_part
from sigmasight.lib.pagination import BadCursorError, Cursor, read_cursor
from sigmasight.lib.periods import period_from

DEFAULT_PERIOD = "30d"
LIST = "list"
View = Callable[..., HttpResponseBase]


def all_of_metro(title: str) -> Callable[[View], View]:
    """For pages that are nothing without metro: where it is away, they say so, and 503."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            answer: HttpResponseBase | None = None
            with reaching("metro") as metro:
                answer = view(request, *args, **kwargs)
            if metro.away or answer is None:
                return render(request, "ai_tuning/library_away.html", {"what": title}, status=503)
            return answer

        return wrapped

    return decorate


@require_safe
@all_of_metro("Feedback")
def feedback(request: HttpRequest) -> HttpResponseBase:
    """What people said of answers, with the text they would have wanted, and how long it waits for an admin."""
    period = period_from(request, default=DEFAULT_PERIOD)
    form = FeedbackForm(request.GET)
    only = form.as_filter()
    notes = [*([period.error] if period.error else []), *form.problems()]
    if request.GET.get("format") == "csv" and not notes:
        return csv_response("feedback", pages.FEEDBACK_COLUMNS, pages.feedback_rows(voices.every_voice(period, only)))
    after, now = _cursor(request, notes), timezone.now()
    figures = voices.figures(period, now)
    before = voices.figures(period.previous, now) if period.compare else None
    return render_part(
        request,
        "ai_tuning/feedback.html",
        LIST,
        {
            "period": period,
            **_asked(request, form, notes, after),
            "cards": pages.feedback_cards(period, figures, before if before and before.total else None, now),
            "figures": figures,
            "ages": pages.ages(figures),
            "page": (page := voices.voice_page(period, only, after)),
            "rows": [(each, pages.plain(each.judged.text or "")) for each in page.rows],
        },
    )


@require_safe
@all_of_metro("Memories")
def memories(request: HttpRequest) -> HttpResponseBase:
    """What the AI remembers, of whom and from where."""
    form = MemoryForm(request.GET)
    form.is_valid()
    asked, notes = form.cleaned_data, form.problems()
    found = remembered.narrowed(asked.get("scope") or None, asked.get("user"), asked.get("q") or None)
    found = found.of_source(asked.get("source", ""))
    if request.GET.get("format") == "csv" and not notes:
        rows = found.newest_first().iterator(chunk_size=voices.CHUNK)
        return csv_response("memories", pages.MEMORY_COLUMNS, pages.memory_rows(rows))
    after = _cursor(request, notes)
    shown, following = remembered.page(found, after)
    known = people(each.user_id for each in shown if each.user_id)
    return render_part(
        request,
        "ai_tuning/memories.html",
        LIST,
        {
            **_asked(request, form, notes, after),
            "known": (known_all := remembered.figures()),
            "scopes": pages.in_scopes(known_all),
            "rows": [
                (each, known.get(each.user_id) if each.user_id else None, pages.source_of(each)) for each in shown
            ],
            "next": str(following) if following else None,
            "total": found.order_by().count(),
            "can_change": getattr(request.user, "is_super_admin", False),
        },
    )


@require_safe
@all_of_metro("Documents")
def knowledge(request: HttpRequest) -> HttpResponseBase:
    """The documents that the AI may retrieve."""
    form, now = DocumentForm(request.GET), timezone.now()
    form.is_valid()
    asked, notes = form.cleaned_data, form.problems()
    embedded = {"yes": True, "no": False}.get(asked.get("embedding", ""))
    found = documents.narrowed(asked.get("scope") or None, asked.get("q") or None, embedded)
    found = found.in_state(asked.get("state", ""), now - documents.STALE_AFTER)
    if request.GET.get("format") == "csv" and not notes:
        return csv_response("documents", pages.DOCUMENT_COLUMNS, documents.file_rows(found, now))
    after = _cursor(request, notes)
    shown, following = documents.page(found, after)
    known = documents.figures()
    return render_part(
        request,
        "ai_tuning/knowledge.html",
        LIST,
        {
            **_asked(request, form, notes, after),
            "known": known,
            "scopes": pages.scope_chips(known, asked.get("scope", "")),
            "stale": documents.stale(now),
            "rows": [
                (each, pages.plain(each.content, 160), pages.is_stale(each.updated_at, now))
                for each in documents.excerpts(shown)
            ],
            "next": str(following) if following else None,
            "total": found.order_by().count(),
        },
    )


@require_safe
@all_of_metro("This document")
def document(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """One document, whole, and those like it."""
    found = documents.document(document_id)
    if found is None:
        raise Http404("There is no such document. It may have been deleted.")
    return render(
        request,
        "ai_tuning/document.html",
        {
            "document": found,
            "words": len(found.content.split()),
            "is_stale": pages.is_stale(found.updated_at, timezone.now()),
            "stale_days": documents.STALE_AFTER.days,
            "neighbours": documents.neighbours(found),
            "metadata": sorted(found.metadata.items()),
        },
    )


def _asked(request: HttpRequest, form: LibraryForm, notes: list[str], after: Cursor | None) -> dict[str, Any]:
    """What the three lists share."""
    query = request.GET.copy()
    query.pop("after", None)
    query["format"] = "csv"
    return {
        "form": form,
        "notes": notes,
        "after": after,
        "chips": filter_chips(request.GET, form.labels()),
        "acts": [("CSV of all", f"?{query.urlencode()}")],
    }


def _cursor(request: HttpRequest, notes: list[str]) -> Cursor | None:
    try:
        return read_cursor(request.GET.get("after", ""))
    except BadCursorError as error:
        notes.append(str(error))
        return None
