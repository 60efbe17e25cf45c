"""Raw table of what admins asked the calculation engine for."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Model

from activity.admin import KeptTable
from metrics.batch_models import BatchRequest
from sigmasight.lib.rawadmin import RawTable


class BatchRequestTable(KeptTable):
    about = "Jobs that admins had handed to the calculation engine, and with what; kept for ever."
    columns = ("asked_at", "job", "asked_by", "batch_run_id", "expires_at", "arguments")
    sortable = ("expires_at",)
    ordering = ["-expires_at", "-id"]


BATCH_TABLES: Mapping[type[Model], type[RawTable]] = {BatchRequest: BatchRequestTable}
