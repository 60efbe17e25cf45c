"""A run of feedback learning at work: everybody's patterns, each person's, and the answers worth keeping as examples.

Its row in `ai_learning_runs` is written as it goes; its phases, with their seconds, stand in `batch_run_history` like
those of every job of this product. Whatever it writes it writes once (`rules`, `examples`), so it may be killed at any
point and run again.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings

from ai_tuning.learning import asking, examples, person, reading, rules
from ai_tuning.learning.model import LanguageModel, configured
from ai_tuning.learning.patterns import FEWEST, Pattern, find_patterns
from ai_tuning.learning.reading import Observation
from ai_tuning.learning_models import LearningRun
from metrics import jobs

log = logging.getLogger(__name__)

LOCK = "learning"
PHASES = ("read_feedback", "patterns_of_everybody", "patterns_of_people", "positive_examples")
# Of the people for whom rules were written, and of what went wrong, so many are named in the answer.
NAMED = 200
# A run keeps so many new examples at most: the newest thumbs first, the rest at the next run.
EXAMPLES = 1_000
SECONDS_BETWEEN_WORDS = 1.0


@dataclass(slots=True)
class _Work:
    """A run at work: what it was asked, and what it has so far."""

    run: LearningRun
    now: dt.datetime
    observed: list[Observation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _said: float = 0.0

    @property
    def start(self) -> dt.datetime:
        return self.now - dt.timedelta(days=self.run.days)

    def say(self, *, at_once: bool = True) -> None:
        """Writes the row as it stands; at most once a second, unless `at_once`."""
        if at_once or time.monotonic() - self._said >= SECONDS_BETWEEN_WORDS:
            self._said = time.monotonic()
            self.run.note = " ".join(self.notes)
            # Its state is changed by `execute` alone.
            self.run.save(
                update_fields=[
                    "phase", "feedback_read", "users_total", "users_processed", "patterns_found", "rules_created",
                    "rules_updated", "examples_created", "patterns", "user_results", "errors", "note",
                ]
            )  # fmt: skip

    def problem(self, error: Exception, user_id: UUID | None = None) -> None:
        log.warning("learning run %s: %s", self.run.pk, error, exc_info=error)
        if len(self.run.errors) < NAMED:
            whose = {"user_id": str(user_id)} if user_id else {}
            self.run.errors.append({**whose, "error": f"{type(error).__name__}: {error}"})


def execute(run_id: UUID) -> None:
    """Does a run that waits for it: from then on its row says how it goes, and at last how it ended.

    One that is over, or is being worked on, is left alone. Raises JobRunningError where another process works on any.
    """
    run = LearningRun.objects.open().filter(pk=run_id).first()
    if run is None:
        return
    with jobs.running(LOCK, triggered_by=run.requested_by, steps=len(PHASES), now=run.started_at) as row:
        # Since it was looked at, somebody may have ended it: what is over is not opened again.
        if not LearningRun.objects.open().filter(pk=run.pk).update(status=LearningRun.Status.RUNNING):
            row.log(f"{run.pk} is over already: nothing was done")
            return
        run.status, run.batch_run_id = LearningRun.Status.RUNNING, row.id
        # A worker that takes over from one that was killed begins anew.
        run.feedback_read = run.users_processed = run.patterns_found = run.rules_created = 0
        run.rules_updated = run.examples_created = 0
        run.user_results, run.errors, run.patterns = [], [], []
        run.save()
        work = _Work(run, run.started_at)
        try:
            _phases(work, row)
        except BaseException as stop:
            _close(work, LearningRun.Status.FAILED, f"The run was stopped: {type(stop).__name__} {stop}".strip())
            raise
        if not row.problems and not run.errors:
            _close(work, LearningRun.Status.COMPLETED)
        else:
            status = LearningRun.Status.PARTIAL if row.run.completed_jobs else LearningRun.Status.FAILED
            _close(work, status, "; ".join(detail for _, detail in row.problems))


def _phases(work: _Work, row: jobs.Job) -> None:
    with _phase(work, row, "read_feedback"):
        _read(work)
    with _phase(work, row, "patterns_of_everybody"):
        _everybody(work)
    with _phase(work, row, "patterns_of_people"):
        _people(work, row)
    with _phase(work, row, "positive_examples"):
        _examples(work)


def _phase(work: _Work, row: jobs.Job, name: str) -> Any:
    work.run.phase = name
    work.say()
    return row.step(name)


def _close(work: _Work, status: str, error: str = "") -> None:
    work.run.phase = ""
    work.say()
    work.run.status, work.run.is_open, work.run.error = status, None, error
    work.run.completed_at = max(dt.datetime.now(dt.UTC), work.run.started_at)
    work.run.save(update_fields=["status", "is_open", "error", "completed_at"])


def _read(work: _Work) -> None:
    def told(read: int) -> None:
        work.run.feedback_read = read
        work.say(at_once=False)

    work.observed, looked_at = reading.observe_everybody(work.start, work.now, told)
    work.run.feedback_read = looked_at
    if looked_at >= reading.OF_EVERYBODY:
        work.notes.append(f"Only the {reading.OF_EVERYBODY:,} newest thumbs were looked at.")


def _everybody(work: _Work) -> None:
    found = find_patterns(work.observed, work.run.min_confidence, of_everybody=True)
    work.run.patterns = [as_json(pattern) for pattern in found]
    work.run.patterns_found += len(found)
    if work.run.create_rules:
        _count(work, None, rules.write_rules(None, found, work.now), len(found))


def _people(work: _Work, row: jobs.Job) -> None:
    of: dict[UUID, list[Observation]] = {}
    for each in work.observed:
        of.setdefault(each.user_id, []).append(each)
    waiting = {user: observed for user, observed in of.items() if len(observed) >= FEWEST}
    work.run.users_total = len(waiting)
    model, left = configured(), settings.LLM_QUESTIONS_PER_RUN
    if model is None:
        work.notes.append(person.NO_MODEL)
    unheard = 0
    for user, observed in waiting.items():
        tells = model is not None and _tells(observed)
        asked = model if tells and left > 0 else None
        unheard += tells and asked is None
        try:
            analysis = _analyse(work, user, observed, asked)
            left -= asked is not None
            if analysis.model_away and model is not None:
                # Whoever can't be reached for one is not asked about the others: each would wait as long.
                work.notes += analysis.notes[-1:]
                row.problem("LanguageModel", analysis.notes[-1])
                model = None
            work.run.patterns_found += len(analysis.patterns)
            if work.run.create_rules:
                _count(work, user, person.write(user, analysis, work.now), len(analysis.patterns))
        except Exception as error:
            work.problem(error, user)
        work.run.users_processed += 1
        work.say(at_once=False)
    if unheard:
        work.notes.append(f"The language model was not asked about {unheard:,} people (LLM_QUESTIONS_PER_RUN).")


def _tells(observed: Iterable[Observation]) -> bool:
    """Whether somebody said more than thumbs can: enough edits or comments for the language model."""
    telling = sum(not each.up and (each.edit is not None or each.complaints is not None) for each in observed)
    return telling >= asking.FEWEST


def _analyse(work: _Work, user: UUID, observed: list[Observation], model: LanguageModel | None) -> person.Analysis:
    if model is None:
        return person.analyse_voices(user, [], observed[: reading.OF_ONE_PERSON], work.run.min_confidence)
    return person.analyse(user, work.run.days, work.run.min_confidence, work.now, model)


def _count(work: _Work, user: UUID | None, written: rules.Written, found: int) -> None:
    work.run.rules_created += len(written.created)
    work.run.rules_updated += len(written.updated)
    if (written.created or written.updated) and len(work.run.user_results) < NAMED:
        work.run.user_results.append(
            {
                "user_id": str(user) if user else None,
                "patterns_found": found,
                "rules_created": len(written.created),
                "rules_updated": len(written.updated),
                "details": [
                    {"rule": each.rule, "confidence": each.confidence, "memory_id": str(each.memory_id)}
                    for each in (*written.created, *written.updated)
                ],
            }
        )


def _examples(work: _Work) -> None:
    for page in reading.voices(work.start, work.now, only_liked=True):
        room = EXAMPLES - work.run.examples_created
        if room <= 0:
            work.notes.append(f"{EXAMPLES:,} examples were kept; the next run keeps more.")
            return
        work.run.examples_created += examples.store_examples(page, work.now, write=work.run.create_rules, most=room)
        work.say(at_once=False)


def as_json(pattern: Pattern) -> dict[str, Any]:
    """A pattern as it is kept in a run's row."""
    found = asdict(pattern)
    found["samples"] = [str(sample) for sample in pattern.samples]
    return found


def from_json(kept: dict[str, Any]) -> Pattern:
    """A pattern as it was kept."""
    return Pattern(**{**kept, "samples": tuple(UUID(sample) for sample in kept["samples"])})
