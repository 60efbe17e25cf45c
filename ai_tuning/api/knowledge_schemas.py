"""What the calls about knowledge answer with."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from pydantic import Field

from sigmasight.api.schemas import Out, PageOut

METADATA = Field(
    description='What the document’s writer added. Always an object: anything else that was stored is under "value".',
    examples=[{"tags": ["sectors"], "source": "handbook"}],
)


class DocumentOut(Out):
    """A document of the knowledge base, whole."""

    id: UUID
    scope: str = Field(description="For whom or where it may be retrieved.", examples=["page:portfolio"])
    title: str = Field(examples=["How sector weights are computed"])
    content: str = Field(examples=["Sector weights are …"])
    content_length: int = Field(description="Characters of the whole content.", examples=[1840])
    metadata: dict[str, Any] = METADATA
    has_embedding: bool = Field(description="Whether it can be found by nearness yet.")
    created_at: dt.datetime
    updated_at: dt.datetime


class DocumentExcerptOut(DocumentOut):
    """A document as the list shows it: `content` is its first 500 characters, with "..." where there is more."""


class DocumentsOut(PageOut):
    documents: list[DocumentExcerptOut]


class DocumentStatsOut(Out):
    """All documents, counted."""

    total_documents: int = Field(examples=[412])
    by_scope: dict[str, int] = Field(
        description="Documents by scope; of more than 200 scopes, those with most documents.",
        examples=[{"global": 210, "page:portfolio": 96}],
    )
    by_kind: dict[str, int] = Field(
        description="Documents by the part of their scope before its colon.", examples=[{"global": 210, "page": 202}]
    )
    scopes: int = Field(description="How many scopes there are.", examples=[14])
    in_other_scopes: int = Field(description="Documents in scopes that are not in `by_scope`.", examples=[0])
    with_embedding: int = Field(description="Documents that have one.", examples=[398])
    generated_at: dt.datetime


class MemoryOut(Out):
    """Something the AI remembers, of a person, a portfolio, a tenant or everybody."""

    id: UUID
    user_id: UUID | None = Field(description="Whose it is; null where it is nobody’s in particular.")
    tenant_id: UUID | None
    scope: str = Field(description="user, portfolio, global or tenant.", examples=["user"])
    content: str = Field(examples=["Prefers tables to prose."])
    tags: dict[str, Any] = Field(
        description='Always an object: anything else that was stored is under "value".',
        examples=[{"category": "format", "source": "feedback_learning", "confidence": 0.82}],
    )
    created_at: dt.datetime


class MemoriesOut(PageOut):
    memories: list[MemoryOut]


class MemoryStatsOut(Out):
    """All memories, counted."""

    total_memories: int = Field(examples=[3180])
    by_scope: dict[str, int] = Field(
        description="Every scope is there, zeros included.",
        examples=[{"user": 3122, "portfolio": 21, "global": 37, "tenant": 0}],
    )
    unique_users_with_memories: int = Field(description="People the AI remembers something of.", examples=[941])
    generated_at: dt.datetime


class GivenFeedbackOut(Out):
    """A thumb on an answer. The last four are only known with `with_context=true`."""

    id: UUID
    message_id: UUID
    rating: str = Field(description="up or down.", examples=["down"])
    edited_text: str | None = Field(description="The answer that the person would have wanted.")
    comment: str | None = Field(examples=["Beta is not 1.12"])
    created_at: dt.datetime
    original_message: str | None = Field(
        None, description="The answer’s text; null where it is gone, or was not asked for.", examples=["Your beta is …"]
    )
    conversation_id: UUID | None = None
    user_id: UUID | None = Field(None, description="Whose conversation it was.")
    message_found: bool | None = Field(
        None, description="Whether the application still has the answer; null where nobody looked."
    )


class GivenFeedbacksOut(PageOut):
    period_days: int = Field(examples=[30])
    feedback: list[GivenFeedbackOut]


class GivenFeedbackStatsOut(Out):
    """The feedback of the period, everybody's."""

    period_days: int = Field(examples=[30])
    total_feedback: int = Field(examples=[512])
    positive: int = Field(description="Thumbs up.", examples=[371])
    negative: int = Field(description="Thumbs down.", examples=[141])
    positive_ratio: float = Field(
        description="Thumbs up as a share of all, 0 to 1, three decimals; 0 where there is no feedback.",
        examples=[0.725],
    )
    with_edits: int = Field(description="With a text that the person would have wanted.", examples=[38])
    with_comments: int = Field(examples=[64])
    generated_at: dt.datetime
