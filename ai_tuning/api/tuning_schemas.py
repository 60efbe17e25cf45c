"""What the calls about conversations and annotations take and answer with."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from ai_tuning.annotations import LONGEST_CONTENT, LONGEST_SUGGESTION, LONGEST_TAG, MOST_TAGS, tidy_tags
from sigmasight.api.params import NO_NUL
from sigmasight.api.schemas import In, Out, PageOut

AnnotationType = Literal["correction", "improvement", "flag", "approved"]
Severity = Literal["minor", "moderate", "critical"]
AnnotationStatus = Literal["pending", "reviewed", "applied"]

# As JSON Schema says what `tidy_tags` checks.
NOT_BLANK = {"pattern": r"^[^\u0000]*[^\u0000\s][^\u0000]*$"}
Content = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_CONTENT,
        json_schema_extra=NO_NUL,
        description="What is to be said of the answer.",
        examples=["Contradicts its own table: beta is 1.21 there."],
    ),
]
Suggestion = Annotated[
    str,
    Field(
        max_length=LONGEST_SUGGESTION, description="What the answer should have been.", examples=["Your beta is 1.21."]
    ),
]
Tags = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=LONGEST_TAG, json_schema_extra=NOT_BLANK)]],
    Field(max_length=MOST_TAGS, description="Stored each once, in the order given.", examples=[["numbers", "beta"]]),
    AfterValidator(tidy_tags),
]


def _written(value: Any) -> Any:
    if value is not None and not isinstance(value, str):
        raise ValueError("A time is a text, as 2026-11-22T08:00:00+00:00.")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written)]


class AnnotationIn(In):
    """A new annotation."""

    message_id: UUID = Field(description="An answer of the assistant.")
    annotation_type: AnnotationType
    content: Content
    suggested_response: Suggestion | None = None
    severity: Severity | None = None
    tags: Tags = Field(default_factory=list)


class AnnotationChangeIn(In):
    """What to change. What is left out stays as it is; null clears `suggested_response` and `severity`."""

    annotation_type: AnnotationType = Field(default_factory=lambda: "flag")
    content: Content = Field(default_factory=str)
    suggested_response: Suggestion | None = None
    severity: Severity | None = None
    tags: Tags = Field(default_factory=list)
    status: AnnotationStatus = Field(default_factory=lambda: "pending")
    updated_at: Moment | None = Field(
        None,
        description="The `updated_at` of the annotation that this changes: where it is another by now, nothing is "
        "changed, and the answer is 409. Left out: the last one to write wins.",
    )


class AnnotationOut(Out):
    """An admin's judgement of one answer."""

    id: UUID
    message_id: UUID
    admin_user_id: UUID = Field(description="Its author.")
    annotation_type: str = Field(description="correction, improvement, flag or approved.", examples=["correction"])
    content: str = Field(examples=["Contradicts its own table: beta is 1.21 there."])
    suggested_response: str | None = Field(examples=["Your beta is 1.21."])
    severity: str | None = Field(description="minor, moderate or critical.", examples=["moderate"])
    tags: list[str] = Field(examples=[["numbers", "beta"]])
    status: str = Field(description="pending, reviewed or applied.", examples=["pending"])
    created_at: dt.datetime
    updated_at: dt.datetime


class AnnotationConflictOut(Out):
    """Why the annotation can't be changed like that as it stands now, and how it stands."""

    detail: str = Field(examples=["A status goes one step at a time (pending, reviewed, applied): …"])
    current: AnnotationOut
    allowed_statuses: list[str] = Field(description="What its status may be next.", examples=[["reviewed"]])


class AnnotationsOut(PageOut):
    period_days: int = Field(examples=[30])
    annotations: list[AnnotationOut]


class AnnotationChangeOut(Out):
    """One thing that was done to an annotation."""

    id: UUID
    action: str = Field(description="created, changed or deleted.", examples=["changed"])
    admin_user_id: UUID | None = Field(description="Who did it; null where nobody was signed in.")
    at: dt.datetime
    before: dict[str, Any] | None = Field(
        description="Its columns before; null where it was made.", examples=[{"status": "pending"}]
    )
    after: dict[str, Any] | None = Field(
        description="Its columns afterwards; null where it was deleted.", examples=[{"status": "reviewed"}]
    )


class AnnotationHistoryOut(Out):
    """Everything that was done to an annotation, oldest first, also where it was deleted."""

    annotation_id: UUID
    changes: list[AnnotationChangeOut]


class AnnotationSummaryOut(Out):
    """Annotations made in the period, counted; zeros included."""

    period_days: int = Field(examples=[30])
    total_annotations: int = Field(examples=[124])
    by_type: dict[str, int] = Field(examples=[{"correction": 61, "improvement": 20, "flag": 31, "approved": 12}])
    by_severity: dict[str, int] = Field(
        description="Those that have one.", examples=[{"minor": 40, "moderate": 51, "critical": 9}]
    )
    by_status: dict[str, int] = Field(examples=[{"pending": 70, "reviewed": 34, "applied": 20}])
    with_suggestions: int = Field(description="Those that say what the answer should have been.", examples=[58])
    generated_at: dt.datetime


class ConversationOut(Out):
    """A conversation as lists show it."""

    id: UUID
    user_id: UUID
    user_email: str | None = Field(description="Null where the account is gone.", examples=["ada@example.com"])
    title: str | None = Field(description="Always null: conversations have none. See `question`.")
    question: str = Field(
        description="The beginning of the first thing the person said; empty where nothing.",
        examples=["What is my beta against the index?"],
    )
    message_count: int = Field(description="Messages of every role.", examples=[6])
    created_at: dt.datetime
    updated_at: dt.datetime


class ConversationsOut(PageOut):
    period_days: int = Field(examples=[30])
    conversations: list[ConversationOut]
    total_is_exact: bool = Field(
        description="False where more messages, thumbs or requests match than are looked at: there may be more than "
        "`total` then, as `notes` says."
    )
    notes: list[str] = Field(description="What was left out of account, a sentence each.", examples=[[]])
    metro_away: bool = Field(description="A rating was asked for, but the database that has them does not answer.")


class ThreadMessageOut(Out):
    id: UUID
    role: str = Field(description="user, assistant, system or tool.", examples=["assistant"])
    content: str = Field(description="Empty where a turn has no text, as one that only calls tools.")
    created_at: dt.datetime
    annotations_count: int | None = Field(description="Null where metro does not answer.", examples=[1])


class ThreadOut(Out):
    """A conversation with all its messages, in their order."""

    id: UUID
    user_id: UUID
    title: str | None = Field(description="Always null: conversations have none.")
    created_at: dt.datetime
    updated_at: dt.datetime
    messages: list[ThreadMessageOut]
    metro_away: bool = Field(description="True: nobody knows what was annotated.")


class MessageTextOut(Out):
    id: UUID
    conversation_id: UUID
    role: str = Field(examples=["assistant"])
    content: str = Field(description="Empty where it has no text.")
    created_at: dt.datetime


class NeighbourOut(Out):
    id: UUID
    role: str = Field(examples=["user"])
    content: str = Field(description="Empty where it has no text.")
    is_target: bool = Field(description="Whether this is the message that was asked for.")
    created_at: dt.datetime


class MessageContextOut(Out):
    """A message, what was said round it, and what admins said of it, newest first."""

    message: MessageTextOut
    context: list[NeighbourOut]
    annotations: list[AnnotationOut]
    metro_away: bool = Field(description="True: nobody knows what was annotated.")


class ExportFiltersOut(Out):
    status: str | None
    annotation_type: str | None
    severity: str | None


class ExportTurnOut(Out):
    role: str = Field(description="user or assistant.", examples=["user"])
    content: str


class ExportMessageOut(Out):
    id: UUID
    role: str = Field(examples=["assistant"])
    content: str


class ExportRecordOut(Out):
    """An annotation and what it judges. In JSON lines, each line is one."""

    annotation_id: UUID
    annotation_type: str = Field(examples=["correction"])
    severity: str | None = Field(examples=["moderate"])
    admin_comment: str = Field(examples=["Contradicts its own table: beta is 1.21 there."])
    suggested_response: str | None = Field(examples=["Your beta is 1.21."])
    tags: list[str] = Field(examples=[["numbers"]])
    status: str = Field(examples=["applied"])
    created_at: dt.datetime
    updated_at: dt.datetime
    admin_user_id: UUID
    message_id: UUID
    original_message: ExportMessageOut | None = Field(
        description="The answer; null where the conversation is gone and nothing was kept of it."
    )
    prompt: str | None = Field(description="The person’s last words before the answer.", examples=["What is my beta?"])
    conversation_context: list[ExportTurnOut] = Field(
        description="What else was said before, oldest first, at most 20 turns."
    )
    conversation_id: UUID | None
    source: str | None = Field(
        description="conversation, or evidence: what was kept with the annotation, as the conversation is gone.",
        examples=["conversation"],
    )


class ExportOut(Out):
    """Annotations as training data, in the order they were made."""

    export_format: str = Field(examples=["json"])
    period_days: int = Field(examples=[90])
    total: int = Field(description="How many match the filters, on all pages.", examples=[124])
    filters: ExportFiltersOut
    exported_at: dt.datetime
    data: list[ExportRecordOut]
    total_records: int = Field(description="How many are in this answer.", examples=[124])
    next_cursor: str | None = Field(description="With `limit`: send it as `cursor` for the rest; null at the end.")
