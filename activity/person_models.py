"""What people are filtered and ordered by, among a million: one narrow row for each (`activity.persons` keeps it)."""

from __future__ import annotations

import datetime as dt

from django.db import models

# For an order by it: somebody who was never seen comes after everybody who was.
NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class PersonFacts(models.Model):
    """The last of each kind of thing that somebody did or met; all of them merge in any order, and outlive raw rows.

    `seen_at`: their last event, conversation begun or AI request, NEVER for none. `asked_at`: the last AI request or
    conversation begun. `error_at`: the last event or AI request that failed. `thumb_…_at`: the last thumb they gave
    an answer. `conversations`: how many they have. Computed: nobody but this product writes it.
    """

    user = models.OneToOneField(
        "activity.User", models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="facts"
    )
    seen_at = models.DateTimeField(default=NEVER, db_default=NEVER)
    asked_at = models.DateTimeField(null=True)
    error_at = models.DateTimeField(null=True)
    thumb_up_at = models.DateTimeField(null=True)
    thumb_down_at = models.DateTimeField(null=True)
    conversations = models.IntegerField(default=0, db_default=0)

    class Meta:
        db_table = "person_facts"
        indexes = [
            # The list of people by when they were last seen, keyset-paged.
            models.Index(fields=["seen_at", "user"], name="ix_person_seen"),
            # The list of people by how much they talk with the AI, keyset-paged.
            models.Index(fields=["conversations", "user"], name="ix_person_conversations"),
        ]

    def __str__(self) -> str:
        return str(self.user_id)
