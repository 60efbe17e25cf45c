"""A signed-in admin's browser, without the network."""

from __future__ import annotations

import uuid
from typing import Any

_client: list[Any] = []


def sign_in() -> str:
    """An admin and their session in the database in use; returns the session's cookie."""
    from django.conf import settings
    from django.test import Client

    from admin_portal.models import AdminUser

    admin = AdminUser.objects.create_admin("bench@example.com", uuid.uuid4().hex, "Bench")
    client = Client(SERVER_NAME="localhost")
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    cookie: str = client.cookies[settings.SESSION_COOKIE_NAME].value
    return cookie


def resume(cookie: str) -> None:
    """From here on `get` carries that cookie."""
    from django.conf import settings
    from django.test import Client

    client = Client(SERVER_NAME="localhost")
    client.cookies[settings.SESSION_COOKIE_NAME] = cookie
    _client[:] = [client]


def get(path: str) -> Any:
    """The page; RuntimeError where it does not come."""
    answer = _client[0].get(path, headers={"accept-encoding": "gzip"})
    if answer.status_code != 200:
        raise RuntimeError(f"{path} answers {answer.status_code}")
    return answer
