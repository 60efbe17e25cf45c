"""A name for each request, in its answer and in every log line it causes."""

import logging
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from sigmasight.lib.http import client_ip

log = logging.getLogger("sigmasight.requests")
NO_REQUEST = "-"
_current: ContextVar[str] = ContextVar("request_id", default=NO_REQUEST)
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def current_request_id() -> str:
    """The id of the request being served by this thread or task, or "-" outside of one."""
    return _current.get()


class RequestIdMiddleware:
    """Takes `X-Request-ID` from the proxy where it is well-formed, makes one where not, and sends it back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        # Probes come every few seconds, and a page's files say nothing that the page does not.
        self.unlogged = ("/healthz", "/readyz", settings.STATIC_URL)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _ACCEPTABLE.fullmatch(given) else uuid4().hex
        _current.set(request_id)
        begun = time.perf_counter()
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        if not request.path_info.startswith(self.unlogged):
            self._log(request, response, 1000 * (time.perf_counter() - begun))
        return response

    def _log(self, request: HttpRequest, response: HttpResponse, milliseconds: float) -> None:
        """One line a request, without the query: people search for names and addresses."""
        seen = {
            "method": request.method,
            "path": request.path_info,
            "status": response.status_code,
            "ms": round(milliseconds, 1),
            "ip": client_ip(request),
        }
        log.info("%(method)s %(path)s %(status)s", seen, extra=seen)


@receiver(request_finished)
def _forget(**kwargs: Any) -> None:
    """Only here, as Django logs "Not Found" and its like when every middleware has already returned."""
    _current.set(NO_REQUEST)


class RequestIdFilter(logging.Filter):
    """Puts `request_id` on each log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id()
        return True
