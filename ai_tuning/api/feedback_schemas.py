"""What the calls of /admin/feedback take and answer."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from django.urls import reverse
from pydantic import Field

from ai_tuning.feedback import Judged
from ai_tuning.learning.job import from_json
from ai_tuning.learning.patterns import Pattern
from ai_tuning.learning_models import LearningRun
from ai_tuning.models import Memory
from sigmasight.api.schemas import Out, PageOut

RATIO = "Thumbs-up as a share of all thumbs, 0 to 1; 0 for no thumbs."
EDITS = "Thumbs that came with the text the person would have wanted."


class FeedbackSummaryOut(Out):
    """Thumbs of a period."""

    total_feedback: int = Field(examples=[420])
    positive: int = Field(description="Thumbs-up.", examples=[350])
    negative: int = Field(description="Thumbs-down.", examples=[70])
    positive_ratio: float = Field(description=RATIO, examples=[0.8333])
    with_edits: int = Field(description=EDITS, examples=[31])
    with_comments: int = Field(description="Thumbs that came with a comment.", examples=[54])
    period_days: int = Field(examples=[30])
    user_id: UUID | None = Field(description="Whose messages: null for everybody’s.")
    generated_at: dt.datetime


class LearningStatsOut(Out):
    """Thumbs since ever."""

    total_feedback: int = Field(examples=[4200])
    positive_feedback: int = Field(examples=[3500])
    negative_feedback: int = Field(examples=[700])
    positive_ratio: float = Field(description=RATIO, examples=[0.8333])
    feedback_with_edits: int = Field(description=EDITS, examples=[310])
    feedback_with_comments: int = Field(description="Thumbs that came with a comment.", examples=[540])
    recent_feedback_7d: int = Field(description="Thumbs of the last 7 times 24 hours.", examples=[96])
    generated_at: dt.datetime


class NegativeFeedbackItemOut(Out):
    """A thumbs-down with the answer it was given to."""

    feedback_id: UUID
    message_id: UUID
    conversation_id: UUID | None = Field(description="Null where the message is gone.")
    user_id: UUID | None = Field(description="Null where the message is gone.")
    rating: str = Field(examples=["down"])
    original_text: str | None = Field(description="The answer; null where it is gone.", examples=["Your beta is 1.1."])
    edited_text: str | None = Field(description="What the person would have wanted.", examples=["Your beta is 1.12."])
    comment: str | None = Field(examples=["Too rough."])
    created_at: dt.datetime

    @classmethod
    def of(cls, found: Judged) -> NegativeFeedbackItemOut:
        row = found.feedback
        return cls(
            feedback_id=row.pk,
            message_id=row.message_id,
            conversation_id=found.conversation_id,
            user_id=found.user_id,
            rating=row.rating,
            original_text=found.text,
            edited_text=row.edited_text,
            comment=row.comment,
            created_at=row.created_at,
        )


class NegativeFeedbackOut(PageOut):
    """Thumbs-down, newest first."""

    period_days: int = Field(examples=[30])
    with_edits_only: bool
    items: list[NegativeFeedbackItemOut]


class FeedbackPatternOut(Out):
    """Something that feedback shows."""

    pattern: str = Field(description="Its name.", examples=["edit:shorten"])
    type: str = Field(description="preference, style, format, topic or finding.", examples=["preference"])
    category: str = Field(examples=["communication_style"])
    content: str = Field(
        description="In words, for admins.", examples=["9 of 10 edits shorten the answer by a fifth or more."]
    )
    rule: str | None = Field(
        description="What the AI is to do about it; null for a mere finding.",
        examples=["Keep answers short: give the result first and leave out what was not asked for."],
    )
    confidence: float = Field(
        description="0 to 1. log_odds: that the contrast is no coincidence, corrected for how many traits were "
        "compared (Bonferroni). wilson: the share is at least this, with 90 %. language_model: the model’s own word.",
        examples=[0.72],
    )
    method: str = Field(description="log_odds, wilson or language_model.", examples=["wilson"])
    source: str = Field(description="pattern_analysis (counted) or llm_extraction.", examples=["pattern_analysis"])
    evidence_count: int = Field(description="The feedback behind it.", examples=[9])
    hits: int | None = Field(
        description="wilson: how often it showed. log_odds: thumbs-down with the trait.", examples=[9]
    )
    out_of: int | None = Field(
        description="wilson: how often it could have. log_odds: thumbs with the trait.", examples=[10]
    )
    share: float | None = Field(description="hits out of out_of, 0 to 1.", examples=[0.9])
    baseline: float | None = Field(
        description="log_odds: the share of thumbs-down without the trait, 0 to 1.", examples=[None]
    )
    interval_low: float | None = Field(
        description="log_odds: 95 % interval of the odds ratio. wilson: the share’s lower bound.", examples=[0.72]
    )
    interval_high: float | None = Field(examples=[None])
    sample_message_ids: list[UUID] = Field(description="The newest answers that show it, at most 5.")


class PatternsOut(Out):
    """Patterns in feedback, the surest first."""

    user_id: UUID | None = Field(description="Null for everybody.")
    patterns_found: int = Field(examples=[1])
    patterns: list[FeedbackPatternOut]
    feedback_looked_at: int = Field(description="Rated answers that were looked at.", examples=[24])
    note: str = Field(description="What was left out, and why.")
    analyzed_at: dt.datetime


class WrittenRuleOut(Out):
    """A rule and the memory that holds it."""

    rule: str
    confidence: float = Field(examples=[0.72])
    memory_id: UUID


class AnalysisOut(Out):
    """What one person's feedback shows, and what was written because of it."""

    user_id: UUID
    preview_mode: bool = Field(description="True: nothing was written.")
    patterns_found: int = Field(examples=[1])
    patterns: list[FeedbackPatternOut]
    feedback_looked_at: int = Field(description="Rated answers that were looked at.", examples=[24])
    rules_created: int = Field(description="New memories.", examples=[1])
    rules_updated: int = Field(description="Memories whose words were changed.", examples=[0])
    rules_kept: int = Field(description="Rules that were there already.", examples=[0])
    rules_taken_back: int = Field(description="Rules that stay away: an admin took them back.", examples=[0])
    details: list[WrittenRuleOut] = Field(description="New and changed rules.")
    note: str = Field(description="What was left out, and why.")


class LearningUserOut(Out):
    """A person (null: everybody) for whom rules were written."""

    user_id: UUID | None
    patterns_found: int = Field(examples=[2])
    rules_created: int = Field(examples=[1])
    rules_updated: int = Field(examples=[0])
    details: list[WrittenRuleOut]


class LearningErrorOut(Out):
    """Something that went wrong in a run, though it went on."""

    user_id: UUID | None = None
    error: str


class LearningRunOut(Out):
    """A run of feedback learning: what was asked, how far it is, what came of it."""

    run_id: UUID
    poll_url: str = Field(description="Where to follow it.")
    job_type: str = Field(
        description="feedback_learning_batch or feedback_reprocessing.", examples=["feedback_learning_batch"]
    )
    status: str = Field(
        description="queued, running; completed, partial (something went wrong: see errors) or failed (see error).",
        examples=["completed"],
    )
    phase: str = Field(
        description="What it is at: read_feedback, patterns_of_everybody, patterns_of_people or positive_examples; "
        "empty while it waits, and once it is over.",
        examples=[""],
    )
    started_at: dt.datetime
    completed_at: dt.datetime | None = Field(description="Null until it is over.")
    duration_seconds: float | None = Field(description="Null until it is over.", examples=[0.8])
    days: int = Field(examples=[30])
    min_confidence: float = Field(examples=[0.7])
    create_rules: bool = Field(description="False: nothing is written.")
    feedback_processed: int = Field(description="Thumbs looked at so far.", examples=[420])
    users_total: int = Field(description="People with 3 rated answers or more.", examples=[38])
    users_processed: int = Field(description="Of those, so many so far.", examples=[38])
    total_patterns_found: int = Field(examples=[12])
    total_rules_created: int = Field(description="New memories.", examples=[7])
    rules_updated: int = Field(description="Memories whose words were changed.", examples=[0])
    examples_created: int = Field(description="New example documents.", examples=[120])
    actions_taken: int = Field(description="Everything written: rules, changed rules, examples.", examples=[127])
    patterns: list[FeedbackPatternOut] = Field(description="Those of everybody’s feedback.")
    user_results: list[LearningUserOut] = Field(description="For whom rules were written, at most 200.")
    errors: list[LearningErrorOut] = Field(description="What went wrong, at most 200.")
    error: str = Field(description="Why the run failed, or what of it; empty where nothing did.", examples=[""])
    note: str = Field(description="What was left out, and why.")


class LearnedPreferenceOut(Out):
    """Something the AI was told because of feedback."""

    memory_id: UUID
    user_id: UUID | None = Field(description="Whose preference it is; null for everybody’s.")
    scope: str = Field(examples=["user"])
    content: str
    category: str | None = Field(examples=["communication_style"])
    source: str | None = Field(description="feedback_learning or pattern_analysis.", examples=["feedback_learning"])
    confidence: float | None = Field(description="0 to 1.", examples=[0.72])
    pattern: str | None = Field(description="The pattern behind it, where this product wrote it.")
    evidence_count: int | None = Field(description="The feedback behind it, where it is known.", examples=[9])
    created_at: dt.datetime

    @classmethod
    def of(cls, memory: Memory) -> LearnedPreferenceOut:
        tags = memory.tags if isinstance(memory.tags, dict) else {}
        confidence, evidence = _number(tags.get("confidence")), _number(tags.get("evidence_count"))
        return cls(
            memory_id=memory.pk,
            user_id=memory.user_id,
            scope=memory.scope,
            content=memory.content,
            category=_text(tags.get("category")),
            source=_text(tags.get("source")),
            confidence=confidence,
            pattern=_text(tags.get("pattern")),
            evidence_count=None if evidence is None else int(evidence),
            created_at=memory.created_at,
        )


class LearnedPreferencesOut(PageOut):
    """Memories that were written because of feedback, newest first."""

    preferences: list[LearnedPreferenceOut]


def pattern_out(found: Pattern) -> FeedbackPatternOut:
    return FeedbackPatternOut(
        pattern=found.key,
        type=found.type,
        category=found.category,
        content=found.content,
        rule=found.rule,
        confidence=found.confidence,
        method=found.method,
        source=found.source,
        evidence_count=found.evidence_count,
        hits=found.hits,
        out_of=found.of,
        share=found.share,
        baseline=found.baseline,
        interval_low=found.low,
        interval_high=found.high,
        sample_message_ids=list(found.samples),
    )


def run_out(run: LearningRun) -> LearningRunOut:
    return LearningRunOut(
        run_id=run.pk,
        poll_url=reverse("api:learning_run", kwargs={"run_id": run.pk}),
        job_type=run.job_type,
        status=run.status,
        phase=run.phase,
        started_at=run.started_at,
        completed_at=run.completed_at,
        duration_seconds=round((run.completed_at - run.started_at).total_seconds(), 3) if run.completed_at else None,
        days=run.days,
        min_confidence=run.min_confidence,
        create_rules=run.create_rules,
        feedback_processed=run.feedback_read,
        users_total=run.users_total,
        users_processed=run.users_processed,
        total_patterns_found=run.patterns_found,
        total_rules_created=run.rules_created,
        rules_updated=run.rules_updated,
        examples_created=run.examples_created,
        actions_taken=run.rules_created + run.rules_updated + run.examples_created,
        patterns=[pattern_out(from_json(each)) for each in run.patterns],
        user_results=[LearningUserOut.model_validate(each) for each in run.user_results],
        errors=[LearningErrorOut.model_validate(each) for each in run.errors],
        error=run.error,
        note=run.note,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    """A number as tags should hold it: anything else in its place is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e9 else None
