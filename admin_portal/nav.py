"""What stands in the frame of every page: where one can go, and who one is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Item:
    """A page in the rail. `prefixes`: views whose pages belong to it, so that it is marked there too."""

    label: str
    view: str
    icon: str
    also: tuple[str, ...] = field(default=())


GROUPS: tuple[tuple[str, tuple[Item, ...]], ...] = (
    ("", (Item("Overview", "overview", "home"),)),
    (
        "People",
        (
            Item("People", "people", "users", ("person",)),
            Item("Onboarding", "onboarding", "steps", ("onboarding-events",)),
        ),
    ),
    (
        "AI",
        (
            Item("Metrics", "ai-metrics", "pulse"),
            Item("Tuning", "tuning", "tune", ("tuning-conversation",)),
            Item("Knowledge", "knowledge", "book", ("knowledge-document",)),
            Item("Memories", "memories", "memo"),
            Item("Feedback", "feedback", "thumb-down"),
        ),
    ),
    (
        "Operations",
        (
            Item("Batch runs", "batch", "batch", ("batch-run",)),
            Item("System", "system", "system", ("system-do", "retention")),
            Item("Raw tables", "admin:index", "database"),
            Item("JSON API", "api:docs", "plug"),
        ),
    ),
)


def _inside(item: Item, here: str) -> bool:
    """Whether the page is one of a namespace whose index is the item."""
    namespace, index, _ = item.view.partition(":index")
    return bool(index) and here.startswith(f"{namespace}:")


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context for base.html: `nav` (groups of items) and `theme` ("light", "dark", or "" for the system's)."""
    theme = request.COOKIES.get("theme", "")
    context: dict[str, Any] = {"theme": theme if theme in THEMES else ""}
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return context
    match = request.resolver_match
    here = match.view_name if match else ""
    nav = []
    for label, items in GROUPS:
        shown = []
        for item in items:
            try:
                url = reverse(item.view)
            except NoReverseMatch:  # in a deployment without Django's admin
                continue
            shown.append(
                {
                    "label": item.label,
                    "url": url,
                    "icon": item.icon,
                    "current": here == item.view or here in item.also or _inside(item, here),
                    "count": None,
                    "warn": False,
                }
            )
        nav.append({"label": label, "items": shown})
    return {**context, "nav": nav}
