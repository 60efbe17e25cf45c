"""Every page that can be reached from the overview, in both themes and both widths: found by following links, so that a
new page is among them as soon as it is linked. Screenshots stay in .local/screens, for those who want to look."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import count_everything

pytestmark = [pytest.mark.browser, pytest.mark.django_db(databases=["default", "metro"], transaction=True)]

SCREENS = Path(__file__).resolve().parents[2] / ".local" / "screens"
WIDTHS = (1440, 375)
MOST = 60
# Of a page, compressed.
MOST_BYTES = 60_000
# Django's own admin has a page for each table: the list of them stands for all.
OUTSIDE = re.compile(r"^/(static|api|admin/db/.)|/admin/logout|[?&]format=|/log$|\.(csv|txt)$")
# An id in a path: pages that differ in nothing else are one.
IDENTIFIER = re.compile(r"/(?:[0-9a-f]{8}-[0-9a-f-]{27}|\d+|[^/]*\d{4}[^/]*)(?=/|$)")
# A chart's marks are links of SVG, whose href is no string.
HREFS = "[...document.querySelectorAll('a[href]')].map(a => new URL(a.getAttribute('href'), location).href)"


def kind(path: str) -> str:
    return IDENTIFIER.sub("/_", path)


def every_page(page: Any) -> list[str]:
    """One address of each kind of page, in the order they are met."""
    found: dict[str, str] = {"/admin": "/admin?period=30d"}
    seen: set[str] = set()
    while left := [name for name in found if name not in seen]:
        name = left[0]
        seen.add(name)
        answer = page.goto(found[name])
        assert answer.status == 200, f"{found[name]}: {answer.status}"
        assert answer.headers["content-encoding"] == "gzip", found[name]
        assert int(answer.headers["content-length"]) <= MOST_BYTES, f"{found[name]}: too large, compressed"
        for href in page.evaluate(HREFS):
            parts = urlsplit(href)
            where = f"{parts.path}?{parts.query}" if parts.query else parts.path
            if not parts.path.startswith("/admin") or OUTSIDE.search(where):
                continue
            found.setdefault(kind(parts.path), where)
    assert len(found) < MOST, sorted(found)
    return list(found.values())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_fits_its_window_and_says_nothing_in_the_console(visit, scheme):
    from axe_playwright_python.sync_playwright import Axe

    axe, wrong = Axe(), []
    window = visit(color_scheme=scheme)
    count_everything()
    spoken: list[str] = []
    window.page.on("console", lambda message: spoken.append(f"{message.type}: {message.text}"))
    addresses = every_page(window.page)
    assert len(addresses) >= 12, addresses
    SCREENS.mkdir(parents=True, exist_ok=True)
    for address in addresses:
        page = window.open(address)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            name = re.sub(r"[^a-z]+", "-", kind(urlsplit(address).path).replace("_", "one")).strip("-")
            page.screenshot(path=SCREENS / f"{name}-{width}-{scheme}.png", full_page=True)
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wrong.append(f"{address} is wider than {width} px")
            for each in axe.run(page).response["violations"]:
                where = "; ".join(node["html"][:160] for node in each["nodes"][:3])
                wrong.append(f"{address} at {width} px: {each['id']}, {each['help']}: {where}")
    assert not wrong, "\n".join(wrong)
    assert spoken == []
    assert window.complaints == []
