"""One person's journey: what every app's sources know of them, in one timeline from both databases, in sessions.

A page costs a fixed number of queries, each bounded by the page's length, whatever the person's history. Sessions and
the times between steps are of the person's own doing: an admin's annotation stands in the timeline, in no session.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Set
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any
from uuid import UUID

from activity import people
from activity.journey import milestones as activity_milestones
from activity.models import User
from ai_tuning.journey import first_thumbs_up
from metrics.journey import last_request
from sigmasight.lib import timeline
from sigmasight.lib.timeline import KINDS, Cursor, Entry, Look, Milestone, Ref, Source
from sigmasight.lib.useragent import browser

# So long without a step, and the next one begins another session.
SESSION_GAP = dt.timedelta(minutes=30)
PAGE, LONGEST_PAGE = 50, 200
# What may be asked for: the kinds of entries, and errors of whatever kind.
ERRORS = "error"
FILTERS = (*KINDS, ERRORS)
# By what somebody is seen.
SEEN_BY = frozenset({"event", "conversation", "request"})
MILESTONES = (
    "account_made",
    "first_sign_in",
    "portfolio_connected",
    "first_conversation",
    "first_thumbs_up",
    "last_seen",
)


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of a journey. `id` is unique in it and the same on every page.

    `seconds_since_previous`: since the person's own step before it, None for their first, and where the page stopped
    looking before it found one. `session`: its index in the page's sessions, None for what others did.
    """

    id: str
    at: dt.datetime
    kind: str
    event_type: str
    title: str
    is_error: bool
    error_code: str | None
    error_message: str | None
    seconds_since_previous: float | None
    ref: Ref
    details: tuple[str, ...]
    session: int | None


@dataclass(frozen=True, slots=True)
class Session:
    """Steps with less than SESSION_GAP between them, as far as this page shows them: `continues_later`, it goes on
    after `end`, on the page before; `continues_earlier`, it began before `start`, on the page after.

    `browsers`: those that its events tell of, in order of appearance. `seconds_since_previous`: how long the person
    had been away; None for the first session, and for one whose beginning is not on this page.
    """

    start: dt.datetime
    end: dt.datetime
    entries: int
    errors: int
    browsers: tuple[str, ...]
    continues_earlier: bool
    continues_later: bool
    seconds_since_previous: float | None

    @property
    def seconds(self) -> float:
        """From the first step to the last, of those on this page."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Journey:
    """A page of it, newest first. `next_cursor`: where the next one begins, None where nothing is older.

    `looked_back_to`: where a filter lets little through, the moment at which this page stopped looking, though short of
    its length; the next one goes on there. `missing`: databases that did not answer, and what they know is not here.
    """

    user_id: UUID
    person: User | None
    events: tuple[Step, ...]
    sessions: tuple[Session, ...]
    milestones: tuple[Milestone, ...]
    next_cursor: Cursor | None
    looked_back_to: dt.datetime | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Placed:
    """An entry and its place in the order of all."""

    place: tuple[dt.datetime, int, UUID]
    source: Source
    entry: Entry


def journey(
    user_id: UUID,
    *,
    before: Cursor | None = None,
    limit: int = PAGE,
    kinds: Set[str] | None = None,
    start: dt.datetime | None = None,
    end: dt.datetime | None = None,
    with_milestones: bool = True,
    shared: dict[str, Any] | None = None,
) -> Journey | None:
    """A page of a person's journey, None for somebody of whom there is nothing at all.

    Who has no account (any more) but left rows has a journey. `kinds` (of FILTERS) narrows it, and then sessions and
    times between are those of what is let through; `start` (included) and `end` (excluded) cut it. Milestones are of
    the whole journey on each page; who doesn't show them need not ask. `shared` takes what was looked up on the way.

    Raises ValueError for kinds that aren't any, a `limit` outside 1 to LONGEST_PAGE, an `end` not after `start`.
    """
    if unknown := set(kinds or ()) - set(FILTERS):
        raise ValueError(f"There is no kind “{min(unknown)[:40]}”: take of {', '.join(FILTERS)}.")
    if not 1 <= limit <= LONGEST_PAGE:
        raise ValueError(f"A page holds 1 to {LONGEST_PAGE} entries, not {limit}.")
    if start and end and end <= start:
        raise ValueError("That time ends before it begins: `end` must be later than `start`.")
    if end and (before is None or end <= before.at):
        before = Cursor(end)
    person = people.people([user_id]).get(user_id)
    missing: dict[str, None] = {}
    shared = {} if shared is None else shared
    shared["user"] = person
    # One more than the page shows: it says whether there is an older one, and what came before the last step.
    merged, floor = _read(user_id, before, limit + 1, kinds or frozenset(), missing, shared)
    # Down to here everything is known: what lies lower may have something between.
    known = max((each for each in (floor, start) if each), default=None)
    shown = [each for each in merged[:limit] if known is None or each.entry.at >= known]
    firsts: list[Milestone] = []
    if with_milestones or (person is None and not shown):
        # The first page has the newest of everything.
        seen = _last_seen(merged) if before is None and not kinds else None
        firsts = _milestones(user_id, person, missing, seen, shared)
    if person is None and not shown and not any(each.at for each in firsts):
        return None
    older = merged[len(shown) :]
    steps, sessions = _in_sessions(shown, [each for each in older if not floor or each.entry.at >= floor], before)
    more = any(start is None or each.entry.at >= start for each in older)
    stopped = floor if floor and len(shown) < limit and (start is None or floor > start) else None
    next_cursor = None
    if stopped:
        next_cursor = _cursor_after(shown, before, Cursor(stopped))
    elif shown and (more or (floor and (start is None or floor > start))):
        last = shown[-1]
        next_cursor = _cursor_after(shown, before, Cursor(last.entry.at, last.source.name, last.entry.id))
    return Journey(
        user_id,
        person,
        tuple(steps),
        tuple(sessions),
        tuple(firsts) if with_milestones else (),
        next_cursor,
        stopped,
        tuple(missing),
    )


def _read(
    user_id: UUID,
    before: Cursor | None,
    limit: int,
    kinds: Set[str],
    missing: dict[str, None],
    shared: dict[str, Any],
) -> tuple[list[_Placed], dt.datetime | None]:
    """The newest `limit` entries of each source merged, newest first, and the moment down to which nothing is left
    out, None where that is the beginning. Databases that don't answer are asked once and noted in `missing`."""
    sources = timeline.sources()
    order = {source.name: number for number, source in enumerate(sources)}
    found, floors = [], []
    for source in sources:
        wanted = not kinds or source.kind in kinds
        if not wanted and not (ERRORS in kinds and source.fails):
            continue
        if source.database in missing:
            continue
        at, identifier = timeline.bound(before, source, order)
        answer = source.fetch(Look(user_id, at, identifier, limit, errors_only=not wanted, shared=shared))
        if answer.missing:
            missing[answer.missing] = None
            continue
        number = order[source.name]
        found.append([_Placed((each.at, number, each.id), source, each) for each in answer.entries])
        if answer.floor and len(answer.entries) < limit:
            floors.append(answer.floor)
    merged = list(heapq.merge(*found, key=attrgetter("place"), reverse=True))
    return merged, max(floors, default=None)


def _cursor_after(shown: list[_Placed], before: Cursor | None, place: Cursor) -> Cursor:
    """The place, with the person's last step before it: on this page, or else on those before."""
    last = next((each.entry.at for each in reversed(shown) if each.source.own), before.step_at if before else None)
    return replace(place, step_at=last)


def _in_sessions(shown: list[_Placed], older: list[_Placed], before: Cursor | None) -> tuple[list[Step], list[Session]]:
    """The page's steps with the time since the one before, and its sessions; both newest first.

    `older`: what comes after the page; each source gave one entry more than a page holds, so the person's own last
    step before the page is among them, if there is one.
    """
    previous = next((each.entry.at for each in older if each.source.own), None)
    gaps: list[float | None] = []
    for each in reversed(shown):
        gaps.append((each.entry.at - previous).total_seconds() if previous else None)
        previous = each.entry.at if each.source.own else previous
    gaps.reverse()
    steps: list[Step] = []
    sessions: list[list[int]] = []
    begun = True
    for number, (each, gap) in enumerate(zip(shown, gaps, strict=True)):
        if each.source.own:
            if begun:
                sessions.append([])
            sessions[-1].append(number)
            begun = gap is None or gap >= SESSION_GAP.total_seconds()
        steps.append(_step(each, gap, len(sessions) - 1 if each.source.own else None))
    return steps, [_session(members, shown, gaps, before) for members in sessions]


def _step(each: _Placed, gap: float | None, session: int | None) -> Step:
    entry = each.entry
    return Step(
        f"{each.source.name}-{entry.id}",
        entry.at,
        entry.kind,
        entry.event_type,
        entry.title,
        entry.is_error,
        entry.error_code,
        entry.error_message,
        gap,
        entry.ref,
        entry.details,
        session,
    )


def _session(members: list[int], shown: list[_Placed], gaps: list[float | None], before: Cursor | None) -> Session:
    entries = [shown[number].entry for number in members]
    newest, oldest, gap = entries[0], entries[-1], gaps[members[-1]]
    goes_on = gap is not None and gap < SESSION_GAP.total_seconds()
    later = before.step_at if before else None
    is_first = all(not each.source.own for each in shown[: members[0]])
    return Session(
        oldest.at,
        newest.at,
        len(entries),
        sum(entry.is_error for entry in entries),
        tuple(dict.fromkeys(browser(entry.user_agent) for entry in reversed(entries) if entry.user_agent)),
        goes_on,
        is_first and later is not None and later - newest.at < SESSION_GAP,
        None if goes_on else gap,
    )


def _last_seen(newest: list[_Placed]) -> dt.datetime | None:
    return next((each.entry.at for each in newest if each.entry.kind in SEEN_BY), None)


def _milestones(
    user_id: UUID,
    person: User | None,
    missing: dict[str, None],
    seen: dt.datetime | None,
    shared: dict[str, Any],
) -> list[Milestone]:
    """The firsts in their usual order, and when the person was last seen (`seen`, where that is known), whichever app
    knows."""
    known = {each.name: each for each in activity_milestones(user_id, person, seen, shared)}
    if seen is None:
        asked, seen = last_request(user_id), known["last_seen"].at
        known["last_seen"] = replace(known["last_seen"], at=max((each for each in (seen, asked) if each), default=None))
    if "metro" in missing:
        known["first_thumbs_up"] = Milestone("first_thumbs_up", "First thumbs-up", None, "metro is away")
    else:
        known["first_thumbs_up"], away = first_thumbs_up(user_id, shared)
        missing |= {away: None} if away else {}
    return [known[name] for name in MILESTONES]
