"""Under /admin."""

from django.urls import path

from admin_portal.views import journey, jump, overview, users

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("/jump", jump.jump, name="jump"),
    path("/users", users.people, name="people"),
    path("/users/<uuid:user_id>", journey.journey, name="person"),
]
