"""Fixtures of the daily job's tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from metrics import filling, sealing
from tests.metrics import nights


@pytest.fixture(autouse=True)
def _roll_ups_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Jobs are tested without what else hangs on them (`metrics.keeping`), but for where the whole is tested."""
    if request.module.__name__.endswith(("test_keeping", "test_ninety_days")):
        yield
        return
    # In place: a test that patches the lists themselves would otherwise put ours back after us.
    lists: list[list[Any]] = [filling._after, sealing._guards]
    before = [list(each) for each in lists]
    for each in lists:
        each.clear()
    yield
    for each, those in zip(lists, before, strict=True):
        each[:] = those


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """What is written is committed at once, as the look for news tells transactions apart; the raw tables have their
    partitions again afterwards."""
    before = nights.partitions_there()
    yield
    nights.restore(before)
