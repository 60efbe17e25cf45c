"""Column definitions that every table of the contract shares: the database itself fills what an INSERT leaves out."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.postgres.functions import RandomUUID, TransactionNow
from django.db import models
from django.db.models.functions import Cast


def uuid_pk() -> models.UUIDField[Any, Any]:
    """The primary key of every table: random, made by the database where the writer names none."""
    return models.UUIDField(primary_key=True, default=uuid.uuid4, db_default=RandomUUID(), editable=False)


def created_now(**options: Any) -> models.DateTimeField[Any, Any]:
    """When the row was written, `now()` where the writer does not say."""
    return models.DateTimeField(db_default=TransactionNow(), **options)


def json_object(**options: Any) -> models.JSONField[Any, Any]:
    """A JSONB object, `{}` where the writer gives none."""
    return models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True, **options)


def json_array(**options: Any) -> models.JSONField[Any, Any]:
    """A JSONB array, `[]` where the writer gives none."""
    return models.JSONField(default=list, db_default=models.Value([], models.JSONField()), blank=True, **options)


def transaction_number() -> models.BigIntegerField[Any, Any]:
    """The number of the transaction that wrote the row (see `lib.rollups.fill`); NULL: it was there before us."""
    number = Cast(
        Cast(models.Func(function="pg_current_xact_id", output_field=models.TextField()), models.TextField()),
        models.BigIntegerField(),
    )
    return models.BigIntegerField(null=True, editable=False, db_default=number)
