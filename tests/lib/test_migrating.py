"""What `migrate` would still do, asked by many at once."""

from __future__ import annotations

import contextlib

import pytest
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.recorder import MigrationRecorder

from sigmasight.lib.migrating import migration_state, only_its_own

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


def test_nothing_is_missing_after_migrating():
    assert [migration_state(alias).missing for alias in ("default", "metro")] == [(), ()]


def test_a_migration_not_applied_is_named():
    MigrationRecorder.Migration.objects.filter(app="metrics").delete()
    assert migration_state("default").missing[:1] == ("metrics.0001_initial",)


def test_a_database_is_asked_only_about_its_own_apps():
    MigrationRecorder.Migration.objects.using("metro").filter(app="ai_tuning").delete()
    assert {name.split(".")[0] for name in migration_state("metro").missing} == {"ai_tuning"}
    assert migration_state("default").missing == ()


def test_asking_changes_nothing_for_other_threads(monkeypatch):
    seen = []
    plain = MigrationGraph.leaf_nodes

    def watched(graph, app=None):
        seen.append(MigrationGraph.leaf_nodes is watched)
        return plain(graph, app)

    monkeypatch.setattr(MigrationGraph, "leaf_nodes", watched)
    migration_state("metro")
    assert seen
    assert all(seen)


def test_the_commands_narrowing_ends_with_it_even_when_it_fails():
    plain = MigrationGraph.leaf_nodes
    with only_its_own("metro"):
        assert MigrationGraph.leaf_nodes is not plain
    with contextlib.suppress(RuntimeError), only_its_own("metro"):
        raise RuntimeError
    assert MigrationGraph.leaf_nodes is plain
