"""Learning from feedback: read from both databases, written down once, by whoever and how often."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from activity.models import Conversation, Message
from ai_tuning.learning import examples, person, reading, rules
from ai_tuning.learning.patterns import find_patterns
from ai_tuning.learning.traits import LONGER, SHORTER
from ai_tuning.learning_models import Lesson
from ai_tuning.models import Document, Feedback, Memory
from tests.ai_tuning.test_learning_model import RULE, StandIn, model, server
from tests.conftest import TIME_ZERO
from tests.factories.ai_tuning import DocumentFactory, FeedbackFactory
from tests.factories.learning import BRIEF, LONG, shortened, voiced
from tests.pages import counted

__all__ = ["server"]

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

ANA, BEN = uuid.UUID(int=1), uuid.UUID(int=2)
NOW = TIME_ZERO
A_MONTH_AGO = NOW - dt.timedelta(days=30)
EARLIER = NOW - dt.timedelta(hours=1)


def contents(user_id=ANA):
    return sorted(Memory.objects.filter(user_id=user_id).values_list("content", flat=True))


def test_one_persons_voices_are_theirs_alone_the_newest_first():
    mine = voiced(ANA, 3, at=EARLIER, comment="too long")
    voiced(BEN, 2, at=EARLIER)
    voiced(ANA, 1, at=A_MONTH_AGO - dt.timedelta(seconds=1))
    found = reading.voices_of(ANA, A_MONTH_AGO, NOW)
    assert [voice.id for voice in found] == [each.pk for each in mine]
    assert {(voice.user_id, voice.text, voice.comment, voice.up) for voice in found} == {(ANA, LONG, "too long", False)}
    assert [voice.id for voice in reading.voices_of(ANA, A_MONTH_AGO, NOW, most=2)] == [each.pk for each in mine[:2]]
    assert reading.voices_of(uuid.uuid4(), A_MONTH_AGO, NOW) == []


def test_everybodys_voices_come_page_by_page_without_a_gap_or_a_repetition(monkeypatch):
    monkeypatch.setattr(reading, "PAGE", 3)
    given = [*voiced(ANA, 5, at=EARLIER), *voiced(BEN, 5, at=EARLIER)]  # two at each moment
    FeedbackFactory(created_at=EARLIER)  # of a message that is gone
    pages = list(reading.voices(A_MONTH_AGO, NOW))
    assert sorted(voice.id for page in pages for voice in page) == sorted(each.pk for each in given)
    moments = [voice.at for page in pages for voice in page]
    assert moments == sorted(moments, reverse=True)
    assert sum(len(page) for page in reading.voices(A_MONTH_AGO, NOW, most=4)) <= 4


def test_reading_costs_the_same_for_one_voice_and_for_fifty():
    voiced(ANA, 1, at=EARLIER)
    with counted() as one:
        reading.voices_of(ANA, A_MONTH_AGO, NOW)
    voiced(ANA, 50, at=EARLIER)
    with counted() as many:
        reading.voices_of(ANA, A_MONTH_AGO, NOW)
    assert len(one) == len(many) == 3


def test_of_several_thumbs_on_one_answer_the_newest_counts():
    (first,) = voiced(ANA, at=EARLIER)
    FeedbackFactory(message_id=first.message_id, rating="up", created_at=NOW - dt.timedelta(minutes=1))
    (seen,) = reading.observe(reading.voices_of(ANA, A_MONTH_AGO, NOW))
    assert seen.up


def test_a_huge_answer_is_looked_at_in_part():
    voiced(ANA, 3, text="word " * 400_000, edited_text="short " * 300_000, at=EARLIER)
    (voice, *_) = reading.voices_of(ANA, A_MONTH_AGO, NOW)
    assert len(voice.text) == len(voice.edited) == 20_000


def test_a_persons_patterns_become_their_memories():
    shortened(ANA, 9, EARLIER)
    analysis = person.analyse(ANA, 30, 0.7, NOW)
    written = person.write(ANA, analysis, NOW)
    memory = Memory.objects.get(content=SHORTER)
    assert (memory.scope, memory.user_id) == ("user", ANA)
    assert memory.tags == {
        "category": "communication_style",
        "source": "feedback_learning",
        "confidence": pytest.approx(0.85, abs=0.02),
        "pattern": "edit:shorten",
        "evidence_count": 9,
        "method": "wilson",
    }
    assert memory.pk in [each.memory_id for each in written.created]


def test_writing_twice_adds_nothing():
    shortened(ANA, 9, EARLIER)
    first = person.write(ANA, person.analyse(ANA, 30, 0.7, NOW), NOW)
    again = person.write(ANA, person.analyse(ANA, 30, 0.7, NOW), NOW)
    assert first.created
    assert (again.created, again.updated, again.kept) == ([], [], len(first.created))
    assert Memory.objects.count() == len(first.created)


def turned_round():
    """Ana's mind changes: what she did is gone, and now she makes answers longer."""
    Feedback.objects.all().delete()
    voiced(ANA, 9, at=EARLIER, text=BRIEF, edited_text=LONG)
    return person.write(ANA, person.analyse(ANA, 30, 0.7, NOW), NOW)


def length_rules():
    return [each for each in contents() if each in (SHORTER, LONGER)]


def test_a_rule_that_turns_round_replaces_the_one_before():
    shortened(ANA, 9, EARLIER)
    person.write(ANA, person.analyse(ANA, 30, 0.7, NOW), NOW)
    memory = Memory.objects.get(content=SHORTER)
    written = turned_round()
    memory.refresh_from_db()
    assert memory.content == LONGER
    assert memory.pk in [each.memory_id for each in written.updated]
    assert length_rules() == [LONGER]


def test_a_memory_that_somebody_changed_by_hand_is_left_alone():
    shortened(ANA, 9, EARLIER)
    person.write(ANA, person.analyse(ANA, 30, 0.7, NOW), NOW)
    Memory.objects.filter(content=SHORTER).update(content="Keep it under 80 words.")
    turned_round()
    assert "Keep it under 80 words." in contents()
    assert length_rules() == []


def test_what_was_taken_back_stays_away_until_feedback_says_the_opposite():
    shortened(ANA, 9, EARLIER)
    person.write(ANA, person.analyse(ANA, 30, 0.7, NOW), NOW)
    memory = Memory.objects.get(content=SHORTER)
    admin = uuid.uuid4()
    assert rules.take_back(memory.pk, admin, NOW)
    assert Lesson.objects.get(memory_id=memory.pk).dismissed_by == admin
    again = person.write(ANA, person.analyse(ANA, 30, 0.7, NOW), NOW)
    assert again.dismissed == 1
    assert length_rules() == []
    turned_round()
    assert length_rules() == [LONGER]


def test_a_memory_that_the_application_removed_is_not_written_anew():
    shortened(ANA, 9, EARLIER)
    person.write(ANA, person.analyse(ANA, 30, 0.7, NOW), NOW)
    Memory.objects.all().delete()
    assert person.write(ANA, person.analyse(ANA, 30, 0.7, NOW), NOW).created == []
    assert not Memory.objects.exists()


def test_only_what_was_learnt_can_be_taken_back():
    own = Memory.objects.create(user_id=ANA, scope="user", content="Holds Apple.", tags={"source": "auto_extraction"})
    assert not rules.take_back(own.pk, uuid.uuid4(), NOW)
    assert not rules.take_back(uuid.uuid4(), uuid.uuid4(), NOW)
    assert contents() == ["Holds Apple."]


def test_what_the_application_has_learnt_already_is_not_said_twice():
    theirs = Memory.objects.create(
        user_id=ANA, scope="user", content=SHORTER.upper(), tags={"source": "pattern_analysis"}
    )
    shortened(ANA, 9, EARLIER)
    written = person.write(ANA, person.analyse(ANA, 30, 0.7, NOW), NOW)
    assert SHORTER not in [each.rule for each in written.created]
    theirs.refresh_from_db()
    assert theirs.tags == {"source": "pattern_analysis"}


def test_a_rule_of_everybody_is_nobodys():
    shortened(ANA, 9, EARLIER)
    observed, looked_at = reading.observe_everybody(A_MONTH_AGO, NOW)
    rules.write_rules(None, find_patterns(observed, 0.7, of_everybody=True), NOW)
    memory = Memory.objects.get(content=SHORTER)
    assert (looked_at, memory.scope, memory.user_id) == (9, "global", None)


GOOD = "Your drawdown was 12 %, mostly from energy, and has recovered since."


def test_an_answer_that_was_liked_becomes_an_example_once():
    (liked,) = voiced(ANA, rating="up", text=GOOD, at=EARLIER)
    voices = reading.voices_of(ANA, A_MONTH_AGO, NOW)
    assert examples.store_examples(voices, NOW, write=False) == 1
    assert not Document.objects.exists()
    assert examples.store_examples(voices, NOW) == 1
    assert examples.store_examples(voices, NOW) == 0
    document = Document.objects.get()
    assert document.scope == "feedback:positive_example"
    assert document.title == "Positive Example: How is it going? (0)"
    assert document.content == f"User Query: How is it going? (0)\n\nWell-Received Response:\n{GOOD}"
    assert document.embedding is None
    assert document.metadata["message_id"] == str(liked.message_id)
    assert document.metadata["user_id"] == str(ANA)
    assert Lesson.objects.get().document_id == document.pk


def test_what_is_no_example_is_not_kept():
    voiced(ANA, rating="up", text="Yes.", at=EARLIER)
    voiced(ANA, rating="up", text="word " * 5_000, at=EARLIER)
    voiced(ANA, rating="up", text=GOOD, edited_text=BRIEF, at=EARLIER)
    (both,) = voiced(ANA, rating="up", text=GOOD, at=EARLIER)
    FeedbackFactory(message_id=both.message_id, rating="down", created_at=EARLIER)
    assert examples.store_examples(reading.voices_of(ANA, A_MONTH_AGO, NOW), NOW) == 0


def test_an_example_that_the_application_keeps_already_is_not_kept_again():
    (liked,) = voiced(ANA, rating="up", text=GOOD, at=EARLIER)
    DocumentFactory(scope=examples.SCOPE, metadata={"message_id": str(liked.message_id)})
    assert examples.store_examples(reading.voices_of(ANA, A_MONTH_AGO, NOW), NOW) == 0


def test_examples_cost_the_same_for_one_and_for_fifty():
    voiced(ANA, 1, rating="up", text=GOOD, at=EARLIER)
    voices = reading.voices_of(ANA, A_MONTH_AGO, NOW)
    with counted() as one:
        examples.store_examples(voices, NOW)
    voiced(BEN, 50, rating="up", text=GOOD, at=EARLIER)
    voices = reading.voices_of(BEN, A_MONTH_AGO, NOW)
    with counted() as many:
        assert examples.store_examples(voices, NOW) == 50
    assert len(one) == len(many)


def commented(user, server, *rules_):
    voiced(user, 3, at=EARLIER, comment="Put the figure first, please.")
    server.says(*rules_)


def test_a_language_model_adds_what_counting_can_not_find(server):
    commented(ANA, server, RULE)
    analysis = person.analyse(ANA, 30, 0.7, NOW, model(server))
    assert [each.content for each in analysis.patterns if each.source == "llm_extraction"] == [RULE["rule"]]
    person.write(ANA, analysis, NOW)
    assert Memory.objects.get(content=RULE["rule"]).tags["method"] == "language_model"


def test_the_same_feedback_is_shown_to_the_model_once(server):
    commented(ANA, server, RULE)
    person.write(ANA, person.analyse(ANA, 30, 0.7, NOW, model(server)), NOW)
    again = person.analyse(ANA, 30, 0.7, NOW, model(server))
    assert len(server.heard) == 1
    assert "nothing new" in " ".join(again.notes)


def test_new_feedback_is_shown_and_what_it_says_in_other_words_is_not_written_again(server):
    commented(ANA, server, RULE)
    person.write(ANA, person.analyse(ANA, 30, 0.7, NOW, model(server)), NOW)
    server.says({"rule": "Always give the figure first.", "confidence": 0.95})
    voiced(ANA, 1, at=EARLIER, comment="The figure first!")
    analysis = person.analyse(ANA, 30, 0.7, NOW, model(server))
    assert len(server.heard) == 2
    assert not [each for each in analysis.patterns if each.source == "llm_extraction"]


def test_a_model_that_fails_costs_its_own_part_alone(server):
    shortened(ANA, 9, EARLIER)
    server.replies = [(500, {}, {})]
    analysis = person.analyse(ANA, 30, 0.7, NOW, model(server))
    assert "edit:shorten" in [each.key for each in analysis.patterns]
    assert "500" in " ".join(analysis.notes)
    person.write(ANA, analysis, NOW)
    assert not Lesson.objects.filter(kind="reading").exists()


def test_gondola_is_read_where_messages_have_no_text():
    conversation = Conversation.objects.create(user_id=ANA)
    for _ in range(3):
        answer = Message.objects.create(conversation=conversation, role="assistant", content=None)
        FeedbackFactory(message_id=answer.pk, created_at=EARLIER, edited_text="x", comment="wrong")
    analysis = person.analyse(ANA, 30, 0.0, NOW)
    assert "comment:wrong" in [each.key for each in analysis.patterns]


def test_a_model_that_is_not_there_is_noted():
    gone = StandIn()
    gone.close()
    voiced(ANA, 3, at=EARLIER, comment="too long")
    analysis = person.analyse(ANA, 30, 0.0, NOW, model(gone))
    assert analysis.model_away
    assert "did not answer" in " ".join(analysis.notes)
