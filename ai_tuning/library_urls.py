"""Under /admin/ai: knowledge, memories, feedback."""

from django.urls import path

from ai_tuning import library_views as views

urlpatterns = [
    path("/knowledge", views.knowledge, name="knowledge"),
    path("/knowledge/<uuid:document_id>", views.document, name="knowledge-document"),
    path("/memories", views.memories, name="memories"),
    path("/feedback", views.feedback, name="feedback"),
]
