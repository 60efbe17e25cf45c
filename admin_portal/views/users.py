"""/admin/users: everybody who has an account."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_safe

from activity.peoplelist import Listed
from activity.peoplewhere import definition
from admin_portal import userasked, usercsv, userlist
from admin_portal.userasked import Asked, PeopleForm
from sigmasight.lib.csvfile import csv_response
from sigmasight.lib.htmx import render_part

logger = logging.getLogger(__name__)
MORE = "more"


@require_safe
def people(request: HttpRequest) -> HttpResponseBase:
    """People, searched, narrowed and sorted, a page at a time; with `format=csv` all of them, as CSV."""
    form = PeopleForm(request.GET)
    asked, found = userlist.look(userasked.asked(request.GET, form, definition()))
    # What makes no sense narrows nothing: then the page says so, rather than a file of everybody.
    if request.GET.get("format") == "csv" and not asked.notes:
        return _csv(request, asked, found)
    htmx = getattr(request, "htmx", None)
    part = MORE if htmx and htmx.target == MORE else "list"
    return render_part(
        request, "admin_portal/users.html", part, {"form": form, **userlist.page(asked, found, request.GET)}
    )


def _csv(request: HttpRequest, asked: Asked, found: Listed) -> StreamingHttpResponse:
    logger.info(
        "people exported as CSV",
        extra={
            "admin_id": str(request.user.pk),
            "people": found.total.count,
            "status": asked.status or "any",
            "since": asked.since or "ever",
            "is_search": bool(asked.search),
            "narrowed_by": [name for name, _, _ in asked.without_each()],
        },
    )
    return csv_response("people", usercsv.COLUMNS, usercsv.rows(asked, found))
