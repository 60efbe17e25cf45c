"""Going anywhere by anything known of it: a person, a conversation, a message, a run, a document, an error, a page.

Each source answers from an index and with a few rows; one that is too slow, or whose database is away, is left out and
named. Whole ids come first, then pages, then the rest. What was searched for is not logged.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.db import OperationalError, connections, transaction
from django.urls import Resolver404, resolve, reverse
from psycopg.errors import QueryCanceled

from activity import peoplelist, search
from activity.models import Conversation, Event, Message, User
from activity.peoplelist import PeopleFilter
from activity.rollup_models import EventRollup
from admin_portal.models import AdminUser, SavedView
from admin_portal.nav import every_item
from ai_tuning.models import Annotation, Document, Memory
from metrics import batch
from metrics.models import AIRequest, BatchRun
from metrics.rollup_models import AIRequestRollup
from sigmasight.lib.away import reaching
from sigmasight.lib.zones import here

# Of one kind, so many.
SHOWN = 5
LONGEST = 200
# Characters of an id from which on it may be looked for by its beginning.
PREFIX = 4
TIMEOUT_MS = 800
ERRORS_SINCE = dt.timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere to go. `sub` says what it is."""

    title: str
    href: str
    sub: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Places by kind, in the order to show them. `exact`: the one place that the text names; `missing`: what could not
    be looked through, in words."""

    groups: tuple[tuple[str, tuple[Place, ...]], ...] = ()
    exact: Place | None = None
    missing: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return sum(len(places) for _, places in self.groups)


@dataclass(slots=True)
class _Hunt:
    text: str
    admin: AdminUser
    now: dt.datetime
    words: list[str] = field(default_factory=list)
    identifier: UUID | None = None
    span: tuple[UUID, UUID] | None = None


def find(text: str, admin: AdminUser, now: dt.datetime) -> Found:
    """What a text may mean; for an empty one, the pages and shortcuts."""
    text = " ".join(text.replace("\x00", "").split())[:LONGEST]
    if exact := _address(text):
        return Found((("Address", (exact,)),), exact)
    hunt = _Hunt(text, admin, now, text.lower().split())
    hunt.identifier = _identifier(text)
    hunt.span = _span(text)
    if not text:
        return Found((("Pages", tuple(_pages(hunt))), ("Shortcuts", tuple(_shortcuts(hunt)))))
    groups: list[tuple[str, tuple[Place, ...]]] = []
    missing: list[str] = []
    for label, alias, source in _SOURCES:
        with reaching(alias) as database:
            try:
                with _bounded(alias):
                    places = tuple(source(hunt))
            except OperationalError as error:
                if not isinstance(error.__cause__, QueryCanceled):
                    raise
                missing.append(f"{label}: took too long, write more of it.")
                continue
            if places:
                groups.append((label, places))
        if database.away:
            missing.append(f"{label}: the {alias} database doesn’t answer.")
    only = [place for label, places in groups if label not in ("Pages", "Shortcuts") for place in places]
    is_exact = hunt.identifier is not None and len(only) == 1
    return Found(tuple(groups), only[0] if is_exact else None, tuple(missing))


@contextmanager
def _bounded(alias: str) -> Iterator[None]:
    """A transaction that only reads, and not for long."""
    with transaction.atomic(alias):
        _limit(alias, TIMEOUT_MS)
        yield
        # It would end with the transaction; within somebody else's it goes on.
        _limit(alias, 0)


def _limit(alias: str, milliseconds: int) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])


# ---- what a text may be ----


def _address(text: str) -> Place | None:
    """One of our own addresses, pasted whole."""
    if not re.match(r"(https?://[^/\s]+)?/admin(/|\?|$)", text):
        return None
    parts = urlsplit(text)
    try:
        resolve(parts.path)
    except Resolver404:
        return None
    where = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return Place(where, where + (f"#{parts.fragment}" if parts.fragment else ""), "this address")


def _identifier(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _span(text: str) -> tuple[UUID, UUID] | None:
    """The ids that begin like the text, from the first to the last; None where it is no beginning of one."""
    digits = text.lower().replace("-", "")
    if not PREFIX <= len(digits) < 32 or re.search(r"[^0-9a-f]", digits):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def _day(text: str, now: dt.datetime) -> dt.date | None:
    """A day in words: today, yesterday, 2026-11-28, 28 nov, 28 Nov 2026."""
    words = re.sub(r"\b(batch|runs?|of|the)\b", " ", text.lower()).strip()
    words = re.sub(r"^([a-z]+) (\d+)$", r"\2 \1", words)
    if words in ("today", "yesterday", "last night"):
        return now.date() - dt.timedelta(days=1 if words == "yesterday" else 0)
    for form in ("%Y-%m-%d", "%d %b %Y", "%d %B %Y"):
        for text_of_day in (words, f"{words} {now.year}"):
            try:
                found = dt.datetime.strptime(text_of_day, form).replace(tzinfo=dt.UTC).date()
            except ValueError:
                continue
            # Without a year, the last such day.
            is_to_come = text_of_day != words and found > now.date()
            return found - dt.timedelta(days=365) if is_to_come else found
    return None


# ---- the sources ----


def _pages(hunt: _Hunt) -> Iterator[Place]:
    """Pages by name or by what else they are called."""
    for item, href in every_item():
        names = f"{item.label} {item.words}".lower()
        if all(word in names for word in hunt.words):
            yield Place(item.label, href, "page")


def _shortcuts(hunt: _Hunt) -> Iterator[Place]:
    """Places that are asked for again and again."""
    midnight = hunt.now.replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = f"period=custom&from={midnight - dt.timedelta(days=1):%Y-%m-%dT%H:%M}&to={midnight:%Y-%m-%dT%H:%M}"
    metrics, events = reverse("ai-metrics"), reverse("onboarding-events")
    shortcuts = (
        Place("Slowest answers of yesterday", f"{metrics}?{yesterday}#slowest-rows", "AI metrics"),
        Place("Failed requests, 24 h", f"{metrics}?period=24h#errors", "AI metrics"),
        Place("Stuck before the portfolio", f"{reverse('onboarding')}?gap=4", "onboarding"),
        Place("Thumbs-down that wait for review", f"{reverse('feedback')}?review=open", "feedback"),
        *(Place("Last batch run", reverse("batch-run", args=[each.run.pk]), "batch runs") for each in batch.recent(1)),
        Place("Errors people met, last week", f"{events}?period=7d&show=errors", "events"),
        Place("Errors of last week, as CSV", f"{events}?period=7d&show=errors&format=csv", "file"),
    )
    for place in shortcuts:
        if all(word in place.title.lower() for word in hunt.words):
            yield place


def _views(hunt: _Hunt) -> Iterator[Place]:
    found = SavedView.objects.filter(admin_user=hunt.admin, name__icontains=hunt.text).order_by("name")[:SHOWN]
    hrefs = {item.view: href for item, href in every_item()}
    for view in found:
        if href := hrefs.get(view.page):
            yield Place(view.name, f"{href}?{view.query}", "saved view")


def _people(hunt: _Hunt) -> Iterator[Place]:
    """By id, by the beginning of one, by name or address."""
    if hunt.span or hunt.identifier:
        rows = User.objects.defer("hashed_password").filter(pk__range=hunt.span or (hunt.identifier, hunt.identifier))
        found = list(rows.order_by("pk")[:SHOWN])
    else:
        try:
            listed = peoplelist.find(PeopleFilter(search=hunt.text), now=hunt.now)
        except ValueError:
            return
        found = list(listed.rows.order_by("-created_at", "id")[:SHOWN])
    for user in found:
        yield Place(user.full_name or user.email, reverse("person", args=[user.pk]), user.email)
    if hunt.identifier and not found and Event.objects.filter(user_id=hunt.identifier).exists():
        yield Place(str(hunt.identifier), reverse("person", args=[hunt.identifier]), "no account any more, but events")


def _sessions(hunt: _Hunt) -> Iterator[Place]:
    if len(hunt.text) < 8 or " " in hunt.text or "@" in hunt.text:
        return
    row = Event.objects.filter(session_id=hunt.text).order_by("created_at").first()
    if row is not None:
        query = urlencode({"session": hunt.text, "period": "30d"})
        yield Place(hunt.text, f"{reverse('onboarding-events')}?{query}", "session: its events")


def _conversations(hunt: _Hunt) -> Iterator[Place]:
    if not (hunt.span or hunt.identifier):
        return
    low, high = hunt.span or (hunt.identifier, hunt.identifier)
    for talk in Conversation.objects.filter(pk__range=(low, high)).order_by("pk")[:SHOWN]:
        yield Place(str(talk.pk), reverse("conversation", args=[talk.pk]), "conversation")


def _messages(hunt: _Hunt) -> Iterator[Place]:
    """By id, by the request behind it, or by words in it."""
    if hunt.identifier:
        row = Message.objects.filter(pk=hunt.identifier).first()
        if row is not None:
            yield Place((row.content or "")[:120] or str(row.pk), _anchor(row.conversation_id, row.pk), "message")
        return
    if hunt.span or len(hunt.text) < 3:
        return
    found = search.search(hunt.text, start=hunt.now - dt.timedelta(days=90), end=hunt.now, limit=SHOWN)
    for hit in found.hits:
        text = "".join(each.text for each in hit.snippet)
        yield Place(text[:160], _anchor(hit.conversation_id, hit.message_id), f"message, {here(hit.at):%d %b %H:%M}")


def _requests(hunt: _Hunt) -> Iterator[Place]:
    if hunt.identifier is None:
        return
    row = AIRequest.objects.filter(pk=hunt.identifier).first()
    if row is not None:
        yield Place(
            f"{row.model}, {here(row.created_at):%d %b %H:%M}", _anchor(row.conversation_id, row.message_id), "request"
        )


def _runs(hunt: _Hunt) -> Iterator[Place]:
    """By name, or of a day."""
    day = _day(hunt.text, hunt.now)
    if day is not None:
        start = dt.datetime.combine(day, dt.time.min, dt.UTC)
        rows = BatchRun.objects.filter(started_at__gte=start, started_at__lt=start + dt.timedelta(days=1))
    elif hunt.identifier:
        rows = BatchRun.objects.filter(pk=hunt.identifier)
    elif len(hunt.text) >= PREFIX and " " not in hunt.text:
        last = hunt.text + "\U0010ffff"
        rows = BatchRun.objects.filter(batch_run_id__gte=hunt.text, batch_run_id__lt=last)
    else:
        return
    for run in rows.defer("activity_log", "error_summary").order_by("-started_at")[:SHOWN]:
        title = f"{run.batch_run_id}, {here(run.started_at):%d %b %H:%M}"
        yield Place(title, reverse("batch-run", args=[run.pk]), f"batch run, {run.status}")


def _errors(hunt: _Hunt) -> Iterator[Place]:
    """Error codes that people met, error types and models of AI requests, of the last 90 days."""
    if len(hunt.text) < 2:
        return
    since = {"grain": "day", "at__gte": hunt.now - ERRORS_SINCE}
    codes = EventRollup.objects.filter(**since, error_code__icontains=hunt.text).exclude(error_code="")
    for code in codes.values_list("error_code", flat=True).distinct().order_by("error_code")[:SHOWN]:
        query = urlencode({"period": "30d", "error": code})
        yield Place(code, f"{reverse('onboarding-events')}?{query}", "error that people met: its events")
    cells = AIRequestRollup.objects.filter(**since, level=0)
    for name, label in (("error_type", "AI error"), ("model", "model")):
        rows = cells.filter(**{f"{name}__icontains": hunt.text}).exclude(**{name: ""})
        for value in rows.values_list(name, flat=True).distinct().order_by(name)[:SHOWN]:
            query = urlencode({"period": "30d", "error" if name == "error_type" else "model": value})
            yield Place(value, f"{reverse('ai-metrics')}?{query}", label)


def _documents(hunt: _Hunt) -> Iterator[Place]:
    if hunt.span or hunt.identifier:
        rows = Document.objects.filter(pk__range=hunt.span or (hunt.identifier, hunt.identifier))
    else:
        rows = Document.objects.filter(title__icontains=hunt.text)
    for row in rows.defer("content", "embedding").order_by("-updated_at")[:SHOWN]:
        yield Place(row.title or str(row.pk), reverse("knowledge-document", args=[row.pk]), f"document, {row.scope}")


def _judged(hunt: _Hunt) -> Iterator[Place]:
    """Memories and annotations, by id."""
    if hunt.identifier is None:
        return
    for memory in Memory.objects.filter(pk=hunt.identifier):
        yield Place(memory.content[:120], reverse("admin:ai_tuning_memory_change", args=[memory.pk]), "memory")
    for row in Annotation.objects.filter(pk=hunt.identifier):
        href = reverse("admin:ai_tuning_annotation_change", args=[row.pk])
        yield Place(str(row), href, f"annotation, {row.status}")


def _anchor(conversation_id: UUID, message_id: UUID) -> str:
    return f"{reverse('conversation', args=[conversation_id])}#m-{message_id}"


_Source = Callable[[_Hunt], Iterator[Place]]
# In the order in which they are shown, each with the database it asks.
_SOURCES: Sequence[tuple[str, str, _Source]] = (
    ("Pages", "default", _pages),
    ("Saved views", "default", _views),
    ("Shortcuts", "default", _shortcuts),
    ("People", "default", _people),
    ("Sessions", "default", _sessions),
    ("Conversations", "default", _conversations),
    ("Requests", "default", _requests),
    ("Batch runs", "default", _runs),
    ("Errors and models", "default", _errors),
    ("Documents", "metro", _documents),
    ("Memories and annotations", "metro", _judged),
    ("Messages", "default", _messages),
)
