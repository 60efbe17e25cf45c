"""The real tables in each arrangement of the two databases, made by `manage.py migrate` in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, call_command
from psycopg import sql

ROOT = Path(__file__).resolve().parents[2]
# contract/schema.md, word for word.
GONDOLA = {
    "users",
    "portfolios",
    "agent_conversations",
    "agent_messages",
    "user_activity_events",
    "ai_request_metrics",
    "batch_run_history",
    "daily_metrics",
    "admin_users",
    "admin_sessions",
}
METRO = {"ai_feedback", "ai_memories", "ai_kb_documents", "ai_admin_annotations"}
WHOLE_LIFE = (
    ["migrate", "--check", "--verbosity=0"],
    ["migrate", "--verbosity=0"],
    ["migrate", "--check"],
    ["migrate", "--verbosity=1"],
    ["tables"],
    ["recorded"],
    ["expected"],
    ["use"],
)


@pytest.fixture
def fresh():
    """Call for the address of a new, empty database on the tests' server. It goes when the test ends."""
    address = urlsplit(os.environ["DATABASE_URL"])
    made = []

    def url_of(name):
        return urlunsplit(address._replace(path=address.path.rpartition("/")[0] + "/" + name))

    def make():
        name = f"arrangement_{uuid4().hex}"
        with psycopg.connect(**server(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        made.append(name)
        return url_of(name)

    yield make
    with psycopg.connect(**server(), autocommit=True) as connection:
        for name in made:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def server():
    """How to reach the tests' server, outside of the databases of the tests themselves."""
    from django.db import connections

    params = connections["default"].get_connection_params()
    return {key: params[key] for key in ("host", "port", "user", "password") if key in params} | {"dbname": "postgres"}


def run(gondola, metro, *steps):
    """What each step came to, in a process with DATABASE_URL and AI_DATABASE_URL set to these."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.sigmasight.arrangement", json.dumps(steps)],
        cwd=ROOT,
        env={
            **os.environ,
            "DATABASE_URL": gondola,
            "AI_DATABASE_URL": metro,
            "DJANGO_SETTINGS_MODULE": "sigmasight.settings",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def settled(results):
    """Asserts what a whole life must show in every arrangement, and returns what it found there."""
    before, migrated, after, again, found, recorded, expected, used = results
    assert before[0] == 1, "--check sees that there is something to do"
    assert migrated[0] == 0
    assert after[0] == 0, "--check sees that there is nothing left"
    assert "Applying" not in again[1], "the second time there is nothing to do"
    assert set(used) >= {"activity.Event", "metrics.AIRequest", "ai_tuning.Document", "admin_portal.AdminSession"}
    assert set(expected["gondola"]) >= GONDOLA
    assert set(expected["metro"]) >= METRO
    return found, recorded, expected


def test_two_databases_each_hold_their_own_tables_and_remember_no_others(fresh):
    found, recorded, expected = settled(run(fresh(), fresh(), *WHOLE_LIFE))
    assert found == {"default": expected["gondola"], "metro": expected["metro"]}
    assert recorded["metro"] == ["ai_tuning"]
    assert "ai_tuning" not in recorded["default"]
    assert set(recorded["default"]) >= {"activity", "metrics", "admin_portal"}


@pytest.mark.parametrize("metro_is", ["unset", "the same"])
def test_one_database_has_all_tables_once(fresh, metro_is):
    url = fresh()
    found, recorded, expected = settled(run(url, "" if metro_is == "unset" else url, *WHOLE_LIFE))
    assert found["default"] == sorted({*expected["gondola"], *expected["metro"]})
    assert found["metro"] == found["default"]
    assert set(recorded["default"]) >= {"activity", "metrics", "admin_portal", "ai_tuning"}


def test_going_from_two_databases_to_one_makes_the_tables_that_are_missing(fresh):
    gondola, metro = fresh(), fresh()
    run(gondola, metro, ["migrate", "--verbosity=0"])
    found, _, expected = settled(run(gondola, gondola, *WHOLE_LIFE))
    assert found["default"] == sorted({*expected["gondola"], *expected["metro"]})


@pytest.mark.slow
def test_going_from_one_database_to_two_makes_the_tables_of_metro_there(fresh):
    gondola, metro = fresh(), fresh()
    run(gondola, "", ["migrate", "--verbosity=0"])
    found, recorded, expected = settled(run(gondola, metro, *WHOLE_LIFE))
    assert found["metro"] == expected["metro"]
    assert recorded["metro"] == ["ai_tuning"]


def test_one_database_at_a_time(fresh):
    whole, metro, found, after, both = run(
        fresh(),
        fresh(),
        ["migrate", "--database=metro", "--check", "--verbosity=0"],
        ["migrate", "--database=metro", "--verbosity=0"],
        ["tables"],
        ["migrate", "--database=metro", "--check"],
        ["migrate", "--check"],
    )
    assert (whole[0], metro[0], after[0], both[0]) == (1, 0, 0, 1)
    assert found["default"] == []
    assert set(found["metro"]) >= METRO


def test_a_migration_named_on_the_command_line_runs_and_is_recorded_only_where_it_belongs(fresh):
    *_, found, recorded = run(
        fresh(),
        fresh(),
        ["migrate", "metrics", "0001", "--verbosity=0"],
        ["migrate", "ai_tuning", "0001", "--verbosity=0"],
        ["tables"],
        ["recorded"],
    )
    assert recorded == {"default": ["activity", "metrics"], "metro": ["ai_tuning"]}
    assert "users" in found["default"]
    assert not set(found["metro"]) & GONDOLA


def test_every_migration_can_be_taken_back_and_applied_again(fresh):
    *_, emptied, recorded, again, found, expected = run(
        fresh(),
        fresh(),
        ["migrate", "--verbosity=0"],
        *(["migrate", app, "zero", "--verbosity=0"] for app in ("activity", "ai_tuning", "admin_portal")),
        ["tables"],
        ["recorded"],
        ["migrate", "--verbosity=0"],
        ["tables"],
        ["expected"],
    )
    assert not set(emptied["default"]) & {*GONDOLA, "quarantined_rows"}
    assert emptied["metro"] == ["django_migrations"]
    assert not {"activity", "metrics", "admin_portal", "ai_tuning"} & {*recorded["default"], *recorded["metro"]}
    assert again[0] == 0
    assert found == {"default": expected["gondola"], "metro": expected["metro"]}


def test_an_app_is_not_migrated_where_it_does_not_live():
    with pytest.raises(CommandError, match="activity does not live in metro"):
        call_command("migrate", "activity", database="metro", verbosity=0)


@pytest.mark.django_db(databases=["default", "metro"])
def test_the_models_have_no_change_that_lacks_a_migration(capsys):
    call_command("makemigrations", check=True, dry_run=True, verbosity=1)
    assert capsys.readouterr().out == "No changes detected\n"
