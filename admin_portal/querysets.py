"""The query language of sign-ins."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from admin_portal.models import AdminSession
else:
    AdminSession = Any


class AdminSessionQuerySet(models.QuerySet["AdminSession"]):
    def live(self, now: dt.datetime | None = None) -> Self:
        """Sessions that still let their holder in."""
        return self.filter(revoked_at__isnull=True, expires_at__gt=now or timezone.now())

    def ended(self, now: dt.datetime | None = None) -> Self:
        """Sessions that were revoked or have run out."""
        return self.filter(models.Q(revoked_at__isnull=False) | models.Q(expires_at__lte=now or timezone.now()))

    def of(self, admin_id: UUID) -> Self:
        return self.filter(admin_user_id=admin_id)

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")

    def revoke(self, now: dt.datetime | None = None) -> int:
        """Ends those that are live, at once; the rows stay as a record. Returns how many it ended."""
        now = now or timezone.now()
        return self.live(now).update(revoked_at=now)
