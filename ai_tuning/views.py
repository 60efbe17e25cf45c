"""/admin/ai/tuning: conversations to judge, and each with all that is known of it."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from ai_tuning import pages
from ai_tuning.conversations import conversation_page, open_thread
from ai_tuning.forms import ConversationFilterForm
from metrics import ai
from sigmasight.lib.chips import filter_chips
from sigmasight.lib.htmx import render_part
from sigmasight.lib.pagination import BadCursorError, read_cursor
from sigmasight.lib.periods import period_from

FILTERS = {"q": "Search", "user": "Person", "model": "Model", "rating": "Rating"}
DEFAULT_PERIOD = "30d"
BESIDE_THREAD = 40


@require_safe
def tuning(request: HttpRequest) -> HttpResponse:
    """The conversations of a period, narrowed by search, person, model and rating."""
    period = period_from(request, default=DEFAULT_PERIOD)
    form = ConversationFilterForm(request.GET, models=ai.known_models(period))
    notes = form.problems()
    try:
        after = read_cursor(request.GET.get("after", ""))
    except BadCursorError as error:
        after = None
        notes.append(str(error))
    page = conversation_page(period, form.as_filter(), after)
    return render_part(
        request,
        "ai_tuning/tuning.html",
        "list",
        {
            # A list has nothing to compare with.
            "period": replace(period, compare_href=""),
            "found": pages.found(page, period),
            "form": form,
            "page": page,
            "after": after,
            "notes": notes,
            "chips": filter_chips(
                request.GET, {name: label for name, label in FILTERS.items() if name not in form.errors}
            ),
        },
    )


@require_safe
def conversation(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """One conversation, beside the list it was chosen from."""
    thread = open_thread(conversation_id)
    if thread is None:
        raise Http404("There is no such conversation. It may have been deleted by the application.")
    period = period_from(request, default=DEFAULT_PERIOD)
    form = ConversationFilterForm(request.GET, models=[])
    return render(
        request,
        "ai_tuning/conversation.html",
        {
            "thread": thread,
            "turns": pages.turns(thread),
            "facts": pages.facts(thread),
            "state": pages.batch_state(thread),
            "page": conversation_page(period, form.as_filter(), size=BESIDE_THREAD),
            "list_period": period,
            "query": request.GET.urlencode(),
        },
    )
