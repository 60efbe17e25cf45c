"""One app, one database."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connections, router

from activity.models import Message, User
from ai_tuning.models import Annotation, Feedback
from metrics.models import AIRequest

METRO = {"ai_feedback", "ai_memories", "ai_kb_documents", "ai_admin_annotations"}


@pytest.mark.parametrize("model", apps.get_models(include_auto_created=True), ids=lambda model: model._meta.label)
def test_every_model_is_read_and_written_where_its_app_lives(model):
    home = "metro" if model._meta.app_label == "ai_tuning" else "default"
    assert router.db_for_read(model) == router.db_for_write(model) == home


def test_all_tables_of_the_contracts_second_database_are_in_metro():
    tables = {model._meta.db_table for model in apps.get_app_config("ai_tuning").get_models()}
    assert tables >= METRO


def test_rows_of_two_databases_are_not_related():
    assert router.allow_relation(User(), Message())
    assert router.allow_relation(Feedback(), Annotation())
    assert not router.allow_relation(Message(), Feedback())
    assert not router.allow_relation(Feedback(), Message())


def test_no_model_has_a_foreign_key_into_the_other_database():
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.get_fields():
            if field.is_relation and not field.auto_created and field.related_model:
                assert router.db_for_read(model) == router.db_for_read(field.related_model), field


@pytest.mark.parametrize(
    ("one_database", "alias", "app", "allowed"),
    [
        (False, "default", "activity", True),
        (False, "default", "auth", True),
        (False, "default", "ai_tuning", False),
        (False, "metro", "ai_tuning", True),
        (False, "metro", "activity", False),
        (False, "metro", "auth", False),
        (True, "default", "activity", True),
        (True, "default", "ai_tuning", True),
        (True, "metro", "ai_tuning", False),
        (True, "metro", "activity", False),
    ],
)
def test_each_table_is_made_once(settings, one_database, alias, app, allowed):
    settings.METRO_IS_GONDOLA = one_database
    assert router.allow_migrate(alias, app) is allowed


def test_where_both_are_one_database_queries_keep_their_names(settings):
    settings.METRO_IS_GONDOLA = True
    assert router.db_for_read(Feedback) == "metro"
    assert router.db_for_write(AIRequest) == "default"


@pytest.mark.django_db(databases=["default", "metro"])
def test_the_tests_run_on_two_databases():
    names = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    assert len(set(names.values())) == 2
    for alias, model in (("default", User), ("metro", Feedback)):
        found = set(connections[alias].introspection.table_names())
        assert model._meta.db_table in found
        assert (found >= METRO) == (alias == "metro")
