"""Fixtures of the daily job's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from metrics import filling, sealing
from tests.metrics import nights


@pytest.fixture(autouse=True)
def _roll_ups_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Jobs are tested without what else hangs on them (`metrics.keeping`, which has tests of its own)."""
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__ != "tests.metrics.test_keeping":
            patch.setattr(filling, "_after", [])
            patch.setattr(sealing, "_guards", [])
        yield


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """What is written is committed at once, as the look for news tells transactions apart; the raw tables have their
    partitions again afterwards."""
    before = nights.partitions_there()
    yield
    nights.restore(before)
