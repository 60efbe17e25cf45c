"""Funnels, how far each person got in them, and the cells that figures are read from (`activity.funnels` fills them).

All but `Funnel` is computed: nobody but `activity.funnels` writes it. Evidence outlives the raw events it came from.
"""

from __future__ import annotations

import datetime as dt

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models

from activity.rollup_models import histogram_counts, histogram_keys
from sigmasight.lib.dbfields import created_now

# As many as there are indexes for (`ix_funnel_step_2` …), and more than anybody reads.
MOST_STEPS = 8
GRAINS = [("hour", "hour"), ("day", "day"), ("week", "week")]
DIMENSIONS = [("", "all"), ("source", "source"), ("device", "device"), ("error", "error")]


class Funnel(models.Model):
    """One version of a funnel: its steps and the time people have for them, counted from the first step.

    `steps`: a list of {name, label, events, proved_by, records} (`activity.funnels.definition`). `is_implied`:
    reaching a step proves the steps before it; otherwise they must be taken in this order. A change of steps or window
    is a new version, and what belongs to the old one stays. `built_at` NULL: it can't be asked yet; `build_next`: which
    part of the build is next, NULL where there is nothing to build.
    """

    id = models.BigAutoField(primary_key=True)
    slug = models.CharField(max_length=60)
    version = models.IntegerField(default=1, db_default=1)
    name = models.CharField(max_length=100)
    steps = models.JSONField(default=list)
    conversion_window = models.DurationField(default=dt.timedelta(days=14))
    is_implied = models.BooleanField(default=False, db_default=False)
    is_active = models.BooleanField(default=True, db_default=True)
    created_at = created_now()
    built_at = models.DateTimeField(null=True, blank=True, editable=False)
    build_slices = models.IntegerField(null=True, blank=True, editable=False)
    build_next = models.IntegerField(null=True, blank=True, default=0, db_default=0, editable=False)

    class Meta:
        db_table = "funnels"
        constraints = [
            models.UniqueConstraint(fields=["slug", "version"], name="uq_funnel_version"),
            models.CheckConstraint(condition=models.Q(slug__regex=r"^[a-z0-9][a-z0-9_-]*$"), name="ck_funnel_slug"),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="ck_funnel_version"),
            models.CheckConstraint(
                condition=models.Q(conversion_window__gt=dt.timedelta(0))
                & models.Q(conversion_window__lte=dt.timedelta(days=3660)),
                name="ck_funnel_window",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} (version {self.version})"

    def clean(self) -> None:
        """Raises ValidationError by field, with what to write instead."""
        from activity.funnels.definition import problems

        found = problems(self.slug, self.steps, self.conversion_window)
        if found:
            raise ValidationError(found)


class FunnelSource(models.Model):
    """How far a source of evidence was looked through. `watermark`: of "events", the transaction below which all were
    seen (above, those that `snapshot` tells), and so of "requests" (`metrics.askers`); of "people", the last row of
    `funnel_evidence` (`activity.persons`); of "anonymous", the next day (as an ordinal) of the first look, NULL once
    that is over."""

    name = models.CharField(max_length=63, primary_key=True)
    watermark = models.BigIntegerField(null=True)
    snapshot = models.TextField(null=True)
    looked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "funnel_sources"

    def __str__(self) -> str:
        return self.name


class FunnelEvidence(models.Model):
    """What another database knows of a person, copied: `name` says what (a registered `evidence.External`)."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=63)
    user_id = models.UUIDField()
    at = models.DateTimeField()

    class Meta:
        db_table = "funnel_evidence"
        constraints = [
            # Also what a recomputation of some people asks.
            models.UniqueConstraint(fields=["name", "user_id", "at"], name="uq_funnel_evidence"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.user_id}"


class FunnelPerson(models.Model):
    """The first and the last event of a person, and the last that failed: of events that name the person themselves.

    Of two events at one moment the lower id came first.
    """

    user_id = models.UUIDField(primary_key=True)
    first_at = models.DateTimeField()
    first_id = models.UUIDField()
    source = models.CharField(max_length=100)
    device = models.CharField(max_length=20)
    last_at = models.DateTimeField()
    last_id = models.UUIDField()
    last_type = models.CharField(max_length=100)
    last_code = models.CharField(max_length=50)
    last_message = models.CharField(max_length=500)
    error_at = models.DateTimeField(null=True)
    error_id = models.UUIDField(null=True)
    error_type = models.CharField(max_length=100, null=True)
    error_code = models.CharField(max_length=50, null=True)
    error_message = models.CharField(max_length=500, null=True)

    class Meta:
        db_table = "funnel_people"

    def __str__(self) -> str:
        return str(self.user_id)


class FunnelAnonymous(models.Model):
    """An event that names a session and no person, and whose it turned out to be.

    `user_id`: the person of the next identified event of the session (`user_event`, at `user_at`); NULL: none followed.
    """

    id = models.UUIDField(primary_key=True)
    created_at = models.DateTimeField()
    session_id = models.CharField(max_length=255)
    event_type = models.CharField(max_length=100)
    failed = models.BooleanField()
    error_code = models.CharField(max_length=50)
    error_message = models.CharField(max_length=500)
    source = models.CharField(max_length=100)
    device = models.CharField(max_length=20)
    user_id = models.UUIDField(null=True)
    user_at = models.DateTimeField(null=True)
    user_event = models.UUIDField(null=True)

    class Meta:
        db_table = "funnel_anonymous"
        indexes = [
            # A session's events, to be stitched; the last thing that happened in it.
            models.Index(fields=["session_id", "created_at"], name="ix_funnel_anonymous_session"),
            # What a person did before anybody knew who they were.
            models.Index(
                fields=["user_id"], condition=models.Q(user_id__isnull=False), name="ix_funnel_anonymous_user"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} in {self.session_id}"


class FunnelProgress(models.Model):
    """How far one subject got in one version of a funnel: a person (`subject` is the user's id) or a session that
    became nobody yet (`subject` is made of its md5).

    `reached`: for each step when it was first reached, NULL where it wasn't. `inferred`: bit k is set where the time of
    step k + 1 is only that of a later step which proves it. `own`: the part of the evidence that can't become another
    person's. `furthest`: how many steps were reached within the window. `stopped_by`: code (or type) of the last error,
    where that came at or after the last step reached and steps are missing.
    """

    id = models.BigAutoField(primary_key=True)
    funnel = models.ForeignKey(Funnel, models.CASCADE, db_index=False)
    subject = models.UUIDField()
    session_id = models.CharField(max_length=255, null=True)
    own = ArrayField(models.DateTimeField(null=True), default=list)
    reached = ArrayField(models.DateTimeField(null=True), default=list)
    inferred = models.SmallIntegerField(default=0)
    entered_at = models.DateTimeField()
    furthest = models.SmallIntegerField()
    source = models.CharField(max_length=100, default="")
    device = models.CharField(max_length=20, default="")
    stopped_by = models.CharField(max_length=100, default="")
    error_at = models.DateTimeField(null=True)
    error_type = models.CharField(max_length=100, null=True)
    error_code = models.CharField(max_length=50, null=True)
    error_message = models.CharField(max_length=500, null=True)

    class Meta:
        db_table = "funnel_progress"
        constraints = [
            # Also what finds a person's progress.
            models.UniqueConstraint(fields=["funnel", "subject"], name="uq_funnel_progress"),
            models.CheckConstraint(
                condition=models.Q(furthest__gte=1, furthest__lte=MOST_STEPS), name="ck_funnel_progress_furthest"
            ),
        ]
        indexes = [
            # Those who entered within an hour: its cells, and the edges of a period.
            models.Index(fields=["funnel", "entered_at"], name="ix_funnel_entered"),
            # Those who got no further than a step, newest first, keyset-paged; and of one error, source or device.
            models.Index(fields=["funnel", "furthest", "-entered_at", "-subject"], name="ix_funnel_dropped"),
            models.Index(
                fields=["funnel", "furthest", "stopped_by", "-entered_at", "-subject"],
                condition=~models.Q(stopped_by=""),
                name="ix_funnel_dropped_error",
            ),
            models.Index(
                fields=["funnel", "furthest", "source", "-entered_at", "-subject"], name="ix_funnel_dropped_source"
            ),
            models.Index(
                fields=["funnel", "furthest", "device", "-entered_at", "-subject"], name="ix_funnel_dropped_device"
            ),
            # Those who reached the second, third … step within an hour. (The first is when they entered.)
            *(
                models.Index(
                    "funnel",
                    models.F(f"reached__{number - 1}"),
                    condition=models.Q(**{f"reached__{number - 1}__isnull": False}),
                    name=f"ix_funnel_step_{number}",
                )
                for number in range(2, MOST_STEPS + 1)
            ),
            # People whose last step, whenever they reached it, is the first, second …: whom the list of people shows as
            # stuck there. Everybody is in one of them at most.
            *(
                models.Index(
                    fields=["funnel", "subject"],
                    condition=models.Q(
                        **{f"reached__{number - 1}__isnull": False, f"reached__{number}__isnull": True},
                        session_id__isnull=True,
                    ),
                    name=f"ix_funnel_stuck_{number}",
                )
                for number in range(1, MOST_STEPS)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.session_id or self.subject} in {self.funnel_id}"


class FunnelCell(models.Model):
    """People by the hour, day or week (from Monday) they entered and one value of a dimension: how many reached a step
    within the window, and how long it took them from the step before and from the first, in ms, where both times are
    known. Of a source, device or error, only from the step before, in wider buckets (`cells.GROUP_KEYS`)."""

    id = models.BigAutoField(primary_key=True)
    funnel = models.ForeignKey(Funnel, models.CASCADE, db_index=False)
    grain = models.CharField(max_length=4, choices=GRAINS)
    at = models.DateTimeField()
    dimension = models.CharField(max_length=6, choices=DIMENSIONS)
    value = models.CharField(max_length=100)
    step = models.SmallIntegerField()
    people = models.BigIntegerField()
    # Of the first step only: when the last of them entered.
    last_at = models.DateTimeField(null=True)
    previous_count = models.BigIntegerField(default=0)
    previous_sum = models.BigIntegerField(null=True)
    previous_min = models.BigIntegerField(null=True)
    previous_max = models.BigIntegerField(null=True)
    previous_keys = histogram_keys()
    previous_counts = histogram_counts()
    first_count = models.BigIntegerField(default=0)
    first_sum = models.BigIntegerField(null=True)
    first_min = models.BigIntegerField(null=True)
    first_max = models.BigIntegerField(null=True)
    first_keys = histogram_keys()
    first_counts = histogram_counts()

    class Meta:
        db_table = "funnel_cells"
        constraints = [
            # Also what every reading asks.
            models.UniqueConstraint(
                fields=["funnel", "grain", "dimension", "at", "value", "step"], name="uq_funnel_cell"
            ),
            models.CheckConstraint(condition=models.Q(grain__in=["hour", "day", "week"]), name="ck_funnel_cell_grain"),
            models.CheckConstraint(
                condition=models.Q(dimension__in=["", "source", "device", "error"]), name="ck_funnel_cell_dimension"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.grain} {self.at} step {self.step}"


class FunnelMark(models.Model):
    """An hour whose cells lag behind the progress of those who entered in it, since `marked_at`."""

    id = models.BigAutoField(primary_key=True)
    funnel = models.ForeignKey(Funnel, models.CASCADE, db_index=False)
    at = models.DateTimeField()
    marked_at = models.DateTimeField()

    class Meta:
        db_table = "funnel_marks"
        constraints = [
            models.UniqueConstraint(fields=["funnel", "at"], name="uq_funnel_mark"),
        ]

    def __str__(self) -> str:
        return f"hour {self.at}"


class FunnelStepCell(models.Model):
    """People by the hour or day in which they reached a step themselves, however long after entering."""

    id = models.BigAutoField(primary_key=True)
    funnel = models.ForeignKey(Funnel, models.CASCADE, db_index=False)
    step = models.SmallIntegerField()
    grain = models.CharField(max_length=4, choices=GRAINS[:2])
    at = models.DateTimeField()
    people = models.BigIntegerField()

    class Meta:
        db_table = "funnel_step_cells"
        constraints = [
            models.UniqueConstraint(fields=["funnel", "step", "grain", "at"], name="uq_funnel_step_cell"),
            models.CheckConstraint(condition=models.Q(grain__in=["hour", "day"]), name="ck_funnel_step_cell_grain"),
        ]

    def __str__(self) -> str:
        return f"{self.grain} {self.at} step {self.step}"


class FunnelUnattributed(models.Model):
    """Events of an hour that name neither a person nor a session: whose they are, nobody will know."""

    id = models.BigAutoField(primary_key=True)
    event_type = models.CharField(max_length=100)
    at = models.DateTimeField()
    events = models.BigIntegerField()

    class Meta:
        db_table = "funnel_unattributed"
        constraints = [
            models.UniqueConstraint(fields=["event_type", "at"], name="uq_funnel_unattributed"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.at}"
