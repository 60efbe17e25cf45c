"""/admin/jump: go anywhere. The palette of every page asks it for its list."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_safe

from admin_portal.jump import find
from sigmasight.lib.htmx import render_part


@require_safe
def jump(request: HttpRequest) -> HttpResponse:
    """The places that a text may mean; on the page itself, a whole id or address leads there at once."""
    text = request.GET.get("q", "")
    found = find(text, request.user, timezone.now())  # type: ignore[arg-type]
    if found.exact and not getattr(request, "htmx", None):
        return redirect(found.exact.href)
    return render_part(request, "admin_portal/jump.html", "jump-found", {"found": found, "q": text.strip()})
