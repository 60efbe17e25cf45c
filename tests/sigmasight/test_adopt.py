"""`manage.py adopt`: databases of the application's and the plan's making come under management, whole."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.urls import reverse

from admin_portal.models import AdminUser
from ai_tuning.models import Annotation
from metrics.models import DailyMetric
from sigmasight.adoption.adopting import carry_out, prepare
from sigmasight.adoption.running import Runner
from sigmasight.lib.migrating import migration_state
from sigmasight.lib.partitions import partitions
from tests.sigmasight.adopted import EVENT, RAW, adopt, nothing_left, now, opened, snapshot
from tests.sigmasight.original import PASSWORD
from tests.sigmasight.test_contract_sql import COLUMNS, LEAST, PARENTS

ROWS = {table: f"SELECT id::text FROM {table} ORDER BY id" for table in COLUMNS}
UNTOUCHED = ("users", "portfolios", "agent_conversations", "agent_messages", "admin_users", "admin_sessions", *RAW)


@pytest.fixture
def house(django_db_blocker):
    with opened(django_db_blocker) as house:
        yield house


@pytest.fixture(scope="module")
def adopted(django_db_blocker):
    """A house that was the original's and has been adopted, with what was known before: rows, files, words said."""
    with opened(django_db_blocker) as house:
        house.original()
        house.rows = {table: house.run(ROWS[table]) for table in UNTOUCHED}
        house.files = [house.run(f"SELECT pg_relation_filenode('{table}')") for table in RAW]
        house.said = adopt()
        yield house


# --- The whole of it ---


def test_a_dry_run_says_each_statement_and_what_it_locks_and_changes_nothing(house):
    house.original()
    before = {alias: snapshot(house, alias) for alias in ("default", "metro")}
    said = adopt("--dry-run")
    for alias in before:
        assert snapshot(house, alias) ^ before[alias] == set()
    assert "10 tables with 2,211 rows are there" in said
    assert "4 tables with 4 rows are there" in said
    assert (
        'ALTER TABLE "public"."user_activity_events" ATTACH PARTITION "public"."user_activity_events_adopted"' in said
    )
    assert "CREATE INDEX CONCURRENTLY" in said
    assert "readers and writers go on" in said
    assert said.endswith("Nothing was changed.\n")


def test_no_row_is_lost_and_none_copied(adopted):
    assert {table: adopted.run(ROWS[table]) for table in UNTOUCHED} == adopted.rows
    assert re.search(r"user_activity_events +2,000 rows before +2,000 after", adopted.said)
    # The very files of the old tables are partitions now.
    assert [adopted.run(f"SELECT pg_relation_filenode('{table}_adopted')") for table in RAW] == adopted.files


def test_everything_the_migrations_make_is_there_and_nothing_of_adoptions_own(adopted):
    assert adopted.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'sigmasight_adoption'") == [(0,)]
    assert adopted.run("SELECT count(*) FROM pg_constraint WHERE conname LIKE 'adopt\\_%'") == [(0,)]
    for alias in ("default", "metro"):
        assert migration_state(alias).missing == ()
        nothing_left(alias)


def test_every_index_of_the_new_tables_found_its_part_ready(adopted):
    # Else ATTACH would have built it under its lock.
    assert not adopted.run(
        """
        SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
          JOIN pg_index i ON i.indexrelid = child.oid JOIN pg_class t ON t.oid = i.indrelid
         WHERE t.relname LIKE '%\\_adopted' AND child.relname NOT LIKE '%\\_adopted%'
        """
    )


@pytest.mark.parametrize("table", RAW)
def test_time_is_tiled_completely_with_days_ahead(adopted, table):
    found = partitions(table)
    assert all(early.high == late.low for early, late in pairwise(found))
    assert len([part for part in found if not part.is_gap and part.low > now()]) >= 5


def test_the_second_time_there_is_nothing_to_do(adopted):
    before = {alias: snapshot(adopted, alias) for alias in ("default", "metro")}
    assert adopt().count("is under management already, nothing to do.") == 2
    for alias in before:
        assert snapshot(adopted, alias) ^ before[alias] == set()


def test_a_database_that_migrate_made_is_left_alone(house):
    call_command("migrate", verbosity=0)
    assert adopt().count("is under management already") == 2


def test_an_empty_database_is_for_migrate(house):
    assert adopt().count("nothing to adopt, it has none of the tables: run `manage.py migrate`") == 2
    house.run("CREATE TABLE positions (id uuid)")
    assert "nothing to adopt" in adopt("--dry-run")
    assert house.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'sigmasight_adoption'") == [(0,)]


def test_one_database_under_both_names_is_adopted_once(django_db_blocker, settings):
    settings.METRO_IS_GONDOLA = True
    with opened(django_db_blocker, one=True) as house:
        house.original()
        assert adopt().count("is under management.") == 1
        assert migration_state("default").missing == ()
        nothing_left("default")
        with pytest.raises(CommandError, match="the same database as default"):
            adopt("--database", "metro")


def test_one_database_at_a_time(house):
    house.original()
    adopt("--database", "metro")
    assert migration_state("metro").missing == ()
    assert migration_state("default").missing != ()
    assert house.run("SELECT to_regclass('django_migrations')") == [(None,)]


def test_tables_that_are_missing_altogether_are_made(house):
    house.original()
    house.run("DROP TABLE ai_request_metrics, daily_metrics, admin_sessions")
    house.run("DROP TABLE ai_admin_annotations; DROP TABLE ai_kb_documents; DROP EXTENSION vector", "metro")
    adopt()
    for alias in ("default", "metro"):
        nothing_left(alias)
    assert house.run("SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'", "metro") == [
        ("public",)
    ]


# --- What it is for ---


def test_the_applications_inserts_go_on_unchanged(adopted):
    for table, columns in COLUMNS.items():
        alias = "metro" if table.startswith("ai_") and table != "ai_request_metrics" else "default"
        with adopted.connect(alias) as connection:
            connection.execute("SET session_replication_role = replica")  # foreign keys are not what this is about
            if table in PARENTS:
                connection.execute("SET session_replication_role = origin")
                connection.execute(PARENTS[table])
            found = connection.execute(f"{LEAST[table]} RETURNING {', '.join(columns)}").fetchone()
            assert found is not None
            connection.rollback()
    adopted.run(EVENT.format("x", "now() + interval '5 days'"))
    adopted.run(EVENT.format("x", "'2099-01-01'"))
    adopted.run(EVENT.format("x", "'1999-01-01'"))
    assert adopted.run("SELECT count(*) FROM user_activity_events WHERE event_type = 'x'") == [(1,)]
    assert adopted.run(
        "SELECT source_table, count(*) FROM quarantined_rows WHERE row_data->>'event_type' = 'x' GROUP BY 1"
    ) == [("user_activity_events", 2)]


def test_an_admin_of_the_old_backend_signs_in_and_every_page_answers(adopted, client):
    answer = client.post(reverse("login"), {"username": "ines@EXAMPLE.com", "password": PASSWORD})
    assert answer.status_code == 302
    assert AdminUser.objects.get().password.startswith("argon2")
    pages = ["/admin", "/admin/ai", "/admin/ai/conversations", "/admin/account", "/admin/db/", "/readyz?exclude=redis"]
    index = client.get("/admin/db/").content.decode()
    pages += sorted(set(re.findall(r'href="(/admin/db/\w+/\w+/)"', index)))
    assert len(pages) > 15
    for page in pages:
        assert client.get(page).status_code == 200, page
    assert "What is my beta?" in client.get("/admin/ai/conversations").content.decode()
    assert (
        "It is 1.2."
        in client.get(
            f"/admin/ai/conversations/{adopted.run('SELECT id FROM agent_conversations')[0][0]}"
        ).content.decode()
    )


def test_old_daily_figures_stay_and_what_was_twice_is_set_aside_whole(adopted):
    assert "daily_metrics: 2 rows" in adopted.said
    assert "all but the latest go into quarantined_rows" in adopted.said
    found = DailyMetric.objects.order_by("metric_type").values_list("metric_type", "metric_value", "dimensions")
    assert list(found) == [("ai_requests.model_breakdown", 42, {"key": "gpt-4"}), ("ai_requests.total", 42, {})]
    aside = "SELECT row_data->>'metric_value', row_data->'dimensions' FROM quarantined_rows"
    assert adopted.run(f"{aside} WHERE source_table = 'daily_metrics'") == [("41.0000", None)]


def test_nulls_that_may_not_be_become_what_the_contract_says_and_a_time_the_rows_own(adopted):
    ((created, started, phases),) = adopted.run("SELECT created_at, started_at, phase_durations FROM batch_run_history")
    assert created == started
    assert phases is None, "the contract allows it"
    annotation = Annotation.objects.get()
    assert (annotation.status, annotation.tags) == ("pending", None)
    assert annotation.created_at == annotation.updated_at


def test_rows_that_were_there_are_known_by_having_no_transaction(adopted):
    adopted.run(EVENT.format("new", "now()"))
    assert adopted.run("SELECT count(*) FROM user_activity_events WHERE xact_id IS NULL") == [(2000,)]
    assert adopted.run("SELECT xact_id IS NULL FROM user_activity_events WHERE event_type = 'new'") == [(False,)]


def test_attaching_reads_no_row(house):
    house.original()
    heard = []
    adoption = prepare("default", now())
    connections["default"].connection.add_notice_handler(lambda notice: heard.append(notice.message_primary))
    connections["default"].cursor().execute("SET client_min_messages = debug1")
    carry_out(adoption, Runner("default", lambda text: None), lambda text: None)
    connections["default"].cursor().execute("RESET client_min_messages")
    for table in RAW:
        assert f'partition constraint for table "{table}_adopted" is implied by existing constraints' in heard
    assert not [text for text in heard if "verifying table" in text and "adopted" in text]
