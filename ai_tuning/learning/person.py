"""What one person's feedback teaches, found and, where wanted, written down."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from activity.models import Conversation, User
from ai_tuning.learning import asking
from ai_tuning.learning.model import LanguageModel, ModelAwayError, ModelError
from ai_tuning.learning.patterns import FEWEST, Pattern, find_patterns
from ai_tuning.learning.reading import OF_ONE_PERSON, Observation, Voice, observe, voices_of
from ai_tuning.learning.rules import Written, write_rules
from ai_tuning.models import Memory

NO_MODEL = (
    "Found by counting alone: no language model is set (LLM_BASE_URL, LLM_MODEL), so what edits and comments "
    "mean beyond length, form and wording was left out."
)
NOT_ASKED = "Found by counting alone: the language model is asked by analyze-user and by a learning run."


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a person's feedback shows: `looked_at` thumbs, the newest first. `notes`: what was left out, and why."""

    patterns: list[Pattern]
    looked_at: int
    notes: list[str] = field(default_factory=list)
    model_away: bool = False
    # What the language model was shown, to be noted once its rules are written.
    shown: tuple[Voice, ...] = ()


def analyse(
    user_id: UUID, days: int, min_confidence: float, now: dt.datetime, model: LanguageModel | None = None
) -> Analysis:
    """The patterns in one person's feedback of the last `days` times 24 hours, at most OF_ONE_PERSON thumbs.

    Counting needs no model; a model that can't be heard costs its own part alone, and the notes say so.
    """
    given = voices_of(user_id, now - dt.timedelta(days=days), now)
    return analyse_voices(user_id, given, observe(given), min_confidence, model)


def analyse_voices(
    user_id: UUID,
    given: Sequence[Voice],
    observed: Sequence[Observation],
    min_confidence: float,
    model: LanguageModel | None = None,
) -> Analysis:
    patterns = find_patterns(observed, min_confidence)
    notes = []
    if len(observed) < FEWEST:
        notes.append(f"{len(observed)} rated answers: fewer than {FEWEST} say nothing.")
    if len(given) == OF_ONE_PERSON:
        notes.append(f"Only the {OF_ONE_PERSON} newest thumbs were looked at.")
    if model is None:
        return Analysis(patterns, len(observed), notes)
    shown = asking.telling(given)
    if len(shown) < asking.FEWEST:
        notes.append(f"The language model was not asked: fewer than {asking.FEWEST} edits or comments.")
        return Analysis(patterns, len(observed), notes)
    if asking.was_read(user_id, shown):
        notes.append("The language model was not asked: there is nothing new since it was.")
        return Analysis(patterns, len(observed), notes)
    try:
        said = asking.patterns_from_model(model, shown, min_confidence)
    except ModelError as error:
        notes.append(f"{error} What counting finds is here; the rest was left out.")
        return Analysis(patterns, len(observed), notes, isinstance(error, ModelAwayError))
    known = list(Memory.objects.learned().of_user(user_id).newest_first().values_list("content", flat=True)[:100])
    known += [pattern.rule for pattern in patterns if pattern.rule]
    fresh = [each for each in said if not any(asking.same_words(each.content, other) for other in known)]
    return Analysis([*patterns, *fresh], len(observed), notes, shown=tuple(shown))


def write(user_id: UUID, analysis: Analysis, now: dt.datetime) -> Written:
    """Writes the rules of an analysis as the person's memories, each once (`rules.write_rules`)."""
    written = write_rules(user_id, analysis.patterns, now)
    if analysis.shown:
        asking.note_reading(user_id, analysis.shown)
    return written


def is_known(user_id: UUID) -> bool:
    """Whether there is such a person: an account, or conversations of one that is gone."""
    return User.objects.filter(pk=user_id).exists() or Conversation.objects.of_users([user_id]).exists()
