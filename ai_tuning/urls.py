"""Under /admin/ai/conversations, and where these pages stood before."""

from django.urls import path
from django.views.generic import RedirectView

from ai_tuning import views

urlpatterns = [
    path("/conversations", views.conversations, name="conversations"),
    path("/conversations/<uuid:conversation_id>", views.conversation, name="conversation"),
    # Links of old. Not permanent ones, which browsers would keep: the address is to be the review workbench's.
    path("/tuning", RedirectView.as_view(pattern_name="conversations", query_string=True), name="tuning"),
    path("/tuning/<uuid:conversation_id>", RedirectView.as_view(pattern_name="conversation", query_string=True)),
]
