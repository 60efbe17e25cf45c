"""Under /admin/ai."""

from django.urls import path

from metrics import views

urlpatterns = [path("", views.ai_metrics, name="ai-metrics")]
