"""Where everything is. The product's own pages carry no trailing slash."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from admin_portal import api
from admin_portal.site import site
from admin_portal.views import auth, health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("", RedirectView.as_view(pattern_name="overview"), name="root"),
    path("admin/login", auth.SignIn.as_view(), name="login"),
    path("admin/logout", auth.sign_out, name="logout"),
    path("admin/account", auth.account, name="account"),
    path("admin/account/timezone", auth.own_timezone, name="own-timezone"),
    path("admin/account/sessions/end-others", auth.end_other_sessions, name="end-other-sessions"),
    path("admin/account/sessions/<uuid:session_id>/end", auth.end_session, name="end-session"),
    path("admin/db/", site.urls),
    path("api/v1/", api.urls),
    path("admin/ai", include("ai_tuning.urls")),
    path("admin/ai", include("ai_tuning.library_urls")),
    path("admin/ai", include("metrics.urls")),
    path("admin/system", include("metrics.system_urls")),
    path("admin/batch", include("metrics.batch_urls")),
    path("admin/onboarding", include("activity.urls")),
    path("admin", include("admin_portal.urls")),
]

handler500 = "admin_portal.views.errors.server_error"

if settings.DEBUG:
    from sigmasight.styleguide import styleguide

    urlpatterns.append(path("admin/_styleguide", styleguide, name="styleguide"))
