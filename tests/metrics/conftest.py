"""Fixtures of the daily job's tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.metrics import nights


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """What is written is committed at once, as with `transactional_db`, which takes seconds to empty a hundred
    partitions where a DELETE takes none. The raw tables have their partitions again afterwards."""
    with django_db_blocker.unblock():
        before = nights.partitions_there()
        try:
            yield
        finally:
            nights.restore(before)
            nights.empty()
