"""Under /admin."""

from django.urls import path

from admin_portal.views import journey, jump, overview, savedviews, users

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("/jump", jump.jump, name="jump"),
    path("/views", savedviews.saved_views, name="saved-views"),
    path("/views/save", savedviews.save, name="save-view"),
    path("/views/<uuid:view_id>/rename", savedviews.rename, name="rename-view"),
    path("/views/<uuid:view_id>/remove", savedviews.remove, name="remove-view"),
    path("/users", users.people, name="people"),
    path("/users/<uuid:user_id>", journey.journey, name="person"),
]
