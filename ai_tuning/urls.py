"""Under /admin/ai/tuning."""

from django.urls import path

from ai_tuning import views

urlpatterns = [
    path("", views.tuning, name="tuning"),
    path("/<uuid:conversation_id>", views.conversation, name="tuning-conversation"),
]
