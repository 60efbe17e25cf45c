"""What metro knows of people that may prove a step of a funnel: a thumb on an answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import partial
from uuid import UUID

from django.db.models import Q

from activity.funnels.evidence import AwayError, External, Proof
from activity.models import Message
from ai_tuning.models import Feedback
from sigmasight.lib.away import reaching

PAGE = 5_000


def thumbs(rating: str, since: dt.datetime | None) -> Iterator[list[Proof]]:
    """Who gave such a thumb and when, of those given since then, oldest first, PAGE at a time: two queries a page, as
    feedback names a message and only gondola knows whose that is. Raises AwayError."""
    last: tuple[dt.datetime, UUID] | None = None
    while True:
        rows = Feedback.objects.rated(rating).order_by("created_at", "id")
        if since is not None:
            rows = rows.filter(created_at__gte=since)
        found: list[tuple[UUID, UUID, dt.datetime]] = []
        with reaching("metro") as metro:
            if last is not None:
                beyond = Q(created_at__gt=last[0]) | Q(created_at=last[0], id__gt=last[1])
                rows = rows.filter(beyond, created_at__gte=last[0])
            found = list(rows.values_list("id", "message_id", "created_at")[:PAGE])
        if metro.away:
            raise AwayError("metro")
        of = dict(
            Message.objects.filter(pk__in={message for _, message, _ in found}).values_list(
                "pk", "conversation__user_id"
            )
        )
        yield [(of[message], at) for _, message, at in found if message in of]
        if len(found) < PAGE:
            return
        last = (found[-1][2], found[-1][0])


THUMBS_UP = External("thumbs_up", "Thumbs-up on an answer", partial(thumbs, Feedback.Rating.UP))
THUMBS_DOWN = External("thumbs_down", "Thumbs-down on an answer", partial(thumbs, Feedback.Rating.DOWN))
