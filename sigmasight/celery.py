"""The Celery app. Workers: `celery -A sigmasight worker`; the clock: `celery -A sigmasight beat`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sigmasight.settings")

app = Celery("sigmasight")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
