"""Feedback and what is learnt from it: /admin/feedback."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Status
from pydantic import Field

from ai_tuning import feedback
from ai_tuning.api.feedback_schemas import (
    AnalysisOut,
    FeedbackSummaryOut,
    LearnedPreferenceOut,
    LearnedPreferencesOut,
    LearningRunOut,
    LearningStatsOut,
    NegativeFeedbackItemOut,
    NegativeFeedbackOut,
    PatternsOut,
    WrittenRuleOut,
    pattern_out,
    run_out,
)
from ai_tuning.learning import job, person, rules, runs
from ai_tuning.learning.model import configured
from ai_tuning.learning_models import LearningRun
from sigmasight.api.access import admin_of
from sigmasight.api.conditional import conditional
from sigmasight.api.errors import Conflict, NotFound, Unavailable
from sigmasight.api.paging import cursor_of, either, read_cursor
from sigmasight.api.params import Cursor, DaysYear, Limit, Offset
from sigmasight.api.schemas import ErrorOut, MessageOut, answers
from sigmasight.api.wire import no_body
from sigmasight.lib import pagination

router = Router(tags=["Feedback"])

Confidence = Annotated[
    float,
    Field(ge=0, le=1, allow_inf_nan=False, description="Patterns that are less sure are left out.", examples=[0.7]),
]


@router.get(
    "/summary",
    response=answers(FeedbackSummaryOut),
    operation_id="feedback_summary",
    summary="Feedback figures of a period",
)
@conditional
def summary(request: HttpRequest, days: DaysYear = 30, user_id: UUID | None = None) -> FeedbackSummaryOut:
    """Thumbs given in the last `days` times 24 hours, everybody's, or those on one person's messages.

    A person without messages has zeros.
    """
    now = timezone.now()
    start = now - dt.timedelta(days=days)
    found = feedback.figures(start, now) if user_id is None else feedback.figures_of(user_id, start, now)
    return FeedbackSummaryOut(
        total_feedback=found.total,
        positive=found.up,
        negative=found.down,
        positive_ratio=found.positive_ratio,
        with_edits=found.with_edits,
        with_comments=found.with_comments,
        period_days=days,
        user_id=user_id,
        generated_at=now,
    )


@router.get(
    "/stats", response=answers(LearningStatsOut), operation_id="feedback_stats", summary="Feedback figures since ever"
)
@conditional
def stats(request: HttpRequest) -> LearningStatsOut:
    """All feedback there is, and how much of it came in the last 7 times 24 hours."""
    now = timezone.now()
    ever, recent = feedback.figures(None, now), feedback.figures(now - dt.timedelta(days=7), now)
    return LearningStatsOut(
        total_feedback=ever.total,
        positive_feedback=ever.up,
        negative_feedback=ever.down,
        positive_ratio=ever.positive_ratio,
        feedback_with_edits=ever.with_edits,
        feedback_with_comments=ever.with_comments,
        recent_feedback_7d=recent.total,
        generated_at=now,
    )


@router.get(
    "/negative",
    response=answers(NegativeFeedbackOut),
    operation_id="feedback_negative",
    summary="Thumbs-down to review",
)
@conditional
def negative(
    request: HttpRequest,
    days: DaysYear = 30,
    with_edits_only: bool = False,
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor | None = None,
) -> NegativeFeedbackOut:
    """Thumbs-down of the last `days` times 24 hours, newest first, each with the answer it was given to.

    `with_edits_only`: those that came with the text the person would have wanted. Of an answer that is gone,
    `original_text` and `user_id` are null.
    """
    now = timezone.now()
    page = feedback.negative(
        now - dt.timedelta(days=days),
        now,
        edited_only=with_edits_only,
        limit=limit,
        offset=offset,
        after=_after("feedback-negative", offset, cursor),
    )
    return NegativeFeedbackOut(
        total=page.total,
        limit=limit,
        offset=0 if cursor else offset,
        next_cursor=_next("feedback-negative", page.next),
        period_days=days,
        with_edits_only=with_edits_only,
        items=[NegativeFeedbackItemOut.of(each) for each in page.items],
    )


@router.get(
    "/patterns",
    response=answers(PatternsOut),
    operation_id="feedback_patterns",
    summary="Patterns in a person’s feedback, or in everybody’s",
)
def patterns(
    request: HttpRequest, user_id: UUID | None = None, days: DaysYear = 30, min_confidence: Confidence = 0.5
) -> PatternsOut:
    """What a person's 200 newest thumbs of the last `days` times 24 hours show, the surest first; nothing is written.

    Counted: answers with and without a trait (length, tables, hedging, topic, tools, latency, …), what edits do, what
    comments complain of. `confidence` is 0 to 1: for a contrast, that it is no coincidence; for a share, its lower
    bound. Without `user_id`: everybody's patterns as the last learning run found them, at `analyzed_at`.
    """
    now = timezone.now()
    if user_id is None:
        return _patterns_of_everybody(min_confidence, now)
    found = person.analyse(user_id, days, min_confidence, now)
    return PatternsOut(
        user_id=user_id,
        patterns_found=len(found.patterns),
        patterns=[pattern_out(each) for each in found.patterns],
        feedback_looked_at=found.looked_at,
        note=_sentences(found.notes, person.NO_MODEL if configured() is None else person.NOT_ASKED),
        analyzed_at=now,
    )


def _patterns_of_everybody(min_confidence: float, now: dt.datetime) -> PatternsOut:
    run = runs.last_completed()
    kept = [job.from_json(each) for each in run.patterns] if run else []
    found = [each for each in kept if each.confidence >= min_confidence]
    note = "No learning run has looked at everybody’s feedback yet: POST /admin/feedback/run-learning."
    if run is not None:
        note = f"Of the last learning run, over {run.days} days, with a confidence of {run.min_confidence:g} or more."
    return PatternsOut(
        user_id=None,
        patterns_found=len(found),
        patterns=[pattern_out(each) for each in found],
        feedback_looked_at=run.feedback_read if run else 0,
        note=_sentences([note], run.note if run else ""),
        analyzed_at=(run.completed_at if run else None) or now,
    )


@router.post(
    "/analyze-user/{user_id}",
    response=answers(AnalysisOut, 404),
    operation_id="feedback_analyze_user",
    summary="Learn from one person’s feedback",
)
def analyze_user(
    request: HttpRequest,
    user_id: UUID,
    create_rules: bool = False,
    min_confidence: Confidence = runs.CONFIDENCE,
    days: DaysYear = runs.DAYS,
) -> AnalysisOut:
    """The patterns in a person's feedback, and with `create_rules=true` the rules that follow, written as their
    memories: each once, whoever asks and how often.

    Where a language model is set, it is asked about edits and comments (once: a few seconds at most); where it can't be
    heard, what counting finds is here all the same, and `note` says what was left out.
    """
    no_body(request)
    if not person.is_known(user_id):
        raise NotFound("Nobody has this id.")
    now = timezone.now()
    model = configured(attempts=1)
    found = person.analyse(user_id, days, min_confidence, now, model)
    written = person.write(user_id, found, now) if create_rules else rules.Written()
    hint = "" if create_rules else "Preview: use create_rules=true to write the rules as memories."
    return AnalysisOut(
        user_id=user_id,
        preview_mode=not create_rules,
        patterns_found=len(found.patterns),
        patterns=[pattern_out(each) for each in found.patterns],
        feedback_looked_at=found.looked_at,
        rules_created=len(written.created),
        rules_updated=len(written.updated),
        rules_kept=written.kept,
        rules_taken_back=written.dismissed,
        details=[WrittenRuleOut.model_validate(each) for each in (*written.created, *written.updated)],
        note=_sentences(found.notes, "" if model else person.NO_MODEL, hint),
    )


RUNS = {200: LearningRunOut, 202: LearningRunOut, 409: ErrorOut, 503: ErrorOut}


@router.post(
    "/run-learning", response=RUNS, operation_id="feedback_run_learning", summary="Learn from everybody’s feedback"
)
def run_learning(
    request: HttpRequest,
    days: DaysYear = runs.DAYS,
    min_confidence: Confidence = runs.CONFIDENCE,
    create_rules: bool = True,
) -> Status[LearningRunOut]:
    """Finds everybody's patterns and each person's (with 3 thumbs or more), writes the rules that follow as memories
    and answers that people liked as example documents. Running it twice adds nothing.

    A thousand thumbs and no language model to ask: done when the answer comes (200). More: handed to a worker (202);
    `status` is then `queued` or `running`, the counts are those so far, and `poll_url` says how it goes. 409 while a
    run is open. `create_rules=false` writes nothing and says what would be learnt.
    """
    return _run(request, days, min_confidence, create_rules, LearningRun.Kind.LEARNING)


@router.post(
    "/reprocess", response=RUNS, operation_id="feedback_reprocess", summary="Learn again from the last days’ feedback"
)
def reprocess(
    request: HttpRequest,
    days: Annotated[int, Field(ge=1, le=30, description="The last so many times 24 hours.", examples=[7])] = 7,
) -> Status[LearningRunOut]:
    """Learns from recent feedback that learning may have missed: as run-learning with a confidence of 0.7."""
    return _run(request, days, runs.CONFIDENCE, True, LearningRun.Kind.REPROCESSING)


def _run(
    request: HttpRequest, days: int, min_confidence: float, create_rules: bool, job_type: LearningRun.Kind
) -> Status[LearningRunOut]:
    no_body(request)
    try:
        run = runs.start(
            days=days,
            min_confidence=min_confidence,
            requested_by=admin_of(request).email,
            now=timezone.now(),
            create_rules=create_rules,
            job_type=job_type,
        )
    except runs.LearningRunningError as error:
        raise Conflict(f"{error} Follow it at {run_out(error.run).poll_url}, and ask again once it is over.") from None
    except runs.QueueAwayError as error:
        raise Unavailable(str(error)) from None
    return Status(202 if run.is_open else 200, run_out(run))


@router.get(
    "/learning-runs/{run_id}",
    response=answers(LearningRunOut, 404),
    operation_id="feedback_learning_run",
    url_name="learning_run",
    summary="How a learning run goes",
)
def learning_run(request: HttpRequest, run_id: UUID) -> LearningRunOut:
    """A run of run-learning or reprocess, with its counts so far; `completed_at` is null until it is over."""
    run = runs.find(run_id)
    if run is None:
        raise NotFound("No learning run has this id.")
    return run_out(run)


@router.get(
    "/learned-preferences",
    response=answers(LearnedPreferencesOut),
    operation_id="feedback_learned_preferences",
    summary="What was learnt from feedback",
)
@conditional
def learned_preferences(
    request: HttpRequest,
    user_id: UUID | None = None,
    scope: Literal["user", "global"] = "user",
    limit: Limit = 50,
    offset: Offset = 0,
    cursor: Cursor | None = None,
) -> LearnedPreferencesOut:
    """Memories that were written because of feedback, by this product or by the application, newest first.

    `scope=user`: of people; `scope=global`: of everybody, whose `user_id` is null. What the application's own writers
    left out of a memory's tags (`category`, `confidence`) is null.
    """
    page = rules.learned(
        scope,
        user_id=user_id,
        limit=limit,
        offset=offset,
        after=_after("learned-preferences", offset, cursor),
    )
    return LearnedPreferencesOut(
        total=page.total,
        limit=limit,
        offset=0 if cursor else offset,
        next_cursor=_next("learned-preferences", page.next),
        preferences=[LearnedPreferenceOut.of(each) for each in page.memories],
    )


@router.delete(
    "/learned-preferences/{memory_id}",
    response=answers(MessageOut, 404),
    operation_id="feedback_take_back_preference",
    summary="Take back what was learnt",
)
def take_back(request: HttpRequest, memory_id: UUID) -> MessageOut:
    """Deletes a learnt memory for good: no run writes that rule for that person again, unless feedback comes to say the
    opposite. Memories that were not learnt from feedback are not touched (404)."""
    if not rules.take_back(memory_id, admin_of(request).pk, timezone.now()):
        raise NotFound("Nothing that was learnt from feedback has this id.")
    return MessageOut(message="Taken back: the AI forgets it, and learning does not write it again.")


def _after(name: str, offset: int, cursor: str | None) -> pagination.Cursor | None:
    either(offset, cursor)
    found = read_cursor(name, cursor, dt.datetime, UUID)
    return pagination.Cursor(*found) if found else None


def _next(name: str, place: pagination.Cursor | None) -> str | None:
    return cursor_of(name, place.at, place.id) if place else None


def _sentences(notes: list[str], *more: str) -> str:
    return " ".join(each for each in (*notes, *more) if each)
