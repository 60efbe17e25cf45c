"""Which browser a User-Agent header speaks of, near enough to recognise one's own."""

import re

_BROWSERS = (
    ("Edg", "Edge"),
    ("EdgiOS", "Edge"),
    ("EdgA", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("HeadlessChrome", "Chrome, headless"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Version", "Safari"),
    ("curl", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser(header: str | None) -> str:
    """`Firefox 128 on Linux`; the header's first 60 characters where it is none that we know; `unknown` for none."""
    if not header:
        return "unknown"
    for token, name in _BROWSERS:
        if match := re.search(rf"{token}/(\d+)", header):
            system = next((label for mark, label in _SYSTEMS if mark in header), "")
            return f"{name} {match[1]}" + (f" on {system}" if system else "")
    return header[:60]
