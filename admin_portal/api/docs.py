"""The OpenAPI document, and the page that shows it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from admin_portal.api.credentials import authenticate
from sigmasight.api.conditional import etag_of
from sigmasight.api.reference import Reference, reference


def document() -> dict[str, Any]:
    """The OpenAPI document, as plain values."""
    from admin_portal.api import api

    found: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(), default=str))
    return found


def as_text(found: dict[str, Any]) -> str:
    """The document as docs/openapi.json has it: the same for the same API, line by line."""
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


@cache
def _stored() -> tuple[bytes, str]:
    body = as_text(document()).encode()
    return body, etag_of(body)


@cache
def _reference() -> Reference:
    return reference(document())


@login_not_required
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """/api/v1/openapi.json, for a bearer token or the cookie."""
    from admin_portal.api import api

    try:
        authenticate(request)
    except Exception as error:
        return api.on_exception(request, error)
    body, etag = _stored()
    response = HttpResponse(body, content_type="application/json; charset=utf-8")
    response["Cache-Control"] = "private, no-cache"
    response["ETag"] = etag
    found = get_conditional_response(request, etag=etag, response=response)
    return found if isinstance(found, HttpResponse) else response


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """/api/v1/docs: every call, with its parameters, an example of its answer, and what may go wrong."""
    return render(request, "admin_portal/api.html", {"reference": _reference()})
