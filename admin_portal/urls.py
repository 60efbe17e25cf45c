"""Under /admin."""

from django.urls import path

from admin_portal.views import overview

urlpatterns = [path("", overview.overview, name="overview")]
