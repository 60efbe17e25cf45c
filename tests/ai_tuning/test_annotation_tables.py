"""The raw tables of what is kept beside annotations: to look at, never to change."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from ai_tuning import annotations as judgements
from ai_tuning import exporting
from ai_tuning.annotations import Editor
from ai_tuning.models import AnnotationChange, AnnotationEvidence, AnnotationExport
from tests.factories.activity import AnswerFactory

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

TABLES = [AnnotationChange, AnnotationEvidence, AnnotationExport]


@pytest.fixture
def rows(super_admin):
    judgement = {"annotation_type": "flag", "content": "No."}
    judgements.create(AnswerFactory().pk, judgement, Editor(super_admin.pk))
    list(exporting.begin(exporting.Wanted(timezone.now() - dt.timedelta(1), timezone.now()), super_admin.pk, "json"))


@pytest.mark.parametrize("model", TABLES)
def test_they_are_shown_and_nobody_changes_them(as_super_admin, rows, model):
    row = model.objects.get()
    table = f"/admin/db/ai_tuning/{model._meta.model_name}"
    assert str(row.created_at.year) in as_super_admin.get(f"{table}/").content.decode()
    page = as_super_admin.get(f"{table}/{row.pk}/change/")
    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
    assert as_super_admin.post(f"{table}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert as_super_admin.get(f"{table}/add/").status_code == 403


def test_one_annotation_has_one_evidence(rows):
    row = AnnotationEvidence.objects.get()
    row.pk = uuid.uuid4()
    with pytest.raises(IntegrityError), transaction.atomic("metro"):
        row.save(force_insert=True)


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("created", {}, {}),
        ("deleted", {}, {}),
        ("painted", {}, {}),
    ],
)
def test_a_line_of_the_history_has_the_sides_that_its_action_says(action, before, after):
    with pytest.raises(IntegrityError), transaction.atomic("metro"):
        AnnotationChange.objects.create(
            annotation_id=uuid.uuid4(), message_id=uuid.uuid4(), action=action, before=before, after=after
        )
