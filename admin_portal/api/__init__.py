"""The JSON API, put together: /api/v1."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from activity.api import onboarding
from admin_portal.api import auth, docs, users
from admin_portal.api.credentials import authenticate
from ai_tuning.api import feedback, knowledge, tuning
from metrics.api import ai, batch, system
from sigmasight.api.house import HouseAPI

ROOT = "/api/v1/"
# What the API is for, in the document and on its page.
ABOUT = """Everything that SigmaSight's admins see and do, for programs.

Sign in with `POST /api/v1/admin/auth/login` and send its `access_token` as `Authorization: Bearer …`.
`days=N` means the last N times 24 hours up to now; days in answers are UTC days; times carry their offset.
Percentages are 0 to 100. Errors are `{"detail": …}`.
Lists come in pages: `limit` with `offset`, or with the `next_cursor` of the page before as `cursor`.
"""

api = HouseAPI(ROOT, title="SigmaSight Admin", version="1", description=ABOUT, auth=authenticate, urls_namespace="api")
api.add_router("/admin/auth", auth.router)
api.add_router("/admin/users", users.router)
api.add_router("/admin/onboarding", onboarding.router)
api.add_router("/admin/ai", ai.router)
api.add_router("/admin/ai/tuning", tuning.router)
api.add_router("/admin/ai/knowledge", knowledge.router)
api.add_router("/admin/feedback", feedback.router)
api.add_router("/admin/batch", batch.router)
api.add_router("/admin/system", system.router)
# Where the present backend has them.
api.add_router("/system", system.old_router)


def _patterns() -> list[URLPattern | URLResolver]:
    """The API's addresses. They check who is asking themselves; SignInMiddleware would send them to a page."""
    # Without ninja's own root, which answers nothing.
    patterns = [each for each in api.urls[0] if getattr(each, "name", "") != "api-root"]
    for pattern in patterns:
        pattern.callback.login_required = False  # type: ignore[union-attr]
    own = [path("openapi.json", docs.openapi, name="openapi"), path("docs", docs.docs, name="docs")]
    return [*own, *patterns]


urls = (_patterns(), "ninja", "api")
