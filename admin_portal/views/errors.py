"""The page for what went wrong here (`handler500`)."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

RETRY_AFTER = 30


def server_error(request: HttpRequest) -> HttpResponse:
    """500; or 503, with when to try again, where a page's database is away. Uses no database itself: the template gets
    neither the request nor the context processors."""
    away = isinstance(sys.exc_info()[1], OperationalError | InterfaceError)
    response = HttpResponse(render_to_string("500.html", {"away": away}), status=503 if away else 500)
    if away:
        response["Retry-After"] = str(RETRY_AFTER)
    return response
