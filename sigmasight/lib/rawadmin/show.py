"""Values of raw columns as HTML: short for a list, whole for a row's own page."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

NOTHING = "–"
CLIP = 90


def nothing() -> SafeString:
    return format_html('<span class="mute">{}</span>', NOTHING)


def moment(value: dt.datetime) -> SafeString:
    """To the second, in UTC; the exact microsecond on hover."""
    utc = value.astimezone(dt.UTC)
    return format_html(
        '<time class="nowrap" datetime="{}" title="{}">{}</time>',
        utc.isoformat(),
        f"{utc:%Y-%m-%d %H:%M:%S.%f} UTC",
        f"{utc:%Y-%m-%d %H:%M:%S}",
    )


def exact_moment(value: dt.datetime) -> SafeString:
    utc = value.astimezone(dt.UTC)
    return format_html('<time datetime="{}">{} UTC</time>', utc.isoformat(), f"{utc:%Y-%m-%d %H:%M:%S.%f}")


def clipped(text: str) -> SafeString:
    """The beginning of a long text, on two lines at most."""
    return format_html('<span class="rt-clip">{}</span>', clip(text, CLIP + 50)) if text else nothing()


def clip(text: str, length: int = CLIP) -> str:
    """One line of at most `length` characters."""
    return Truncator(" ".join(text[: length * 2].split())).chars(length)


def key(value: Any, whole: bool) -> SafeString:
    """A UUID: its beginning in a list, with all of it on hover."""
    text = str(value)
    return format_html('<span class="mono" title="{}">{}</span>', text, text if whole else text[:8])


def text_block(text: str) -> SafeString:
    """All of it, as it was written."""
    return format_html('<div class="rt-text">{}</div>', text) if text else nothing()


def json_line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def json_block(value: Any) -> SafeString:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return format_html('<pre class="rt-json" tabindex="0">{}</pre>', text)


def secret(value: str) -> SafeString:
    """That there is something, and how long it is; never what."""
    if not value:
        return format_html('<span class="mute">{}</span>', "empty")
    return format_html('<span class="mute" title="Never shown">•••••• {} characters</span>', len(value))


def yes_no(value: bool) -> SafeString:
    return SafeString("yes") if value else format_html('<span class="mute">{}</span>', "no")


def tag(text: str, tone: str = "") -> SafeString:
    return format_html('<span class="{}">{}</span>', f"tag {tone}".strip(), text)


def number(value: int) -> str:
    return f"{value:,}"


def nothing_word(word: str) -> SafeString:
    """A word for what isn't there."""
    return format_html('<span class="mute">{}</span>', word)
