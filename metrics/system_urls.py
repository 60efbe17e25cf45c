"""Under /admin/system."""

from django.urls import path

from metrics import system_views

urlpatterns = [
    path("", system_views.system_page, name="system"),
    path("/do/<slug:name>", system_views.do, name="system-do"),
    path("/retention", system_views.retention_page, name="retention"),
]
