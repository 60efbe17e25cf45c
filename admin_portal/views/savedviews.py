"""/admin/views: the views that an admin keeps of a page. The menu in a page's head asks for them when it is opened."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from admin_portal import savedviews


@require_safe
def saved_views(request: HttpRequest) -> HttpResponse:
    """The views of one page, with a form to keep another: a page of its own, or the menu in another's head."""
    page, query = request.GET.get("page", ""), request.GET.get("query", "")
    try:
        reverse(page)
    except NoReverseMatch as error:
        raise Http404("There is no such page to keep a view of.") from error
    template = "admin_portal/saved_views.html"
    return render(
        request,
        f"{template}#menu" if getattr(request, "htmx", None) else template,
        {
            "page_name": page,
            "query": savedviews.normal(query),
            "views": savedviews.views_of(request.user, page, query),  # type: ignore[arg-type]
            "back": f"{reverse(page)}?{savedviews.normal(query)}",
        },
    )


@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Keeps what one looks at, and goes back there."""
    page, query = request.POST.get("page", ""), request.POST.get("query", "")
    try:
        where = savedviews.save_view(request.user, page, request.POST.get("name", ""), query)  # type: ignore[arg-type]
    except savedviews.SavedViewError as error:
        messages.error(request, str(error))
        try:
            return redirect(f"{reverse(page)}?{savedviews.normal(query)}")
        except NoReverseMatch:
            return redirect("overview")
    messages.success(request, "The view is kept.")
    return redirect(where)


@require_POST
def rename(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """Gives one of one's own views another name."""
    back = url_has_allowed_host_and_scheme(request.POST.get("back", ""), {request.get_host()}, request.is_secure())
    where = request.POST["back"] if back else reverse("overview")
    try:
        row = savedviews.rename_view(request.user, view_id, request.POST.get("name", ""))  # type: ignore[arg-type]
    except savedviews.SavedViewError as error:
        messages.error(request, str(error))
        return redirect(where)
    if row is None:
        raise Http404("There is no such view of yours. It may be removed already.")
    messages.success(request, f"The view is called “{row.name}” now.")
    return redirect(where if back else savedviews.address(row))


@require_POST
def remove(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """Removes one of one's own views."""
    where = savedviews.remove_view(request.user, view_id)  # type: ignore[arg-type]
    if where is None:
        raise Http404("There is no such view of yours. It may be removed already.")
    messages.success(request, "The view is removed.")
    return redirect(where)
