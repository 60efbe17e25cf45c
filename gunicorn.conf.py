"""gunicorn reads this by itself: its own few lines look like all others. Everything else is in the Procfile."""

import gc
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sigmasight.settings")

from sigmasight.settings import LOGGING

logconfig_dict = {
    **LOGGING,
    "loggers": {
        **LOGGING["loggers"],
        # Requests are logged by the application (sigmasight.requests), which knows their ids.
        "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
        "gunicorn.access": {"level": "CRITICAL", "handlers": [], "propagate": False},
    },
}


def post_worker_init(worker: Any) -> None:
    """What the application is made of stays as long as the worker does: going through it again and again, looking for
    garbage, would hold up a request for 150 ms now and then."""
    gc.collect()
    gc.freeze()
