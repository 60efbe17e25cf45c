"""Which browser it was, in words that its owner recognises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight.lib.useragent import browser

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox 145 on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/142.0.0.0 Safari/537.36", "Chrome 142 on Windows"),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
            "Edge 142 on Windows",
        ),
        (
            f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/142.0.0.0 Safari/537.36 OPR/125.0.0.0",
            "Opera 125 on Linux",
        ),
        (
            f"{MAC} Version/18.1 Safari/605.1.15",
            "Safari 18 on macOS",
        ),
        (f"{IPHONE} Version/18.1 Mobile/15E148 Safari/604.1", "Safari 18 on iPhone"),
        (f"{IPHONE} CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1", "Chrome 142 on iPhone"),
        (f"{IPHONE} FxiOS/145.0 Mobile/15E148 Safari/605.1.15", "Firefox 145 on iPhone"),
        (f"{IPHONE} Version/18.0 EdgiOS/142.0.0.0 Mobile/15E148 Safari/604.1", "Edge 142 on iPhone"),
        (
            f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/142.0.0.0 Mobile Safari/537.36",
            "Chrome 142 on Android",
        ),
        (
            f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/142.0.0.0 Safari/537.36",
            "Chrome, headless 142 on Linux",
        ),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/142.0.0.0 Safari/537.36", "Chrome 142 on ChromeOS"),
        ("curl/8.5.0", "curl 8"),
        ("python-httpx/0.28.1", "python-httpx/0.28.1"),
        ("x" * 200, "x" * 60),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_header_is_named(header, name):
    assert browser(header) == name


@given(st.text())
def test_any_header_gives_a_short_name(header):
    assert 0 < len(browser(header)) <= 200
