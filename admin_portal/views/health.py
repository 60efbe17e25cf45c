"""/healthz and /readyz, for supervisors and balancers."""

from __future__ import annotations

from collections.abc import Callable

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseError
from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from sigmasight.lib.migrating import migration_state


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Touches nothing else."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 where both databases, Redis and the migrations are as they should be; 503, and which is not, otherwise.

    `?exclude=metro&exclude=redis` leaves checks out, as Kubernetes' own /readyz does: gondola's pages work without
    either, so a balancer need not take a process out for them.
    """
    excluded = set(request.GET.getlist("exclude"))
    results = {name: check() for name, check in CHECKS.items() if name not in excluded}
    ready = all(result == "ok" for result in results.values())
    return JsonResponse({"status": "ready" if ready else "not ready", "checks": results}, status=200 if ready else 503)


def _database(alias: str) -> str:
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connections[alias].close()
        return "no answer"
    return "ok"


def _redis() -> str:
    try:
        with redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2) as client:
            client.ping()
    except (redis.RedisError, ValueError):  # ValueError: REDIS_URL is no address
        return "no answer"
    return "ok"


def _migrations() -> str:
    missing: list[str] = []
    for alias in connections:
        try:
            missing += migration_state(alias).missing
        except DatabaseError:
            connections[alias].close()
            return f"unknown: {alias} does not answer"
    return "ok" if not missing else f"{len(missing)} to apply: run `manage.py migrate`"


CHECKS: dict[str, Callable[[], str]] = {
    "gondola": lambda: _database("default"),
    "metro": lambda: _database("metro"),
    "redis": _redis,
    "migrations": _migrations,
}
