"""How far each person got: agreed with an oracle in plain Python, whatever comes in and in whatever order."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from activity import funnel
from activity.funnel_models import FunnelCell, FunnelStepCell
from activity.funnels import definition
from activity.funnels.refresh import rebuild, reconcile, refresh
from activity.models import Conversation, Event, Portfolio, User
from sigmasight.lib.periods import between
from tests.activity.funnel_oracle import (
    DAY,
    HOUR,
    IN_ORDER,
    MIDNIGHT,
    NOW,
    WINDOW,
    Told,
    World,
    expected,
    random_world,
    ship,
    stored,
    told,
)

pytestmark = pytest.mark.django_db(databases=["default", "metro"], transaction=True)
SLUGS = ("onboarding", "activation", "in-order")


@pytest.fixture(autouse=True)
def _shipped():
    ship()
    definition.new_version("in-order", name="In order", steps=IN_ORDER, window=WINDOW, is_implied=False)


def assert_right(world: World) -> None:
    for slug in SLUGS:
        found, wanted = stored(slug), told(world, slug)
        assert found.keys() == wanted.keys(), slug
        for subject, one in wanted.items():
            assert found[subject] == one, (slug, subject)
        assert_figures(slug, list(wanted.values()))


def assert_figures(slug: str, people: list[Told]) -> None:
    """Every way of reading says the same as the people themselves."""
    for start, end in (
        (NOW - 40 * DAY, NOW + DAY),
        (MIDNIGHT - 9 * DAY, MIDNIGHT),
        (NOW - 5 * DAY - 17 * HOUR, NOW - 3 * HOUR),
        (NOW - 10 * DAY, NOW - 10 * DAY + HOUR / 3),
    ):
        wanted = expected(people, start, end)
        for by in (None, "source", "device", "error"):
            figures = funnel.funnel(slug, between(start, end), by, now=NOW)
            assert [step.reached for step in figures.steps] == (wanted.reached or [0] * len(figures.steps))
            for group in figures.groups:
                key = {"source": "source", "device": "device", "error": "stopped_by"}[by or ""]
                part = expected([one for one in people if getattr(one, key) == group.value], start, end)
                assert [step.reached for step in group.steps] == part.reached
            for step, previous, first in zip(figures.steps, wanted.previous, wanted.first, strict=bool(people)):
                assert (step.timed_previous, step.timed_first) == (len(previous), len(first))
                for value, exact in (
                    (step.median_previous, wanted.median(previous)),
                    (step.median_first, wanted.median(first)),
                ):
                    if exact is None:
                        assert value is None
                    else:
                        assert value == pytest.approx(exact, rel=figures.error_bound * 1.001, abs=1)
        for cohort in funnel.cohorts(slug, between(start, end), now=NOW):
            part = expected(people, cohort.start, cohort.end)
            assert list(cohort.reached) == (part.reached or [0] * len(cohort.reached))
        for number, defined in enumerate(definition.current(slug).steps):
            moments = [at for one in people if (at := one.reached[number]) and start <= at < end]
            for bucket in ("day", "hour"):
                counts = funnel.step_counts(slug, defined.name, start, end, bucket)
                assert sum(people for _, people in counts) == len(moments)
            before = [at for one in people if (at := one.reached[number]) and at < end]
            assert funnel.people_total(end, slug=slug, step=defined.name) == len(before)


@pytest.mark.parametrize("seed", range(4))
def test_one_build_agrees_with_the_oracle(seed):
    world = random_world(seed)
    world.store_records()
    Event.objects.bulk_create(world.events)

    refresh(NOW, budget=None)

    assert_right(world)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_events_that_come_in_any_order_come_to_the_same(seed):
    world, chance = random_world(seed), random.Random(seed)
    refresh(NOW, budget=None)
    chance.shuffle(world.events)
    kept, at = World(events=world.events), 0
    while at < len(world.events):
        size = chance.choice((1, 7, 40))
        Event.objects.bulk_create(world.events[at : at + size])
        at += size
        refresh(NOW, budget=None)
    assert_right(kept)

    world.store_records()
    refresh(NOW, budget=None)
    reconcile(NOW)

    assert_right(world)


def test_building_again_changes_nothing():
    world = random_world(11)
    world.store_records()
    Event.objects.bulk_create(world.events)
    refresh(NOW, budget=None)
    cells = list(FunnelCell.objects.order_by("funnel", "grain", "dimension", "at", "value", "step").values())

    rebuild()
    report = refresh(NOW, budget=None)

    assert (report.changed, len(report.built)) == (0, 3)
    again = list(FunnelCell.objects.order_by("funnel", "grain", "dimension", "at", "value", "step").values())
    assert [{**cell, "id": 0} for cell in again] == [{**cell, "id": 0} for cell in cells]
    assert_right(world)


def test_cells_are_the_same_however_they_came_about():
    """Those replaced hour by hour, and those built at once."""
    world, chance = random_world(12), random.Random(12)
    refresh(NOW, budget=None)
    world.store_records()
    for event in chance.sample(world.events, 100):
        event.save(force_insert=True)
    refresh(NOW, budget=None)
    reconcile(NOW)
    order = ("funnel", "grain", "dimension", "at", "value", "step")
    bit_by_bit = [{**cell, "id": 0} for cell in FunnelCell.objects.order_by(*order).values()]
    steps = list(FunnelStepCell.objects.order_by("funnel", "step", "grain", "at").values_list("at", "step", "people"))

    rebuild()
    refresh(NOW, budget=None)

    assert [{**cell, "id": 0} for cell in FunnelCell.objects.order_by(*order).values()] == bit_by_bit
    assert (
        list(FunnelStepCell.objects.order_by("funnel", "step", "grain", "at").values_list("at", "step", "people"))
        == steps
    )


def test_figures_outlive_events_and_records():
    world = random_world(5)
    world.store_records()
    Event.objects.bulk_create(world.events)
    refresh(NOW, budget=None)
    later = NOW + dt.timedelta(days=60)

    Event.objects.all().delete()
    Portfolio.objects.all().delete()
    Conversation.objects.all().delete()
    User.objects.all().delete()
    refresh(later, budget=None)
    reconcile(later)
    rebuild()
    refresh(later, budget=None)

    assert_right(world)
