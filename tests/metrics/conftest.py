"""Fixtures of the daily job's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.metrics import nights


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """What is written is committed at once, as the look for news tells transactions apart; the raw tables have their
    partitions again afterwards."""
    before = nights.partitions_there()
    yield
    nights.restore(before)
