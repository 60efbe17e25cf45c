"""The query language of people, conversations and events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.db import models
from django.db.models.expressions import RawSQL

from sigmasight.lib.pagination import Cursor

if TYPE_CHECKING:
    from activity.models import Conversation, Event, Message, User
else:
    Conversation = Event = Message = User = Any


def among(ids: Iterable[UUID]) -> RawSQL:
    """These ids, for an `__in`, as one parameter: hundreds take longer to be written one by one, and to be planned for
    in every partition, than to be looked up."""
    return RawSQL("SELECT unnest(%s::uuid[])", [as_array(ids)])


def as_array(ids: Iterable[UUID]) -> str:
    """Ids as PostgreSQL writes an array of them: as text, ten times as fast as the driver makes it of a list."""
    return f"{{{','.join([each.hex for each in ids])}}}"


class UserQuerySet(models.QuerySet["User"]):
    def created_in(self, start: dt.datetime, end: dt.datetime) -> Self:
        return self.filter(created_at__gte=start, created_at__lt=end)

    def matching(self, text: str) -> Self:
        """Those whose e-mail address or name holds the text, in whatever case."""
        return self.filter(models.Q(email__icontains=text) | models.Q(full_name__icontains=text))


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def created_in(self, start: dt.datetime, end: dt.datetime) -> Self:
        return self.filter(created_at__gte=start, created_at__lt=end)

    def of_users(self, user_ids: Iterable[UUID]) -> Self:
        return self.filter(user_id__in=user_ids)

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")

    def after(self, cursor: Cursor) -> Self:
        """Those that come after the cursor's row in `newest_first`."""
        older = models.Q(created_at__lt=cursor.at) | models.Q(created_at=cursor.at, id__lt=cursor.id)
        return self.filter(older, created_at__lte=cursor.at)


class MessageQuerySet(models.QuerySet["Message"]):
    def answers(self) -> Self:
        """What the assistant said."""
        return self.filter(role="assistant")

    def questions(self) -> Self:
        """What the person said."""
        return self.filter(role="user")

    def in_order(self) -> Self:
        return self.order_by("created_at", "id")


class EventQuerySet(models.QuerySet["Event"]):
    def created_in(self, start: dt.datetime, end: dt.datetime) -> Self:
        return self.filter(created_at__gte=start, created_at__lt=end)

    def errors(self) -> Self:
        return self.filter(error_code__isnull=False)
