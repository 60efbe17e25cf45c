"""/admin/ai/conversations: every conversation, and each with all that is known of it."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from activity.search import Order, SearchCursor, read_search_cursor
from ai_tuning import pages
from ai_tuning.conversations import (
    ConversationFilter,
    ConversationPage,
    conversation_page,
    identifier_in,
    open_thread,
)
from ai_tuning.forms import ConversationFilterForm
from ai_tuning.searching import MessagePage, matches_in, message_page
from metrics import ai
from sigmasight.lib.chips import filter_chips
from sigmasight.lib.htmx import render_part
from sigmasight.lib.pagination import BadCursorError, Cursor, read_cursor
from sigmasight.lib.periods import period_from

FILTERS = {"q": "Search", "user": "Person", "model": "Model", "rating": "Rating"}
DEFAULT_PERIOD = "30d"
BESIDE_THREAD = 40


@require_safe
def conversations(request: HttpRequest) -> HttpResponse:
    """The conversations of a period, narrowed by person, model and rating; or the messages that hold some words."""
    period = period_from(request, default=DEFAULT_PERIOD)
    form = ConversationFilterForm(request.GET, models=ai.known_models(period))
    only = form.as_filter()
    notes = form.problems()
    searches = _searches(only)
    order = _order(request, notes) if searches else "newest"
    text = request.GET.get("after", "")
    after: Cursor | SearchCursor | None = None
    page: ConversationPage | MessagePage
    try:
        after = read_search_cursor(text, order) if searches else read_cursor(text)
    except BadCursorError as error:
        notes.append(str(error))
    if searches:
        page = message_page(period, only, order, after if isinstance(after, SearchCursor) else None)
    else:
        page = conversation_page(period, only, after if isinstance(after, Cursor) else None)
    return render_part(
        request,
        "ai_tuning/conversations.html",
        "list",
        {
            # A list has nothing to compare with.
            "period": replace(period, compare_href="", week_href=""),
            "found": pages.found(page, period),
            "form": form,
            "page": page,
            "messages_found": page if isinstance(page, MessagePage) else None,
            "ordered": pages.ordered(page) if isinstance(page, MessagePage) else "newest first",
            "nothing": pages.nothing(page) if isinstance(page, MessagePage) else "",
            "order": order,
            "after": after,
            "notes": notes,
            "chips": filter_chips(
                request.GET, {name: label for name, label in FILTERS.items() if name not in form.errors}
            ),
        },
    )


@require_safe
def conversation(request: HttpRequest, conversation_id: UUID) -> HttpResponse:
    """One conversation, beside the list it was chosen from; what was searched for is marked in it."""
    thread = open_thread(conversation_id)
    if thread is None:
        raise Http404("There is no such conversation. It may have been deleted by the application.")
    period = period_from(request, default=DEFAULT_PERIOD)
    form = ConversationFilterForm(request.GET, models=[])
    only = form.as_filter()
    searches = _searches(only)
    matches = matches_in(conversation_id, only.text) if searches else []
    beside: MessagePage | ConversationPage
    if searches:
        beside = message_page(period, only, _order(request, []), size=BESIDE_THREAD)
    else:
        beside = conversation_page(period, only, size=BESIDE_THREAD)
    return render(
        request,
        "ai_tuning/conversation.html",
        {
            "thread": thread,
            "turns": pages.turns(thread, [hit.message_id for hit in matches]),
            "matches": pages.matches(thread, matches),
            "text": only.text,
            "facts": pages.facts(thread),
            "state": pages.batch_state(thread),
            "page": beside,
            "beside": pages.beside(beside),
            "empty": f"No {'message' if searches else 'conversation'} of this period passes the filters.",
            "searches": searches,
            "list_period": period,
            "query": request.GET.urlencode(),
        },
    )


def _searches(only: ConversationFilter) -> bool:
    """Whether the text is words to search for in messages: not where it is an id, or nothing."""
    return bool(only.text.strip()) and identifier_in(only.text) is None


def _order(request: HttpRequest, notes: list[str]) -> Order:
    """The order asked for, `?order=best`; another is said, and is "newest"."""
    asked = request.GET.get("order", "")
    if asked not in ("", "newest", "best"):
        notes.append("Order: messages stand newest first, or best match first: choose one of the two.")
    return "best" if asked == "best" else "newest"
