"""Under /admin/batch."""

from django.urls import path

from metrics import batch_views

urlpatterns = [
    path("", batch_views.batch_runs, name="batch"),
    path("/<uuid:run_id>", batch_views.batch_run, name="batch-run"),
    path("/<uuid:run_id>/log.txt", batch_views.batch_log, name="batch-log"),
]
