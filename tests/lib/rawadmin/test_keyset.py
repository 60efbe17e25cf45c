"""Pages by keyset: every row once, in order, from either end, whatever is NULL."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import pytest

from activity.models import Portfolio
from metrics.models import DailyMetric
from sigmasight.lib.pagination import BadCursorError
from sigmasight.lib.rawadmin.keyset import beyond, cursor_of, flipped, orders
from tests.factories.activity import PortfolioFactory, UserFactory

pytestmark = pytest.mark.django_db


def walk(queryset: Any, wanted: Any, size: int) -> list[Any]:
    """All rows, page after page."""
    found: list[Any] = []
    page = list(queryset.order_by(*map(str, wanted))[:size])
    while page:
        found += page
        rest = queryset.filter(beyond(queryset.model, wanted, cursor_of(page[-1], wanted)))
        page = list(rest.order_by(*map(str, wanted))[:size])
    return found


@pytest.mark.parametrize(
    "ordering",
    [
        ["-created_at", "pk"],
        ["created_at", "-pk"],
        ["deleted_at", "-pk"],
        ["-deleted_at", "pk"],
        ["-equity_balance", "deleted_at", "name", "pk"],
        ["user_id", "-is_active", "pk"],
    ],
)
@pytest.mark.parametrize("size", [1, 4])
def test_it_shows_every_row_once_in_the_databases_own_order(ordering: list[str], size: int) -> None:
    dice, day = random.Random(7), dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    people = UserFactory.create_batch(3)
    for _ in range(25):
        PortfolioFactory(
            user=dice.choice(people),
            name=dice.choice("abc"),
            is_active=dice.random() < 0.5,
            created_at=day + dt.timedelta(microseconds=dice.randrange(3)),
            deleted_at=dice.choice([None, day, day + dt.timedelta(days=1)]),
            equity_balance=dice.choice([None, 1, 2]),
        )
    wanted = orders(Portfolio, ordering)

    assert walk(Portfolio.objects, wanted, size) == list(Portfolio.objects.order_by(*ordering))
    assert walk(Portfolio.objects, flipped(wanted), size) == list(Portfolio.objects.order_by(*ordering).reverse())


def test_a_first_column_that_is_never_null_is_bounded_by_itself_so_that_partitions_are_pruned() -> None:
    wanted = orders(Portfolio, ["-created_at", "-pk"])
    row = Portfolio(created_at=dt.datetime(2026, 11, 1, tzinfo=dt.UTC))

    assert "created_at__lte" in str(beyond(Portfolio, wanted, cursor_of(row, wanted)))


@pytest.mark.parametrize(
    "cursor", ["", "nonsense", "e30", "WyJub3QgYSBkYXRlIiwgIngiXQ", "W251bGwsIG51bGwsIG51bGxd", "é", "[[["]
)
def test_a_cursor_that_was_not_made_here_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursorError):
        beyond(DailyMetric, orders(DailyMetric, ["-date", "metric_type", "id"]), cursor)
