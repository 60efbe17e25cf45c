"""/admin: the overview."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from activity import people
from admin_portal.overview import overview as look_over
from metrics import batch, pages
from sigmasight.lib.charts import tiny_bars
from sigmasight.lib.htmx import render_part
from sigmasight.lib.periods import period_from


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Is everything all right? Asks for itself anew every half minute while somebody looks."""
    period = period_from(request)
    seen = look_over(period)
    period = seen.window.period
    hrefs = pages.bucket_hrefs(period, request.GET, reverse("ai-metrics"))
    htmx: Any = getattr(request, "htmx", None)
    return render_part(
        request,
        "admin_portal/overview.html",
        "live",
        {
            "is_live": bool(htmx) and htmx.target == "live",
            "period": period,
            "seen": seen,
            "latency_chart": pages.latency_chart(seen.window, hrefs),
            "errors_chart": pages.errors_chart(seen.window, seen.window.look.errors_by_bucket(), hrefs),
            "errors": [(each, tiny_bars(each.by_bucket)) for each in seen.window.look.errors(limit=5)],
            "runs": batch.recent(6),
            "runs_csv": [("CSV", f"{reverse('batch')}{period.href}&format=csv&table=runs")],
            "errors_csv": [("CSV", f"{reverse('ai-metrics')}{period.href}&format=csv&table=errors")],
            "stops_csv": [("CSV", f"{reverse('onboarding-events')}{period.href}&show=errors&format=csv")],
            "stops": people.what_stops_people(period, limit=6),
        },
    )
