"""Two who learn at the same time, from the same feedback, write each thing once."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connections

from ai_tuning.learning import examples, person, reading, rules, runs
from ai_tuning.learning_models import LearningRun, Lesson
from ai_tuning.models import Document, Memory
from metrics import jobs
from tests.conftest import TIME_ZERO
from tests.factories.learning import shortened, voiced

pytestmark = pytest.mark.django_db(databases=["default", "metro"], transaction=True)

ANA = uuid.UUID(int=1)
NOW = TIME_ZERO
EARLIER, START = NOW - dt.timedelta(hours=1), NOW - dt.timedelta(days=30)


def at_once(count: int, do: Callable[[], Any]) -> list[Any]:
    """What `do` gives, or raises, in so many threads that set out together."""
    together = threading.Barrier(count, timeout=30)
    given: list[Any] = []

    def work() -> None:
        try:
            together.wait()
            given.append(do())
        except Exception as error:
            given.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return given


def test_two_who_write_a_persons_rules_write_each_once():
    shortened(ANA, 9, EARLIER)
    analysis = person.analyse(ANA, 30, 0.7, NOW)
    expected = len(rules.rules_of(analysis.patterns))
    written = at_once(4, lambda: person.write(ANA, analysis, NOW))
    assert sum(len(each.created) for each in written) == expected
    assert Memory.objects.count() == Lesson.objects.count() == expected


def test_two_who_keep_examples_keep_each_once():
    voiced(ANA, 30, rating="up", text="Your drawdown was 12 %, mostly from energy stocks.", at=EARLIER)
    voices = reading.voices_of(ANA, START, NOW)
    assert sum(at_once(3, lambda: examples.store_examples(voices, NOW))) == 30
    assert Document.objects.count() == 30
    assert sorted(Lesson.objects.values_list("document_id", flat=True)) == sorted(
        Document.objects.values_list("pk", flat=True)
    )


def test_of_two_who_start_a_run_one_is_told_of_the_other():
    shortened(ANA, 9, EARLIER)
    given = at_once(2, lambda: runs.open_run(days=30, min_confidence=0.7, requested_by="ines@example.com", now=NOW))
    assert sorted(type(each).__name__ for each in given) == ["LearningRun", "LearningRunningError"]
    assert LearningRun.objects.count() == 1


def test_a_rule_that_is_taken_back_while_it_is_written_is_gone_or_kept_whole():
    shortened(ANA, 9, EARLIER)
    analysis = person.analyse(ANA, 30, 0.7, NOW)
    person.write(ANA, analysis, NOW)
    memory = Memory.objects.order_by("created_at").first()
    assert memory is not None
    turns = iter((lambda: rules.take_back(memory.pk, uuid.uuid4(), NOW), lambda: person.write(ANA, analysis, NOW)))
    given = at_once(2, lambda: next(turns)())
    assert not [each for each in given if isinstance(each, Exception)]
    assert not Memory.objects.filter(pk=memory.pk).exists()


def test_a_run_that_another_process_works_on_is_left_to_it():
    params = connections["default"].get_connection_params()
    keys = ("host", "port", "user", "password", "dbname")
    run = runs.open_run(days=30, min_confidence=0.7, requested_by="x", now=NOW)
    LearningRun.objects.filter(pk=run.pk).update(status="running")
    with psycopg.connect(**{key: params[key] for key in keys if params.get(key)}, autocommit=True) as elsewhere:
        elsewhere.execute("SELECT pg_advisory_lock(hashtext('job:learning'))")
        with pytest.raises(jobs.JobRunningError):
            runs.job.execute(run.pk)
        with pytest.raises(runs.LearningRunningError):
            runs.start(days=30, min_confidence=0.7, requested_by="x", now=NOW + dt.timedelta(hours=5))
    run.refresh_from_db()
    assert run.status == "running"
