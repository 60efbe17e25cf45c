"""Two at one annotation at the same moment: on real transactions, each of which is held until the other waits."""

from __future__ import annotations

import threading
import uuid
from itertools import pairwise

import pytest
from django.db import connections, transaction

from ai_tuning import annotations as judgements
from ai_tuning.annotations import ChangedMeanwhileError, Editor, NoSuchAnnotationError
from ai_tuning.models import Annotation, AnnotationChange
from tests.factories.ai_tuning import AnnotationFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"], transaction=True)


def at_once(count, work):
    """What came of `work(n)`, called for each n in a thread of its own, all let go at the same moment."""
    results, gate = {}, threading.Barrier(count)

    def run(n):
        gate.wait(10)
        try:
            results[n] = work(n)
        except Exception as error:
            results[n] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == count
    return [results[n] for n in range(count)]


def test_of_many_who_change_what_they_read_one_does_and_the_others_are_told():
    row = AnnotationFactory()
    read = row.updated_at
    results = at_once(
        8,
        lambda n: judgements.change(
            row.pk, {"content": f"By {n}"}, Editor(uuid.uuid4(), all_words=True), expected=read
        ),
    )
    done = [each for each in results if isinstance(each, Annotation)]
    told = [each for each in results if isinstance(each, ChangedMeanwhileError)]
    assert (len(done), len(told)) == (1, 7)
    row.refresh_from_db()
    assert row.content == done[0].content
    assert {each.current.content for each in told} == {row.content}
    assert AnnotationChange.objects.count() == 1


def test_changes_of_different_fields_are_all_kept_without_a_lock():
    row = AnnotationFactory()
    sent = [{"content": "New"}, {"severity": "minor"}, {"tags": ["a"]}, {"status": "reviewed"}]
    at_once(4, lambda n: judgements.change(row.pk, sent[n], Editor(uuid.uuid4(), all_words=True)))
    row.refresh_from_db()
    assert (row.content, row.severity, row.tags, row.status) == ("New", "minor", ["a"], "reviewed")
    # Each line of the history begins where the one before ended.
    lines = sorted(AnnotationChange.objects.all(), key=lambda line: line.after["updated_at"])
    assert len(lines) == 4
    for earlier, later in pairwise(lines):
        assert later.before == earlier.after


def test_of_a_change_and_a_deletion_at_once_nothing_is_left_half_done():
    row = AnnotationFactory()
    editor = Editor(uuid.uuid4(), all_words=True)
    work = [
        lambda: judgements.change(row.pk, {"content": "x"}, editor),
        lambda: judgements.delete(row.pk, editor),
        lambda: judgements.delete(row.pk, editor),
    ]
    results = at_once(3, lambda n: work[n]())
    assert not Annotation.objects.exists()
    assert sum(isinstance(each, NoSuchAnnotationError) for each in results) in (1, 2)
    assert [line.action for line in judgements.history(row.pk)][-1] == "deleted"
    assert AnnotationChange.objects.filter(action="deleted").count() == 1


def test_a_history_that_cannot_be_written_undoes_the_change(monkeypatch):
    row = AnnotationFactory()

    def fail(*args, **kwargs):
        raise RuntimeError("disk full")

    monkeypatch.setattr(judgements, "record", fail)
    for work in (
        lambda: judgements.change(row.pk, {"content": "x"}, Editor(row.admin_user_id)),
        lambda: judgements.delete(row.pk, Editor(row.admin_user_id)),
    ):
        with pytest.raises(RuntimeError):
            work()
    row.refresh_from_db()
    assert row.content != "x"
    assert transaction.get_autocommit("metro")
