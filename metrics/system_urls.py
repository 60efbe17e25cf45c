"""Under /admin/system."""

from django.urls import path

from metrics import system_views

urlpatterns = [path("/retention", system_views.retention_page, name="retention")]
