"""Jobs of this app. `by`: who asked for it, "" where the beat did."""

from celery import shared_task
from django.core.management import call_command


@shared_task
def keep_partitions_ahead(by: str = "") -> None:
    """Makes the coming days' partitions of every raw table (hourly; `manage.py ensure_partitions` does the same)."""
    call_command("ensure_partitions", verbosity=0)


@shared_task
def reconcile_funnels() -> None:
    """Looks through all records, back-dated ones too (once a day; `manage.py refresh_funnels --reconcile`)."""
    call_command("refresh_funnels", reconcile=True, verbosity=0)
