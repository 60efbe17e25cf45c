"""What is different about requests under /api/, outside of the views."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import patch_vary_headers

from sigmasight.api.errors import TOO_LARGE, unavailable, unexpected
from sigmasight.api.house import is_api

_MARK = "_api_holds_secret"
_PAGE = re.compile(r"^/api/v\d+/docs$")
SAID = {
    400: "This call can’t be read.",
    403: "This is not allowed.",
    404: "There is nothing at this address: GET /api/v1/openapi.json lists what there is.",
    413: TOO_LARGE,
}


class ApiErrorsMiddleware:
    """Every error under /api/ is JSON, also where no view was reached: an unknown path, a method that is not there,
    a failure in another middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not is_api(request) or _PAGE.match(request.path_info):
            return response
        patch_vary_headers(response, ("Authorization", "Cookie"))
        if response.status_code >= 400 and not response.headers.get("Content-Type", "").startswith("application/json"):
            self._as_json(request, response)
        return response

    def _as_json(self, request: HttpRequest, response: HttpResponse) -> None:
        status = response.status_code
        if status == 405:
            detail = f"{request.method} is not for this address: it takes {response.headers.get('Allow', 'others')}."
        elif status == 503:
            detail = unavailable()
        elif status >= 500:
            detail = unexpected()
        else:
            detail = SAID.get(status, response.reason_phrase)
        response.content = json.dumps({"detail": detail}, ensure_ascii=False).encode()
        response["Content-Type"] = "application/json; charset=utf-8"
        # The page in whose place this stands may have been compressed already.
        response.headers.pop("Content-Encoding", None)
        response["Content-Length"] = str(len(response.content))


class CompressMiddleware(GZipMiddleware):
    """Pages, files and the API's answers are compressed for clients that can read it; but never one that holds a token,
    whose length would tell about it (BREACH). A page's CSRF token is masked anew each time."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        is_text = response.headers.get("Content-Type", "").startswith("text/")
        if not (is_api(request) or is_text) or getattr(request, _MARK, False):
            return response
        return super().process_response(request, response)


def holds_secret(request: HttpRequest) -> None:
    """Says that this request's answer holds a token."""
    setattr(request, _MARK, True)
