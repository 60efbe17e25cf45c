"""A real browser on the real pages: the machine's own Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in _NAMES if (path := shutil.which(name))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Playwright's synchronous API keeps an event loop in this thread, and Django would take us for asynchronous code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser, once for all tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="make test-browser installs Playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """One window, signed in. `complaints` collects what the console and the page's script complained of."""

    def __init__(self, chromium: Any, base: str, cookie: dict[str, str], **options: Any) -> None:
        self.base = base
        self.context = chromium.new_context(base_url=base, **options)
        self.context.add_cookies([{**cookie, "url": base}])
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def open(self, path: str) -> Any:
        answer = self.page.goto(path)
        assert answer.status == 200, f"{path}: {answer.status}"
        return self.page


def count_everything() -> None:
    """Brings roll-ups and funnels up to date: for tests of what rests on them, as it takes a while."""
    from django.utils import timezone

    from activity.funnels.refresh import refresh
    from metrics import filling
    from tests.activity.funnel_oracle import ship

    ship()
    filling.fill_all(timezone.now(), budget=None)
    refresh(budget=None)


@pytest.fixture
def visit(chromium: Any, live_server: Any, transactional_db: None, settings: Any) -> Iterator[Any]:
    """Call with options of a window (viewport, color_scheme, java_script_enabled …) for a signed-in one."""
    from django.core.management import call_command
    from django.test import Client

    from admin_portal.models import AdminUser
    from tests.conftest import PASSWORD

    call_command("seed_demo", scale=0.05, verbosity=0)
    admin = AdminUser.objects.create_admin("ines@example.com", PASSWORD, "Ines Marchetti", role="super_admin")
    client = Client()
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value}
    visits: list[Visit] = []

    def begin(**options: Any) -> Visit:
        options.setdefault("viewport", {"width": 1440, "height": 900})
        visits.append(Visit(chromium, live_server.url, cookie, **options))
        return visits[-1]

    yield begin
    for each in visits:
        each.context.close()
