"""gunicorn reads this by itself: its own few lines look like all others. Everything else is in the Procfile."""

import os

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
