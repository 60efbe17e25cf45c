"""Who used the models most, day by day (gondola). `metrics.persondays` writes them, `metrics.byperson` reads them."""

from __future__ import annotations

from django.db import models


class PersonDay(models.Model):
    """What one person used of one model on one UTC day; of the MOST_KEPT people of the day with the most tokens.

    Tokens are sums, `…_counted` says of how many requests; `tokens` is of what each request gives: its total, else what
    was counted of it.
    """

    id = models.BigAutoField(primary_key=True)
    date = models.DateField()
    user_id = models.UUIDField()
    model = models.CharField(max_length=100)
    requests = models.BigIntegerField()
    failed = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    input_counted = models.BigIntegerField()
    cached_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    output_counted = models.BigIntegerField()
    tokens = models.BigIntegerField()

    class Meta:
        db_table = "ai_person_days"
        constraints = [
            models.UniqueConstraint(fields=["date", "user_id", "model"], name="uq_ai_person_day"),
        ]

    def __str__(self) -> str:
        return f"{self.date} {self.user_id} {self.model}"


class PersonDayCount(models.Model):
    """That the people of one UTC day were counted, from the raw rows of `counted_at`: `people` used a model, `kept` of
    them have rows; whoever has none used no more than `least` tokens. `tokens`: of all requests of the day."""

    date = models.DateField(primary_key=True)
    counted_at = models.DateTimeField()
    people = models.BigIntegerField()
    kept = models.BigIntegerField()
    least = models.BigIntegerField()
    tokens = models.BigIntegerField()

    class Meta:
        db_table = "ai_person_day_counts"

    def __str__(self) -> str:
        return f"{self.date}: {self.kept} of {self.people}"
