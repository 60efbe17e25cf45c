"""The base of models whose table is partitioned by day (see `partitions`)."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.expressions import DatabaseDefault


class PartitionedModel(models.Model):
    """A row that may be set aside: a gap takes it into quarantine, and then the INSERT has nothing to return.

    Django asks every INSERT for the columns that the database could have filled, and fails where no row comes back.
    A row that brings its own `created_at` has nothing to ask for; one that doesn't is of today, and is never set aside.
    """

    class Meta:
        abstract = True

    def _do_insert(self, manager: Any, using: Any, fields: Any, returning_fields: Any, raw: Any) -> Any:
        if not isinstance(self.created_at, DatabaseDefault):  # type: ignore[attr-defined]
            returning_fields = []
        return super()._do_insert(manager, using, fields, returning_fields, raw)  # type: ignore[misc]
