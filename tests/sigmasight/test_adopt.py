"""`manage.py adopt`: databases of the application's and the plan's making come under management, whole."""

from __future__ import annotations

import datetime as dt
import io
import re
import threading
import time
from itertools import pairwise

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.urls import reverse

from admin_portal.models import AdminUser
from ai_tuning.models import Annotation
from metrics.models import DailyMetric
from sigmasight.adoption import running
from sigmasight.adoption.adopting import State, carry_out, prepare
from sigmasight.adoption.running import Runner, end_turn, take_turn
from sigmasight.lib import partition_migrations
from sigmasight.lib.migrating import migration_state
from sigmasight.lib.partitions import ensure_around, partitions
from tests.sigmasight.original import ADA, PASSWORD, House
from tests.sigmasight.test_contract_sql import COLUMNS, LEAST, PARENTS

RAW = ("user_activity_events", "ai_request_metrics")
EVENT = "INSERT INTO user_activity_events (event_type, event_category, created_at) VALUES ('{}', 'chat', {})"


@pytest.fixture(autouse=True)
def _few_days(monkeypatch, request):
    """Fewer days are made ahead and none behind: most of the time would go into making and dropping them."""
    if "slow" not in request.keywords:
        monkeypatch.setattr(
            partition_migrations,
            "ensure_around",
            lambda table, today, behind, ahead, using: ensure_around(table, today, 0, 6, using),
        )


@pytest.fixture
def house(django_db_blocker):
    with django_db_blocker.unblock():
        house = House()
        house.open()
        yield house
        house.close()


@pytest.fixture
def one_house(django_db_blocker, settings):
    settings.METRO_IS_GONDOLA = True
    with django_db_blocker.unblock():
        house = House(one=True)
        house.open()
        yield house
        house.close()


def adopt(*arguments):
    out = io.StringIO()
    call_command("adopt", *arguments, stdout=out)
    return out.getvalue()


def now():
    return dt.datetime.now(dt.UTC)


def snapshot(house, alias):
    """All that the catalogue knows of a database, but for statistics."""
    return set(
        house.run(
            """
        SELECT 'relation', n.nspname || '.' || relname || relkind::text || coalesce(c.relacl::text, '') FROM pg_class c
          JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname NOT LIKE 'pg_%'
        UNION ALL SELECT 'column', attrelid::regclass || '.' || attname || attnotnull || atttypid FROM pg_attribute
          JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname NOT LIKE 'pg_%'
        UNION ALL SELECT 'constraint', conname || pg_get_constraintdef(oid) FROM pg_constraint
        UNION ALL SELECT 'default', adrelid::regclass || pg_get_expr(adbin, adrelid) FROM pg_attrdef
        UNION ALL SELECT 'trigger', tgname FROM pg_trigger
        UNION ALL SELECT 'schema', nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%'
        UNION ALL SELECT 'function', oid::regprocedure::text FROM pg_proc
        UNION ALL SELECT 'extension', extname || extnamespace FROM pg_extension ORDER BY 1, 2
        """,
            alias,
        )
    )


def rows(house, table, alias="default"):
    """Every row that was there before, in the columns it had then, as text."""
    columns = ", ".join(name for name in COLUMNS[table] if name not in {"portfolio_id", "activity_log"})
    return house.run(f"SELECT {columns} FROM {table} ORDER BY id", alias)


def nothing_left(alias):
    """Asserts that a comparison with what the migrations make finds nothing that is missing."""
    connections[alias].cursor().execute("ALTER TABLE django_migrations RENAME TO django_migrations_elsewhere")
    try:
        adoption = prepare(alias, now())
        assert adoption.state is State.TO_ADOPT
        assert adoption.plan.refusals == []
        left = [step.statements for step in adoption.plan.steps if not step.statements[0].startswith("ANALYZE")]
        assert left == [('ALTER TABLE "sigmasight_adoption"."django_migrations" SET SCHEMA "public"',)]
    finally:
        connections[alias].cursor().execute("ALTER TABLE django_migrations_elsewhere RENAME TO django_migrations")


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


def test_everything_the_migrations_make_is_there_afterwards_and_every_row(house):
    house.original()
    files = [house.run(f"SELECT pg_relation_filenode('{table}')") for table in RAW]
    same = ("users", "portfolios", "agent_conversations", "agent_messages", "admin_users", "admin_sessions", *RAW)
    before = {table: rows(house, table) for table in same}
    said = adopt()
    assert re.search(r"user_activity_events +2,000 rows before +2,000 after", said)
    assert {table: rows(house, table) for table in same} == before
    assert house.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'sigmasight_adoption'") == [(0,)]
    assert house.run("SELECT count(*) FROM pg_constraint WHERE conname LIKE 'adopt\\_%'") == [(0,)]
    # The very files of the old tables are partitions now: nothing was copied.
    assert [house.run(f"SELECT pg_relation_filenode('{table}_adopted')") for table in RAW] == files
    for table in RAW:
        found = partitions(table)
        assert all(early.high == late.low for early, late in pairwise(found))
        assert len([part for part in found if not part.is_gap and part.low > now()]) >= 5
    # Every index of the new table found its part ready: ATTACH built none under its lock.
    assert (
        house.run(
            "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid JOIN pg_index i ON"
            " i.indexrelid = child.oid JOIN pg_class t ON t.oid = i.indrelid"
            " WHERE t.relname LIKE '%\\_adopted' AND child.relname NOT LIKE '%\\_adopted%'"
        )
        == []
    )
    for alias in ("default", "metro"):
        assert migration_state(alias).missing == ()
        nothing_left(alias)


def test_the_second_time_there_is_nothing_to_do(house):
    house.original()
    adopt()
    before = [snapshot(house, alias) for alias in ("default", "metro")]
    assert adopt().count("is under management already, nothing to do.") == 2
    assert [snapshot(house, alias) for alias in ("default", "metro")] == before


def test_a_database_that_migrate_made_is_left_alone(house):
    call_command("migrate", verbosity=0)
    assert adopt().count("is under management already") == 2


def test_an_empty_database_is_for_migrate(house):
    assert adopt().count("nothing to adopt, it has none of the tables: run `manage.py migrate`") == 2
    house.run("CREATE TABLE positions (id uuid)")
    assert "nothing to adopt" in adopt("--dry-run")
    assert house.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'sigmasight_adoption'") == [(0,)]


def test_one_database_under_both_names_is_adopted_once(one_house):
    one_house.original()
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


def test_the_applications_inserts_go_on_unchanged(house):
    house.original()
    adopt()
    for table, columns in COLUMNS.items():
        alias = "metro" if table.startswith("ai_") and table != "ai_request_metrics" else "default"
        with house.connect(alias) as connection:
            connection.execute("SET session_replication_role = replica")  # foreign keys are not what this is about
            if table in PARENTS:
                connection.execute("SET session_replication_role = origin")
                connection.execute(PARENTS[table])
            found = connection.execute(f"{LEAST[table]} RETURNING {', '.join(columns)}").fetchone()
            assert found is not None
            connection.rollback()
    house.run(EVENT.format("x", "now() + interval '5 days'"))
    house.run(EVENT.format("x", "'2099-01-01'"))
    house.run(EVENT.format("x", "'1999-01-01'"))
    assert house.run("SELECT count(*) FROM user_activity_events WHERE event_type = 'x'") == [(1,)]
    assert house.run(
        "SELECT source_table, count(*) FROM quarantined_rows WHERE row_data->>'event_type' = 'x' GROUP BY 1"
    ) == [("user_activity_events", 2)]


def test_an_admin_of_the_old_backend_signs_in_and_every_page_answers(house, client):
    house.original()
    adopt()
    answer = client.post(reverse("login"), {"username": "ines@EXAMPLE.com", "password": PASSWORD})
    assert answer.status_code == 302
    assert AdminUser.objects.get().password.startswith("argon2")
    pages = ["/admin", "/admin/ai", "/admin/ai/tuning", "/admin/account", "/admin/db/", "/readyz?exclude=redis"]
    index = client.get("/admin/db/").content.decode()
    pages += sorted(set(re.findall(r'href="(/admin/db/\w+/\w+/)"', index)))
    assert len(pages) > 15
    for page in pages:
        assert client.get(page).status_code == 200, page
    assert "What is my beta?" in client.get("/admin/ai/tuning").content.decode()
    assert (
        "It is 1.2."
        in client.get(f"/admin/ai/tuning/{house.run('SELECT id FROM agent_conversations')[0][0]}").content.decode()
    )


def test_old_daily_figures_stay_and_what_was_twice_is_set_aside_whole(house):
    house.original()
    said = adopt("--dry-run")
    assert "daily_metrics: 2 rows" in said
    assert "all but the latest go into quarantined_rows" in said
    adopt()
    found = DailyMetric.objects.order_by("metric_type").values_list("metric_type", "metric_value", "dimensions")
    assert list(found) == [("ai_requests.model_breakdown", 42, {"key": "gpt-4"}), ("ai_requests.total", 42, {})]
    assert house.run(
        "SELECT source_table, row_data->>'metric_value', row_data->'dimensions' FROM quarantined_rows"
    ) == [("daily_metrics", "41.0000", None)]


def test_nulls_that_may_not_be_become_what_the_contract_says_and_a_time_the_rows_own(house):
    house.original()
    adopt()
    ((created, started, phases),) = house.run("SELECT created_at, started_at, phase_durations FROM batch_run_history")
    assert created == started
    assert phases is None, "the contract allows it"
    annotation = Annotation.objects.get()
    assert (annotation.status, annotation.tags) == ("pending", None)
    assert annotation.created_at == annotation.updated_at


# --- The big tables ---


def test_rows_no_day_can_hold_go_into_quarantine_and_none_is_lost(house):
    house.original()
    for number, moment in enumerate(
        ("NULL", "'1970-01-01'", "'2099-05-05'", "'infinity'", "'-infinity'", "'4000-01-01 BC'")
    ):
        house.run(EVENT.format(f"stray{number}", moment))
    house.run(EVENT.format("old", "now() - interval '90 days'"))
    said = adopt()
    assert "user_activity_events: 6 rows" in said
    assert re.search(r"user_activity_events +2,007 rows before +2,001 after +6 in quarantine", said)
    found = house.run(
        "SELECT row_data->>'event_type', row_created_at FROM quarantined_rows WHERE source_table = 'user_activity_events'"
        " ORDER BY 1"
    )
    assert [kind for kind, _ in found] == [f"stray{number}" for number in range(6)]
    assert [moment and moment.year for _, moment in found] == [None, 1970, 2099, None, None, None]
    assert house.run("SELECT tableoid::regclass::text FROM user_activity_events WHERE event_type = 'old'") == [
        ("user_activity_events_adopted",)
    ]


def test_rows_that_were_there_are_known_by_having_no_transaction(house):
    house.original()
    adopt()
    house.run(EVENT.format("new", "now()"))
    assert house.run("SELECT count(*) FROM user_activity_events WHERE xact_id IS NULL") == [(2000,)]
    assert house.run("SELECT xact_id IS NULL FROM user_activity_events WHERE event_type = 'new'") == [(False,)]


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


def test_an_empty_raw_table_becomes_a_partition_too(house):
    house.original()
    house.run("TRUNCATE user_activity_events")
    adopt()
    house.run(EVENT.format("x", "now()"))
    nothing_left("default")


def test_who_had_rights_has_them_and_views_see_later_rows(house):
    house.original()
    house.run(
        """
        DO $$ BEGIN CREATE ROLE adopt_writer LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        GRANT INSERT, SELECT ON user_activity_events TO adopt_writer WITH GRANT OPTION;
        GRANT UPDATE (error_code) ON user_activity_events TO adopt_writer;
        GRANT SELECT ON user_activity_events TO PUBLIC;
        CREATE VIEW chat_events WITH (security_barrier = true) AS
            SELECT id, user_id, event_type FROM user_activity_events WHERE event_category = 'chat';
        CREATE VIEW of_ada AS SELECT * FROM chat_events WHERE user_id IS NOT NULL;
        """
    )
    adopt()
    with house.connect() as connection:
        connection.execute("SET ROLE adopt_writer")
        connection.execute(EVENT.format("x", "now()"))
        connection.execute(EVENT.format("x", "now() + interval '4 days'"))
        connection.execute(EVENT.format("x", "'2099-01-01'"))
        connection.execute("UPDATE user_activity_events SET error_code = 'e' WHERE event_type = 'x'")
        connection.execute("GRANT SELECT ON user_activity_events TO PUBLIC")
    assert house.run("SELECT count(*) FROM chat_events WHERE event_type = 'x'") == [(2,)]
    assert house.run("SELECT count(*) FROM of_ada") == [(2000,)]
    assert house.run("SELECT reloptions FROM pg_class WHERE relname = 'chat_events'") == [(["security_barrier=true"],)]


def test_columns_and_types_of_the_installations_own_stay(house):
    house.original()
    house.run(
        """
        ALTER TABLE user_activity_events ADD trace_id text DEFAULT 'none', ADD weight int NOT NULL DEFAULT 1,
          ALTER event_type TYPE text, ALTER session_id TYPE varchar(100), ALTER error_code TYPE varchar(50) COLLATE "C";
        ALTER TABLE ai_request_metrics ALTER input_tokens TYPE bigint;
        ALTER TABLE batch_run_history ADD portfolio_id uuid, ADD activity_log jsonb DEFAULT '[]';
        ALTER TABLE users ALTER full_name TYPE varchar(40);
        """
    )
    adopt()
    house.run(
        "INSERT INTO user_activity_events (event_type, event_category, session_id) VALUES (repeat('x', 150), 'c', repeat('s', 255))"
    )
    assert house.run("SELECT trace_id, weight FROM user_activity_events WHERE length(event_type) = 150") == [
        ("none", 1)
    ]
    later = EVENT.format("later", "now() + interval '6 days'") + " RETURNING trace_id, weight"
    assert house.run(later) == [("none", 1)]
    assert house.run("SELECT tier, clerk_user_id FROM users") == [("free", None)]
    house.run(f"UPDATE users SET full_name = repeat('n', 255) WHERE id = '{ADA}'")
    nothing_left("default")


# --- Small shapes ---


def test_json_becomes_jsonb_where_the_table_is_small(house):
    house.original()
    house.run("ALTER TABLE batch_run_history ALTER phase_durations DROP DEFAULT, ALTER phase_durations TYPE json")
    house.run("ALTER TABLE batch_run_history ALTER phase_durations SET DEFAULT '{}'::json")
    adopt()
    assert house.run("SELECT pg_typeof(phase_durations)::text FROM batch_run_history") == [("jsonb",)]
    nothing_left("default")


def test_an_index_that_a_killed_build_left_is_built_again(house):
    house.original()
    with house.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE twice AS SELECT 1 AS id FROM generate_series(1, 2)")
        for name, table in (("ix_users_created_at", "users"), ("ix_activity_user_adopted", "user_activity_events")):
            connection.execute(f"CREATE INDEX {name} ON {table} (id)")
            connection.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass")
    adopt()
    assert house.run("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    nothing_left("default")


def test_an_index_of_another_kind_under_a_wanted_name_keeps_its_work_under_another(house):
    house.original()
    house.run("CREATE INDEX ix_activity_user ON user_activity_events (user_agent)")
    house.run("CREATE INDEX ix_users_created_at ON users (full_name)")
    adopt()
    names = house.run("SELECT indexname FROM pg_indexes WHERE indexname LIKE '%\\_before' ORDER BY 1")
    assert names == [("ix_activity_user_before",), ("ix_users_created_at_before",)]
    nothing_left("default")


# --- Others at work meanwhile ---


def test_two_do_not_adopt_at_once(house):
    house.original()
    other = connections["default"].copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext('sigmasight.adoption'))")
        with pytest.raises(CommandError, match="Another adopt is at work on adopt_"):
            adopt()
        cursor.execute("SELECT pg_advisory_unlock(hashtext('sigmasight.adoption'))")
    other.close()
    assert take_turn("default")
    end_turn("default")


def test_it_gives_up_on_a_table_that_is_never_free_and_says_who_has_it(house, monkeypatch):
    house.original()
    monkeypatch.setattr(running, "ATTEMPTS", 2)
    monkeypatch.setattr(running, "PAUSE", 0)
    with house.connect() as reader:
        reader.execute("SELECT count(*) FROM agent_messages")
        with pytest.raises(CommandError, match=r"agent_messages was in use .*\n +pid \d+ \(.*SELECT count") as caught:
            adopt()
    assert "run the same command again" in str(caught.value)
    adopt()
    nothing_left("default")


def write_until(done, house, waits):
    """The application, inserting one row after another; how long each took."""
    with house.connect(autocommit=True) as connection:
        while not done.is_set():
            began = time.perf_counter()
            connection.execute(EVENT.format("meanwhile", "now()"))
            waits.append(time.perf_counter() - began)


def test_writers_go_on_and_none_of_their_rows_is_lost(house):
    house.original()
    done, waits = threading.Event(), []
    writer = threading.Thread(target=write_until, args=(done, house, waits))
    writer.start()
    try:
        adopt()
    finally:
        done.set()
        writer.join()
    assert house.run("SELECT count(*) FROM user_activity_events WHERE event_type = 'meanwhile'") == [(len(waits),)]
    assert len(waits) > 100
    assert max(waits) < 1


class Killed(BaseException):
    """The process is gone."""


def killed_after(number):
    """Called before each statement: kills before the one after so many."""
    left = [number]

    def before(statement):
        if left[0] == 0:
            raise Killed(statement)
        left[0] -= 1

    return before


def run_until(alias, house, statements):
    """Adopts, killed after so many statements; whether it got to the end."""
    adoption = prepare(alias, now())
    assert adoption.plan.refusals == []
    if adoption.state is State.MANAGED:
        return True
    try:
        carry_out(adoption, Runner(alias, lambda text: None, killed_after(statements)), lambda text: None)
    except Killed:
        house.killed(alias)
        return False
    return True


@pytest.mark.parametrize("stride", [25, pytest.param(1, marks=pytest.mark.slow)])
def test_it_may_be_killed_anywhere_and_goes_on_from_there(house, stride):
    house.original()
    house.run(EVENT.format("stray", "'1980-01-01'"))
    for alias in ("default", "metro"):
        written, statements = 0, stride
        while not run_until(alias, house, statements):
            house.run(EVENT.format("between", "now()"))
            written += 1
            statements += stride
        assert written > 2 or alias == "metro"
        nothing_left(alias)
        if alias == "default":
            between = written
    kinds = "SELECT event_type, count(*) FROM user_activity_events GROUP BY 1 ORDER BY 1"
    assert house.run(kinds) == [("between", between), ("chat.message_sent", 2000)]
    aside = "SELECT source_table, count(*) FROM quarantined_rows GROUP BY 1 ORDER BY 1"
    assert house.run(aside) == [("daily_metrics", 1), ("user_activity_events", 1)]
    assert adopt().count("is under management already") == 2
