"""Whose clock times are shown in: the signed-in admin's own zone, on pages. UTC wherever nobody looks at a page.

Only moments move. Days are UTC days for everybody, since roll-ups, sealing and retention are cut there: two admins who
speak of "22 Nov" speak of the same figures. The JSON API, files and raw tables say UTC.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from sigmasight.lib.format import moment

# Raw tables write UTC beside every time, and their forms read it; clients of the API compute with what they get.
PLAIN = ("/api/", "/admin/db/")


@cache
def zone_names() -> tuple[str, ...]:
    """What a zone can be called: by region and place ("Europe/Berlin"), and UTC. Old aliases without a region ("EST",
    "Japan") and the system's own ("posix/…") are left out."""
    old = ("Etc/", "posix/", "right/", "SystemV/", "US/", "Brazil/", "Canada/", "Chile/", "Mexico/")
    return ("UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith(old)))


@cache
def zone(name: str) -> ZoneInfo | None:
    """The zone of that name, None where there is none."""
    return ZoneInfo(name) if name in zone_names() else None


def here(moment: dt.datetime) -> dt.datetime:
    """A moment by the clock of whoever looks at the page."""
    return moment.astimezone(timezone.get_current_timezone())


def clock_name(moment: dt.datetime | None = None) -> str:
    """What the clock is called then: "UTC", "CET", "CEST"."""
    return f"{here(moment or timezone.now()):%Z}"


def moment_here(then: dt.datetime, now: dt.datetime) -> str:
    """The moment, short, and by which clock: ``21 Nov 05:52 CET``."""
    return f"{moment(then, now, timezone.get_current_timezone())} {clock_name(then)}"


class TimeZoneMiddleware:
    """Pages are drawn in the zone of the admin who asks. After SignInMiddleware: views that are open to all cost no
    look at who is asking."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return self.get_response(request)
        finally:
            timezone.deactivate()

    def process_view(self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any) -> None:
        if getattr(view, "login_required", True) and not request.path_info.startswith(PLAIN):
            found = zone(getattr(request.user, "timezone", ""))
            if found is not None:
                timezone.activate(found)
