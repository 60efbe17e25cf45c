"""What gondola's people did, as sources of a timeline: records, events, conversations. And their milestones.

An event without a user belongs to the person of the next identified event of the same session, and to nobody where
none follows. So what somebody did before they signed up is theirs, and what was done on their machine after they
signed out is not, unless they sign in again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Max, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Left

from activity import conversations
from activity.conversations import QUESTION_CHARACTERS
from activity.models import Conversation, Event, Message, Portfolio, User
from activity.querysets import among
from sigmasight.lib.format import NBSP, count
from sigmasight.lib.partitions import partitions
from sigmasight.lib.timeline import LATEST, Entry, Found, Look, Milestone, Ref, Source

# How many of a person's events are looked through for errors at a time, as most are none.
SCANNED = 5_000
# How many identified events may lie between an event without a user and the one that says whose it is.
REACH = 1_000
# Whose answers a rating may be on: those of this many conversations, and no more answers than this.
CONVERSATIONS, ANSWERS = 200, 1_000
# How many of a person's first events are looked through for a sign-in.
FIRST_EVENTS = 1_000
# Of somebody who has more portfolios, batch runs of the newest are known.
PORTFOLIOS = 200
DATA_SHOWN, DATA_CHARACTERS = 3, 60

TITLES = {
    "onboarding.register_start": "Began to sign up",
    "onboarding.register_complete": "Signed up",
    "onboarding.register_error": "Signing up failed",
    "onboarding.login_success": "Signed in",
    "onboarding.login_error": "Signing in failed",
    "onboarding.portfolio_start": "Began a portfolio",
    "onboarding.portfolio_complete": "Finished a portfolio",
    "onboarding.portfolio_error": "The portfolio failed",
    "chat.session_start": "Opened the chat",
    "chat.message_sent": "Sent a message",
    "chat.feedback_given": "Rated an answer",
    "auth.logout": "Signed out",
    "auth.token_refresh": "Session renewed",
}
# "" is no error.
FAILED = Q(error_code__gt="") | Q(event_type__endswith="_error")


def _events(look: Look) -> Found:
    rows = Event.objects.filter(user_id=look.user_id)
    floor = None
    if look.errors_only:
        floor = look.floor(rows, SCANNED)
        rows = rows.filter(FAILED, **({"created_at__gte": floor} if floor else {}))
    found = list(look.page(rows))
    # A full page of identified events needs no older ones without a user.
    low = found[-1].created_at if len(found) == look.limit else floor or dt.datetime.min.replace(tzinfo=dt.UTC)
    found += _before_signing_in(look, low)
    found.sort(key=lambda event: (event.created_at, event.pk), reverse=True)
    found = found[: look.limit]
    told_of = {event.pk: _uuid(event.event_data, "conversation_id") for event in found}
    answered = {event.pk: _uuid(event.event_data, "message_id") for event in found}
    kept = kept_of(look, (each for each in told_of.values() if each))
    threads = threads_of(each for each in answered.values() if each)
    entries = []
    for event in found:
        conversation, message = told_of[event.pk], answered[event.pk]
        if message in threads:
            ref = Ref("activity.event", event.pk, threads[message], message)
        else:
            ref = Ref("activity.event", event.pk, conversation if conversation in kept else None)
        entries.append(_event(event, ref))
    return Found(entries, floor)


def _event(event: Event, ref: Ref) -> Entry:
    return Entry(
        event.created_at,
        event.pk,
        "event",
        event.event_type,
        title_of(event.event_type),
        ref,
        tuple(_told(event.event_data)) + (() if event.user_id else ("before signing in",)),
        is_error=bool(event.error_code) or event.event_type.endswith("_error"),
        error_code=event.error_code,
        error_message=event.error_message,
        user_agent=event.user_agent,
    )


def title_of(event_type: str) -> str:
    """An event type in words. One that nobody has heard of is taken at its word: `desk.export_made`, Export made."""
    words = event_type.rpartition(".")[2].replace("_", " ").strip()
    return TITLES.get(event_type) or words[:1].upper() + words[1:] or "Unnamed event"


def _told(data: Any) -> Iterator[str]:
    """The few short words of an event's data: no ids, no structures."""
    plain = [
        (str(name), str(value))
        for name, value in (data.items() if isinstance(data, dict) else ())
        if isinstance(value, str | int | float) and not isinstance(value, bool) and not str(name).endswith("id")
    ]
    short = [f"{name}: {value}" for name, value in plain if value != "" and len(name) + len(value) < DATA_CHARACTERS]
    yield from short[:DATA_SHOWN]


def _uuid(data: Any, name: str) -> UUID | None:
    try:
        return UUID(data[name]) if isinstance(data, dict) and isinstance(data.get(name), str) else None
    except ValueError:
        return None


def _before_signing_in(look: Look, low: dt.datetime) -> list[Event]:
    """The newest events without a user, from `low` on and before the place, that the person's sessions claim.

    Claims are looked for among the identified events from `low` on: those of the page and REACH more. The session's
    rows are numbered from its end: those with one number end in one identified event, whose they all are.
    """
    # An empty session id would tie everybody to everybody.
    query = """
        WITH reach AS (
            SELECT session_id, created_at FROM user_activity_events
             WHERE user_id = %(user)s AND created_at >= %(low)s AND session_id <> ''
             ORDER BY created_at, id LIMIT %(reach)s
        ), sessions AS (
            SELECT session_id, max(created_at) AS last FROM reach GROUP BY session_id
        )
        SELECT claimed.* FROM sessions CROSS JOIN LATERAL (
            SELECT *, bool_or(user_id = %(user)s) OVER (PARTITION BY run) AS mine FROM (
                SELECT *, count(user_id) OVER (ORDER BY created_at DESC, id DESC) AS run
                  FROM user_activity_events
                 WHERE session_id = sessions.session_id AND created_at >= %(low)s AND created_at <= sessions.last
            ) AS session
        ) AS claimed
         WHERE mine AND user_id IS NULL AND (created_at, id) < (%(at)s, %(id)s)
           AND (NOT %(errors_only)s OR error_code <> '' OR event_type LIKE '%%\\_error')
         ORDER BY created_at DESC, id DESC LIMIT %(limit)s
        """
    values = {
        "user": look.user_id,
        "low": low,
        "at": look.at,
        "id": look.before_id,
        "errors_only": look.errors_only,
        "reach": REACH + (SCANNED if look.errors_only else look.limit),
        "limit": look.limit,
    }
    return list(Event.objects.raw(query, values))


def _account(look: Look) -> Found:
    if "user" not in look.shared:
        look.shared["user"] = User.objects.filter(pk=look.user_id).only("created_at", "email").first()
    user: User | None = look.shared["user"]
    if user is None or not look.is_before(user.created_at, user.pk):
        return Found([])
    made = Entry(user.created_at, user.pk, "record", "account.made", "Account made", Ref("activity.user", user.pk))
    return Found([made])


def portfolios_of(user_id: UUID, shared: dict[str, Any]) -> list[Portfolio]:
    """The portfolios a person has or had, the newest PORTFOLIOS + 1; asked for once a page."""
    if "portfolios" not in shared:
        rows = Portfolio.objects.filter(user_id=user_id).order_by("-created_at", "-pk")
        shared["portfolios"] = list(rows[: PORTFOLIOS + 1])
    found: list[Portfolio] = shared["portfolios"]
    return found


def _all_portfolios(look: Look) -> list[Portfolio] | None:
    """All of them, None where there are more than are read at once."""
    found = portfolios_of(look.user_id, look.shared)
    return found if len(found) <= PORTFOLIOS else None


def _connected(look: Look) -> Found:
    known = _all_portfolios(look)
    if known is None:
        rows = list(look.page(Portfolio.objects.filter(user_id=look.user_id)))
    else:
        rows = [row for row in known if look.is_before(row.created_at, row.pk)][: look.limit]
    return Found([_portfolio(row, row.created_at, "portfolio.connected", "Connected") for row in rows])


def _removed(look: Look) -> Found:
    known = _all_portfolios(look)
    if known is None:
        gone = Portfolio.objects.filter(user_id=look.user_id, deleted_at__isnull=False)
        timed = [(row.deleted_at or LATEST, row) for row in look.page(gone, "deleted_at")]
    else:
        dated = [(row.deleted_at, row) for row in known if row.deleted_at]
        timed = [(at, row) for at, row in dated if look.is_before(at, row.pk)]
        timed = sorted(timed, key=lambda each: (each[0], each[1].pk), reverse=True)[: look.limit]
    return Found([_portfolio(row, at, "portfolio.removed", "Removed") for at, row in timed])


def _begun(user_id: UUID, shared: dict[str, Any]) -> list[tuple[dt.datetime, UUID]] | None:
    """When each of a person's conversations began, newest first; None where there are more than CONVERSATIONS. Asked
    for once a page."""
    if "begun" not in shared:
        rows = Conversation.objects.filter(user_id=user_id).order_by("-created_at")
        found = list(rows.values_list("created_at", "pk")[: CONVERSATIONS + 1])
        shared["begun"] = found if len(found) <= CONVERSATIONS else None
    begun: list[tuple[dt.datetime, UUID]] | None = shared["begun"]
    return begun


def kept_of(look: Look, conversation_ids: Iterable[UUID]) -> set[UUID]:
    """Which of these conversations there are: the person's own are known, others are looked up."""
    wanted = set(conversation_ids)
    if not wanted:
        return set()
    own = {pk for _, pk in _begun(look.user_id, look.shared) or ()}
    rest = wanted - own
    return (wanted & own) | (conversations.kept(rest) if rest else set())


def _portfolio(row: Portfolio, at: dt.datetime, event_type: str, verb: str) -> Entry:
    worth = [] if row.equity_balance is None else [f"{count(float(row.equity_balance))}{NBSP}{row.currency}"]
    ref = Ref("activity.portfolio", row.pk)
    return Entry(at, row.pk, "record", event_type, f"{verb} “{row.name}”", ref, (row.account_type, *worth))


def _conversations(look: Look) -> Found:
    first = Message.objects.questions().filter(conversation_id=OuterRef("pk")).in_order()
    question = Subquery(first.values(words=Left("content", QUESTION_CHARACTERS))[:1])
    rows = look.page(Conversation.objects.filter(user_id=look.user_id))
    rows_with_question = rows.values_list("created_at", "pk", question, "provider")
    return Found([_conversation(*row) for row in rows_with_question])


def _conversation(at: dt.datetime, pk: UUID, question: str | None, provider: str) -> Entry:
    title = (question or "").strip() or "A conversation without a question"
    return Entry(at, pk, "conversation", "conversation.begun", title, Ref("activity.conversation", pk, pk), (provider,))


def threads_of(message_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """The conversation of each of these messages, by the message's id; those that are gone are left out."""
    wanted = set(message_ids)
    return dict(Message.objects.filter(pk__in=among(wanted)).values_list("pk", "conversation_id")) if wanted else {}


def questions(answer_ids: Iterable[UUID]) -> dict[UUID, tuple[UUID, str]]:
    """By answer: its conversation, and the question before it ("" for none). Answers that are gone are left out."""
    before = Message.objects.questions().filter(
        conversation_id=OuterRef("conversation_id"), created_at__lte=OuterRef("created_at")
    )
    words = before.order_by("-created_at", "-pk").values(words=Left("content", QUESTION_CHARACTERS))[:1]
    rows = Message.objects.filter(pk__in=among(set(answer_ids))).annotate(question=Subquery(words))
    return {pk: (thread, words or "") for pk, thread, words in rows.values_list("pk", "conversation_id", "question")}


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers that a person was given, with the conversation of each. `edge`: the moment up to which they are all
    known, None where that is all there are."""

    conversation_of: dict[UUID, UUID]
    edge: dt.datetime | None


def answers(
    user_id: UUID,
    *,
    before: dt.datetime | None = None,
    slack: dt.timedelta = dt.timedelta(),
    shared: dict[str, Any] | None = None,
) -> Answers:
    """The newest answers a person had got by a moment, or, with none, their first: of up to CONVERSATIONS
    conversations, and up to ANSWERS of them; and those of the `slack` after it, for clocks that differ. `shared`: of a
    page, where what is known need not be asked."""
    order = "-created_at" if before else "created_at"
    until = before or LATEST
    begun = Conversation.objects.filter(user_id=user_id, created_at__lte=until).order_by(order)
    known_begun = _begun(user_id, shared) if shared is not None else None
    if known_begun is not None:
        starts = [pk for at, pk in known_begun if at <= until]
    else:
        starts = list(begun.values_list("pk", flat=True)[:CONVERSATIONS])
    if not starts:
        return Answers({}, None)
    said = Message.objects.answers().filter(conversation_id__in=among(starts))
    shown = said.filter(created_at__lte=until).order_by(order)
    known = dict(shown.values_list("pk", "conversation_id")[:ANSWERS])
    # The last one's time alone: reading a thousand takes longer than finding them.
    edges = [*_nth(begun, CONVERSATIONS)] if len(starts) == CONVERSATIONS else []
    edges += [*_nth(shown, ANSWERS)] if len(known) == ANSWERS else []
    edge = (max(edges) if before else min(edges)) if edges else None
    if until < LATEST - slack:
        soon = said.filter(created_at__gt=until, created_at__lte=until + slack).order_by("created_at")
        known |= dict(soon.values_list("pk", "conversation_id")[:ANSWERS])
    return Answers(known, edge)


def _nth(rows: QuerySet[Any], number: int) -> Iterable[dt.datetime]:
    """When the row of that number is of."""
    return rows.values_list("created_at", flat=True)[number - 1 : number]


def milestones(
    user_id: UUID, user: User | None, last_seen: dt.datetime | None = None, shared: dict[str, Any] | None = None
) -> list[Milestone]:
    """When the account was made, the first sign-in, portfolio and conversation, and when the person was last seen in
    events or conversations (`last_seen`; not asked for again where it is known). Five queries, each by an index; fewer
    where a page has `shared` what it knows.

    Sign-ins are events, which are kept for RETENTION_DAYS: an account older than that has a first one nobody knows.
    Who signs in at a hosted provider leaves none: then the first event that needs an account stands for it.
    """
    portfolio, talks = _first_portfolio(user_id, shared), _first_and_last_talk(user_id, shared)
    if last_seen is None:
        seen = Event.objects.filter(user_id=user_id).aggregate(at=Max("created_at"))["at"]
        last_seen = max((each for each in (seen, talks[1]) if each), default=None)
    return [
        Milestone("account_made", "Account made", user.created_at if user else None, "" if user else "no account"),
        _first_sign_in(user_id, user),
        Milestone("portfolio_connected", "Portfolio connected", portfolio),
        Milestone("first_conversation", "First conversation", talks[0]),
        Milestone("last_seen", "Last seen", last_seen),
    ]


def _first_portfolio(user_id: UUID, shared: dict[str, Any] | None) -> dt.datetime | None:
    if shared is not None and len(known := portfolios_of(user_id, shared)) <= PORTFOLIOS:
        return min((row.created_at for row in known), default=None)
    first: dt.datetime | None = Portfolio.objects.filter(user_id=user_id).aggregate(at=Min("created_at"))["at"]
    return first


def _first_and_last_talk(user_id: UUID, shared: dict[str, Any] | None) -> tuple[dt.datetime | None, dt.datetime | None]:
    if shared is not None and (known := _begun(user_id, shared)) is not None:
        return (known[-1][0], known[0][0]) if known else (None, None)
    talks = Conversation.objects.filter(user_id=user_id).aggregate(first=Min("created_at"), last=Max("created_at"))
    return talks["first"], talks["last"]


def _first_sign_in(user_id: UUID, user: User | None) -> Milestone:
    name, label = "first_sign_in", "First sign-in"
    since = min((part.low for part in partitions(Event._meta.db_table) if not part.is_gap), default=LATEST)
    if user and user.created_at < since:
        return Milestone(name, label, None, "before events were kept")
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT min(created_at) FILTER (WHERE event_type = 'onboarding.login_success'),
                   min(created_at) FILTER (WHERE event_type NOT LIKE 'onboarding.register%%'
                                             AND event_type NOT LIKE '%%\\_error')
              FROM (SELECT created_at, event_type FROM user_activity_events
                     WHERE user_id = %s ORDER BY created_at LIMIT %s) AS first
            """,
            [user_id, FIRST_EVENTS],
        )
        signed_in, inside = cursor.fetchone()
    if signed_in is None and inside is not None:
        return Milestone(name, label, inside, "no sign-in recorded, seen inside")
    return Milestone(name, label, signed_in)


SOURCES = (
    Source("account", "record", 0, _account),
    Source("event", "event", 10, _events, fails=True),
    Source("portfolio-connected", "record", 20, _connected),
    Source("conversation", "conversation", 30, _conversations),
    Source("portfolio-removed", "record", 70, _removed),
)
