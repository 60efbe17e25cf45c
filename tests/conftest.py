"""Every test runs on real PostgreSQL and real Redis: the embedded ones, unless DATABASE_URL names others."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest

BASE = Path(__file__).resolve().parent.parent


if not os.environ.get("DATABASE_URL"):
    from sigmasight.local.testing import ensure_test_servers

    _urls = ensure_test_servers(BASE)
    os.environ["DATABASE_URL"] = _urls.database_url
    os.environ["AI_DATABASE_URL"] = _urls.ai_database_url
    os.environ["REDIS_URL"] = _urls.redis_url
os.environ.setdefault("SECRET_KEY", "of-the-tests-only-" + "x" * 50)
os.environ["HTTPS"] = "false"
os.environ["DEBUG"] = "false"
os.environ["LOG_LEVEL"], os.environ["LOG_FORMAT"] = "INFO", "json"
for _name in ("ADMIN_EMAIL", "ADMIN_PASSWORD"):
    os.environ.pop(_name, None)
# Here and not in pyproject.toml: pytest-django would read the settings before the servers are known.
os.environ["DJANGO_SETTINGS_MODULE"] = "sigmasight.settings"
django.setup()

# Frozen tests stand here: a Monday, at noon, far from any change of month or clock.
TIME_ZERO = dt.datetime(2026, 11, 16, 12, 0, tzinfo=dt.UTC)
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """Argon2 as it is in production, but with the least work: tests sign in hundreds of times."""
    settings.PASSWORD_HASHERS = ["tests.hashers.QuickArgon2Hasher"]


@pytest.fixture(autouse=True)
def _fresh_content_types() -> None:
    """Those of metro's tables are made when first asked for, and rolled back with the test that asked."""
    from django.contrib.contenttypes.models import ContentType

    ContentType.objects.clear_cache()


@pytest.fixture
def admin(db: None) -> Any:
    """An admin: looks at everything, changes no raw row."""
    from admin_portal.models import AdminUser

    return AdminUser.objects.create_admin("ines@example.com", PASSWORD, "Ines Marchetti")


@pytest.fixture
def super_admin(db: None) -> Any:
    """A super admin: changes everything."""
    from admin_portal.models import AdminUser

    return AdminUser.objects.create_admin("sam@example.com", PASSWORD, "Sam Okafor", role="super_admin")


@pytest.fixture
def as_admin(client: Any, admin: Any) -> Any:
    """A browser in which an admin is signed in."""
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def as_super_admin(client: Any, super_admin: Any) -> Any:
    """A browser in which a super admin is signed in."""
    client.force_login(super_admin, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def away() -> Iterator[Any]:
    """Call with a database's alias: from then on it can't be reached, as if its server were gone."""
    from unittest.mock import patch

    from django.db import OperationalError, connections

    patches = []

    def cut(alias: str) -> None:
        def refuse(*args: Any, **kwargs: Any) -> Any:
            raise OperationalError("connection refused: the server is gone")

        patches.append(patch.object(connections[alias], "cursor", refuse))
        patches[-1].start()

    yield cut
    for each in patches:
        each.stop()
