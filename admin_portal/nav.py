"""What stands in the frame of every page: where one can go, and who one is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Item:
    """A page in the rail. `also`: views whose pages belong to it, so that it is marked there too; `words`: what else
    one may call it."""

    label: str
    view: str
    icon: str
    also: tuple[str, ...] = field(default=())
    words: str = ""


GROUPS: tuple[tuple[str, tuple[Item, ...]], ...] = (
    ("", (Item("Overview", "overview", "home", words="home start"),)),
    (
        "People",
        (
            Item("People", "people", "users", ("person",), "users accounts"),
            Item("Onboarding", "onboarding", "steps", ("onboarding-events",), "funnel sign-up conversion cohorts"),
        ),
    ),
    (
        "AI",
        (
            Item("Metrics", "ai-metrics", "pulse", words="ai latency tokens cost errors models tools"),
            Item("Conversations", "conversations", "chat", ("conversation",), "chats threads messages tuning review"),
            Item("Knowledge", "knowledge", "book", ("knowledge-document",), "documents rag"),
            Item("Memories", "memories", "memo", words="preferences rules"),
            Item("Feedback", "feedback", "thumb-down", words="thumbs ratings"),
        ),
    ),
    (
        "Operations",
        (
            Item("Batch runs", "batch", "batch", ("batch-run",), "jobs phases"),
            Item("System", "system", "system", ("system-do", "retention"), "health databases workers partitions"),
            Item("Raw tables", "admin:index", "database", words="database rows django admin prices"),
            Item("JSON API", "api:docs", "plug", words="openapi endpoints"),
        ),
    ),
)


# Pages with filters or a period, of which an admin may keep views.
KEEPS_VIEWS = frozenset(
    [
        *("overview", "people", "onboarding", "onboarding-events", "ai-metrics", "conversations"),
        *("knowledge", "memories", "feedback", "batch"),
    ]
)
# Pages that stand in no group: reached from others, or from the account's menu.
OTHERS = (
    Item("Events", "onboarding-events", "steps", words="explorer onboarding"),
    Item("Retention", "retention", "clock", words="partitions receipts purge"),
    Item("Account and sessions", "account", "key", words="password sign-in time zone"),
)


def every_item() -> list[tuple[Item, str]]:
    """Every page that can be gone to without knowing anything, with its address."""
    found = []
    for item in (*(item for _, items in GROUPS for item in items), *OTHERS):
        try:
            found.append((item, reverse(item.view)))
        except NoReverseMatch:  # in a deployment without Django's admin
            continue
    return found


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
                    "view": item.view,
                    "current": here == item.view or here in item.also or _inside(item, here),
                    "count": None,
                    "warn": False,
                }
            )
        nav.append({"label": label, "items": shown})
    return {**context, "nav": nav, "keeps_views": here if here in KEEPS_VIEWS else ""}
