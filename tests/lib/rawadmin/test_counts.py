"""How many rows: exact while that is cheap, about where it isn't, never by counting a big table."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection

from sigmasight.lib.rawadmin import counts
from sigmasight.lib.rawadmin.counts import TableSize, table_sizes
from tests.factories.activity import EventFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_small_tables_are_counted_and_partitioned_ones_over_all_partitions(django_assert_num_queries: Any) -> None:
    UserFactory.create_batch(3)
    EventFactory.create_batch(4)

    with django_assert_num_queries(2):
        sizes = table_sizes(["users", "user_activity_events", "no_such_table"], "default")

    assert sizes["users"].rows == 3
    assert sizes["user_activity_events"].rows == 4
    assert all(size.exact and size.bytes > 0 for size in sizes.values())
    assert "no_such_table" not in sizes


def test_a_big_table_is_estimated_not_counted(django_assert_num_queries: Any) -> None:
    UserFactory.create_batch(30)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE users")

    with patch.object(counts, "EXACT_BELOW", 10), django_assert_num_queries(1):
        size = table_sizes(["users"], "default")["users"]

    assert (size.rows, size.exact) == (30, False)


def test_a_table_that_grew_since_it_was_analysed_is_at_least_as_big_as_what_was_seen() -> None:
    UserFactory.create_batch(30)

    with patch.object(counts, "EXACT_BELOW", 10):
        size = table_sizes(["users"], "default")["users"]

    assert size.rows >= 10
    assert not size.exact


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (TableSize(0, True, 0), "0"),
        (TableSize(9_999, True, 0), "9,999"),
        (TableSize(999_991, False, 0), "about 1,000,000"),
    ],
)
def test_an_estimate_says_that_it_is_one(size: TableSize, words: str) -> None:
    assert str(size) == words
