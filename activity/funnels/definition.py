"""What a funnel is: steps, what proves each of them, and the window."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max
from psycopg import sql

from activity.funnel_models import MOST_STEPS, Funnel
from activity.funnels import evidence
from sigmasight.lib.once import once

LONGEST_WINDOW = dt.timedelta(days=3660)
NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
EVENT = re.compile(r"[^\s*]{1,100}|[^\s*.]{1,50}\.\*")
KEYS = {"name", "label", "events", "proved_by", "records"}


class UnknownFunnelError(LookupError):
    """There is no funnel, version or step of that name; the message names those there are."""


@dataclass(frozen=True, slots=True)
class Step:
    """`events`: the step's own event types. `proved_by`: types that can't happen to somebody who hasn't taken it.
    Either may be a category, "chat.*". `records`: names of `evidence`. Any one of all these is enough."""

    name: str
    label: str
    events: tuple[str, ...] = ()
    proved_by: tuple[str, ...] = ()
    records: tuple[str, ...] = ()

    @property
    def proofs(self) -> tuple[str, ...]:
        """All that proves it, as `activity.funnels.ingest` names it."""
        return (*self.events, *self.proved_by, *(evidence.what(name) for name in self.records))


@dataclass(frozen=True, slots=True)
class Definition:
    """A version of a funnel, read."""

    id: int
    slug: str
    version: int
    name: str
    steps: tuple[Step, ...]
    window: dt.timedelta
    is_implied: bool
    is_built: bool

    @classmethod
    def of(cls, row: Funnel) -> Definition:
        steps = tuple(_step(each) for each in row.steps)
        return cls(
            row.pk,
            row.slug,
            row.version,
            row.name,
            steps,
            row.conversion_window,
            row.is_implied,
            row.built_at is not None,
        )

    def number_of(self, step: str) -> int:
        """The step's number, from 1. Raises UnknownFunnelError."""
        for number, each in enumerate(self.steps, 1):
            if each.name == step:
                return number
        names = ", ".join(each.name for each in self.steps)
        raise UnknownFunnelError(f"“{self.name}” has no step “{step}”: its steps are {names}.")

    def step_sql(self, column: sql.Composable) -> sql.Composed:
        """The number of the step that an event type or record (`evidence.what`) proves, NULL for none. A type that is
        written out goes before its category."""
        whole, categories = [], []
        for number, step in enumerate(self.steps, 1):
            for proof in step.proofs:
                if proof.endswith(".*"):
                    categories.append((number, proof.removesuffix(".*")))
                else:
                    whole.append((number, proof))
        pieces = [
            sql.SQL("WHEN {} = {} THEN {}").format(column, sql.Literal(proof), sql.Literal(number))
            for number, proof in whole
        ]
        pieces += [
            sql.SQL("WHEN starts_with({}, {}) THEN {}").format(column, sql.Literal(f"{category}."), sql.Literal(number))
            for number, category in categories
        ]
        return sql.SQL("(CASE {} END)").format(sql.SQL(" ").join(pieces))

    def carried(self, older: Definition) -> list[tuple[int, int]]:
        """(older step, this one's step), by number, where what proved the older one proves this one too: what is known
        of it stays true, also where its events are gone."""
        return [
            (theirs, mine)
            for theirs, old in enumerate(older.steps, 1)
            for mine, new in enumerate(self.steps, 1)
            if set(old.proofs) <= set(new.proofs)
        ]


@once
def current(slug: str) -> Definition:
    """The newest version that can be asked. Raises UnknownFunnelError where there is none."""
    row = Funnel.objects.filter(slug=slug, built_at__isnull=False).order_by("-version").first()
    if row is not None:
        return Definition.of(row)
    if Funnel.objects.filter(slug=slug).exists():
        raise UnknownFunnelError(f"The funnel “{slug}” is still being built: run manage.py refresh_funnels.")
    slugs = Funnel.objects.order_by("slug").values_list("slug", flat=True).distinct()
    raise UnknownFunnelError(f"There is no funnel “{slug}”: there are {', '.join(slugs) or 'none'}.")


def version(slug: str, number: int) -> Definition:
    """One version, also one that is no longer kept. Raises UnknownFunnelError."""
    row = Funnel.objects.filter(slug=slug, version=number).first()
    if row is None:
        raise UnknownFunnelError(f"The funnel “{slug}” has no version {number}.")
    return Definition.of(row)


def new_version(
    slug: str,
    *,
    name: str,
    steps: list[dict[str, Any]],
    window: dt.timedelta,
    is_implied: bool,
) -> Funnel:
    """Stores a funnel, or its next version; it can be asked once `refresh` has built it, and until then the version
    before answers. Raises ValidationError for what makes no sense."""
    with transaction.atomic():
        newest = Funnel.objects.filter(slug=slug).aggregate(n=Max("version"))["n"] or 0
        row = Funnel(
            slug=slug,
            version=newest + 1,
            name=name,
            steps=steps,
            conversion_window=window,
            is_implied=is_implied,
        )
        row.full_clean()
        row.save()
        return row


def problems(slug: str, steps: Any, window: Any) -> dict[str, list[str]]:
    """What is wrong with a definition, by field, and what to write instead; nothing where it is sound."""
    found: dict[str, list[str]] = {}
    if not isinstance(slug, str) or not SLUG.fullmatch(slug):
        found["slug"] = ["A slug is of small letters, digits, - and _, for example chat-activation."]
    if not isinstance(window, dt.timedelta) or not dt.timedelta(0) < window <= LONGEST_WINDOW:
        found["conversion_window"] = ["The window is more than nothing and at most ten years, for example 14 00:00:00."]
    if wrong := list(_wrong_steps(steps)):
        found["steps"] = wrong
    return found


def _wrong_steps(steps: Any) -> Iterable[str]:
    if not isinstance(steps, list) or not 2 <= len(steps) <= MOST_STEPS:
        yield (
            f"Write a list of 2 to {MOST_STEPS} steps, for example"
            ' [{"name": "signed_in", "label": "Signed in", "events": ["onboarding.login_success"]}, …].'
        )
        return
    names: set[str] = set()
    owner: dict[str, str] = {}
    for number, step in enumerate(steps, 1):
        place = f"Step {number}"
        if not isinstance(step, Mapping):
            yield f"{place} is no object: write {{“name”: …, “label”: …, “events”: […]}}."
            continue
        if unknown := sorted(set(map(str, step)) - KEYS):
            yield f"{place}: “{unknown[0]}” is not known; a step has {', '.join(sorted(KEYS))}."
        name, label = step.get("name"), step.get("label")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            yield f"{place}: a name is of small letters, digits and _, and begins with a letter: signed_in."
        elif name in names:
            yield f"{place}: there is a step “{name}” already."
        else:
            names.add(name)
        if not isinstance(label, str) or not 1 <= len(label.strip()) <= 60:
            yield f"{place}: its label is what people read, 1 to 60 characters."
        proofs = list(_wrong_proofs(place, step))
        yield from proofs
        if proofs:
            continue
        told = _step(step)
        if not told.proofs:
            yield f"{place}: say what proves it: events, proved_by or records."
        for proof in dict.fromkeys(told.proofs):
            if proof in owner:
                yield f"{place}: “{proof}” proves “{owner[proof]}” already; one event can’t be two steps."
            owner[proof] = str(name)


def _wrong_proofs(place: str, step: Mapping[str, Any]) -> Iterable[str]:
    for key in ("events", "proved_by", "records"):
        values = step.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            yield f"{place}: {key} is a list of texts."
            continue
        for value in values:
            if key == "records":
                if value not in evidence.names():
                    yield f"{place}: there is no record “{value[:60]}”: take one of {', '.join(evidence.names())}."
            elif not EVENT.fullmatch(value) or value.startswith(evidence.PREFIX):
                yield f"{place}: “{value[:60]}” is no event type: write chat.message_sent, or chat.* for all of chat."


def _step(step: Mapping[str, Any]) -> Step:
    return Step(
        str(step["name"]) if "name" in step else "",
        str(step.get("label", "")),
        tuple(step.get("events", ())),
        tuple(step.get("proved_by", ())),
        tuple(step.get("records", ())),
    )
