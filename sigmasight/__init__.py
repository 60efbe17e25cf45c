"""The project: settings, URLs, router, Celery app. DESIGN's rooms are described in docs/architecture.md."""

from sigmasight.celery import app as celery_app

__all__ = ["celery_app"]
