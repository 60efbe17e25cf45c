"""The ASGI application, for the web server."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sigmasight.settings")

application = get_asgi_application()
