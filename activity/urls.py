"""Under /admin/onboarding."""

from django.urls import path

from activity import views

urlpatterns = [
    path("", views.onboarding, name="onboarding"),
    path("/events", views.events, name="onboarding-events"),
]
