"""One URL serves a page and its fragment."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


def render_part(
    request: HttpRequest, template: str, part: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """The whole page, or, where htmx asks for the element with the id `part`, the partial of that name alone.

    The partial stands in the page's own template (`{% partialdef part inline %}`). htmx restoring a page from
    history gets the whole page.
    """
    htmx: Any = getattr(request, "htmx", None)
    wanted = bool(htmx) and not htmx.boosted and not htmx.history_restore_request and htmx.target == part
    response = render(request, f"{template}#{part}" if wanted else template, context, status=status)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response
