"""Adoption of databases that are not quite as the plan has them: what is made of it, and what is refused."""

from __future__ import annotations

import re

import pytest
from django.core.management import CommandError
from django.db import connections

from sigmasight.adoption.compare import is_constant
from sigmasight.adoption.names import with_suffix
from sigmasight.adoption.types import Fit, fit
from tests.sigmasight.adopted import EVENT, adopt, nothing_left, opened
from tests.sigmasight.original import ADA, INES

STRAYS = ("NULL", "'1970-01-01'", "'2099-05-05'", "'infinity'", "'-infinity'", "'4000-01-01 BC'")
ODD = """
DO $$ BEGIN CREATE ROLE adopt_writer LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT INSERT, SELECT ON user_activity_events TO adopt_writer WITH GRANT OPTION;
GRANT UPDATE (error_code) ON user_activity_events TO adopt_writer;
GRANT SELECT ON user_activity_events TO PUBLIC;

ALTER TABLE user_activity_events ADD trace_id text DEFAULT 'none', ADD weight int NOT NULL DEFAULT 1,
    ALTER event_type TYPE text, ALTER session_id TYPE varchar(100), ALTER error_code TYPE varchar(50) COLLATE "C";
ALTER TABLE ai_request_metrics ALTER input_tokens TYPE bigint;
TRUNCATE ai_request_metrics;
ALTER TABLE batch_run_history ADD portfolio_id uuid, ADD activity_log jsonb DEFAULT '[]',
    ALTER phase_durations DROP DEFAULT, ALTER phase_durations TYPE json,
    ALTER phase_durations SET DEFAULT '{}'::json;
ALTER TABLE users ALTER full_name TYPE varchar(40);

CREATE VIEW chat_events WITH (security_barrier = true) AS
    SELECT id, user_id, event_type FROM user_activity_events WHERE event_category = 'chat';
CREATE VIEW of_ada AS SELECT * FROM chat_events WHERE user_id IS NOT NULL;

CREATE INDEX ix_activity_user ON user_activity_events (user_agent);
CREATE INDEX ix_portfolios_created_at ON portfolios (name);
CREATE INDEX ix_users_created_at ON users (id);
CREATE INDEX ix_activity_type_adopted ON user_activity_events (id);
UPDATE pg_index SET indisvalid = false
 WHERE indexrelid IN ('ix_users_created_at'::regclass, 'ix_activity_type_adopted'::regclass);
"""


@pytest.fixture(scope="module")
def odd(django_db_blocker):
    """An adopted house with everything that adoption takes in its stride."""
    with opened(django_db_blocker) as house:
        house.original().run(ODD)
        for number, moment in enumerate(STRAYS):
            house.run(EVENT.format(f"stray{number}", moment))
        house.run(EVENT.format("old", "now() - interval '90 days'"))
        house.said = adopt()
        yield house


@pytest.fixture
def house(django_db_blocker):
    with opened(django_db_blocker) as house:
        yield house.original()


# --- In its stride ---


def test_nothing_is_missing_whatever_the_shape_was(odd):
    nothing_left("default")


def test_rows_no_day_can_hold_go_into_quarantine_and_none_is_lost(odd):
    assert "user_activity_events: 6 rows" in odd.said
    assert re.search(r"user_activity_events +2,007 rows before +2,001 after +6 in quarantine", odd.said)
    found = odd.run(
        "SELECT row_data->>'event_type', row_created_at FROM quarantined_rows"
        " WHERE source_table = 'user_activity_events' AND row_data->>'event_type' LIKE 'stray%' ORDER BY 1"
    )
    assert [kind for kind, _ in found] == [f"stray{number}" for number in range(6)]
    assert [moment and moment.year for _, moment in found] == [None, 1970, 2099, None, None, None]
    assert odd.run("SELECT tableoid::regclass::text FROM user_activity_events WHERE event_type = 'old'") == [
        ("user_activity_events_adopted",)
    ]


def test_who_had_rights_has_them(odd):
    with odd.connect() as connection:
        connection.execute("SET ROLE adopt_writer")
        for moment in ("now()", "now() + interval '4 days'", "'2099-01-01'"):
            connection.execute(EVENT.format("granted", moment))
        connection.execute("UPDATE user_activity_events SET error_code = 'e' WHERE event_type = 'granted'")
        connection.execute("GRANT SELECT ON user_activity_events TO PUBLIC")
        connection.rollback()


def test_views_see_later_rows_and_stay_as_they_were(odd):
    odd.run(EVENT.format("seen", "now() + interval '4 days'"))
    assert odd.run("SELECT count(*) FROM chat_events WHERE event_type = 'seen'") == [(1,)]
    assert odd.run("SELECT count(*) FROM of_ada") == [(2000,)]
    assert odd.run("SELECT reloptions FROM pg_class WHERE relname = 'chat_events'") == [(["security_barrier=true"],)]


def test_columns_of_the_installations_own_stay_and_are_on_later_days_too(odd):
    for moment in ("now()", "now() + interval '4 days'"):
        assert odd.run(EVENT.format("traced", moment) + " RETURNING trace_id, weight") == [("none", 1)]
    assert odd.run("SELECT tier, clerk_user_id FROM users") == [("free", None)]


def test_wider_types_stay_and_narrower_ones_become_the_contracts(odd):
    wide = "INSERT INTO user_activity_events (event_type, event_category, session_id)"
    odd.run(f"{wide} VALUES (repeat('x', 150), 'c', repeat('s', 255))")
    odd.run(f"UPDATE users SET full_name = repeat('n', 255) WHERE id = '{ADA}'")


def test_json_becomes_jsonb_where_the_table_is_small(odd):
    assert odd.run("SELECT DISTINCT pg_typeof(phase_durations)::text FROM batch_run_history") == [("jsonb",)]


def test_an_empty_raw_table_becomes_a_partition_too(odd):
    odd.run(
        "INSERT INTO ai_request_metrics (conversation_id, message_id, model) VALUES (gen_random_uuid(), "
        "gen_random_uuid(), 'm')"
    )
    assert odd.run("SELECT tableoid::regclass::text FROM ai_request_metrics") == [("ai_request_metrics_adopted",)]


def test_an_index_that_a_killed_build_left_is_built_again(odd):
    assert odd.run("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    assert odd.run("SELECT pg_get_indexdef('ix_users_created_at'::regclass)")[0][0].endswith("(created_at DESC, id)")


def test_an_index_of_another_kind_under_a_wanted_name_keeps_its_work_under_another(odd):
    names = odd.run("SELECT indexname FROM pg_indexes WHERE indexname LIKE '%\\_before' ORDER BY 1")
    assert names == [("ix_activity_user_before",), ("ix_portfolios_created_at_before",)]


# --- Refused ---

REFUSED = {
    "CREATE TABLE notes (event_id uuid REFERENCES user_activity_events (id))": "notes.notes_event_id_fkey",
    "CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
    "CREATE TRIGGER stamp BEFORE INSERT ON user_activity_events FOR EACH ROW EXECUTE FUNCTION noop()": (
        "has triggers (stamp), which would not fire for later days"
    ),
    "CREATE MATERIALIZED VIEW busiest AS SELECT event_type FROM user_activity_events": (
        "materialised views read it (busiest)"
    ),
    "CREATE UNIQUE INDEX once ON ai_request_metrics (message_id, input_tokens)": "a unique or exclusion rule (once)",
    "ALTER TABLE ai_request_metrics ENABLE ROW LEVEL SECURITY": "has row-level security",
    "CREATE PUBLICATION feed FOR TABLE ai_request_metrics": "is published for replication (feed)",
    "ALTER TABLE ai_request_metrics ALTER created_at TYPE timestamp": "SET LOCAL timezone = 'UTC'; ALTER TABLE",
    "ALTER TABLE ai_request_metrics ALTER user_id TYPE text": "user_id is text, not uuid",
    "INSERT INTO admin_users (id, email, hashed_password, full_name) VALUES"
    " ('00000000-0000-0000-0000-0000000000aa', 'INES@example.com', 'x', 'x')": (
        "which must be unique (uq_admin_user_email_lower)"
    ),
    "INSERT INTO batch_run_history (batch_run_id, triggered_by, started_at, status)"
    " VALUES ('b', 'cron', now(), 'cancelled')": "leave the rule out with --leave-out ck_batch_run_status",
    "ALTER TABLE agent_messages DROP CONSTRAINT agent_messages_conversation_id_fkey;"
    "INSERT INTO agent_messages (conversation_id, role) VALUES (gen_random_uuid(), 'user')": (
        "name a row of agent_conversations that is not there"
    ),
    "ALTER TABLE users ALTER full_name DROP NOT NULL; UPDATE users SET full_name = NULL": (
        "users: full_name is NULL in 1 row"
    ),
    "ALTER TABLE portfolios DROP account_name": "has no column account_name",
    "ALTER TABLE agent_conversations ALTER metadata DROP DEFAULT, ALTER metadata TYPE text": (
        "metadata is text, not jsonb"
    ),
    "CREATE TABLE user_activity_events_adopted (id int)": "something is called user_activity_events_adopted already",
    "CREATE TABLE elsewhere (id int); CREATE INDEX ix_quarantine_source ON elsewhere (id)": (
        "something else is called ix_quarantine_source"
    ),
    "ALTER TABLE admin_sessions RENAME TO signed_in; CREATE VIEW admin_sessions AS SELECT 1 AS id": (
        "admin_sessions: is no table but a view"
    ),
}


@pytest.fixture(scope="module")
def refusal(django_db_blocker):
    """All that is said of a house in which nothing is right; and nothing was changed."""
    with opened(django_db_blocker) as house:
        house.original()
        for statement in REFUSED:
            house.run(statement)
        with pytest.raises(CommandError, match=rf"Nothing was changed, as {len(REFUSED)} things") as caught:
            adopt("--dry-run")
        with pytest.raises(CommandError) as again:
            adopt()
        assert str(again.value) == str(caught.value)
        assert house.run("SELECT to_regclass('django_migrations'), to_regclass('quarantined_rows')") == [(None, None)]
        return str(again.value)


@pytest.mark.parametrize("reason", REFUSED.values(), ids=lambda text: text[:40])
def test_it_refuses_what_it_cannot_do_safely_and_says_why_all_at_once(refusal, reason):
    assert reason in refusal


def test_a_refusal_names_rows_by_their_ids(refusal):
    assert f"admin_users: 2 rows ({INES}, 00000000-0000-0000-0000-0000000000aa)" in refusal
    assert f"users: full_name is NULL in 1 row ({ADA})" in refusal


def test_a_rule_that_rows_break_can_be_left_out_by_its_name(house):
    house.run("UPDATE batch_run_history SET status = 'cancelled'")
    house.run("ALTER TABLE agent_messages DROP CONSTRAINT agent_messages_conversation_id_fkey")
    house.run("UPDATE agent_messages SET conversation_id = gen_random_uuid()")
    with pytest.raises(CommandError, match="as 2 things can't be done safely"):
        adopt()
    said = adopt("--leave-out", "ck_batch_run_status", "--leave-out", "fk_message_conversation")
    assert "ck_batch_run_status is left out, as you asked" in said
    assert house.run("SELECT status FROM batch_run_history") == [("cancelled",)]


def test_a_role_that_may_not_is_told_which_rights_it_lacks(house):
    house.run("DO $$ BEGIN CREATE ROLE adopt_guest LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    with connections["default"].cursor() as cursor:
        cursor.execute("SET ROLE adopt_guest")
        with pytest.raises(CommandError, match="This role may not make schemas"):
            adopt()


def test_a_schema_of_somebody_elses_is_not_dropped(house):
    house.run("CREATE SCHEMA sigmasight_adoption")
    with pytest.raises(CommandError, match="that adopt has not made: rename or drop it"):
        adopt()
    assert house.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'sigmasight_adoption'") == [(1,)]


# --- The arithmetic ---


@pytest.mark.parametrize(
    ("there", "wanted", "expected"),
    [
        ("uuid", "uuid", Fit.AS_IS),
        ("text", "character varying(50)", Fit.AS_IS),
        ("character varying", "character varying(50)", Fit.AS_IS),
        ("character varying(60)", "character varying(50)", Fit.AS_IS),
        ('character varying(60) COLLATE "C"', "character varying(50)", Fit.AS_IS),
        ("character(3)", "character varying(3)", Fit.AS_IS),
        ("character varying(40)", "character varying(50)", Fit.WIDEN),
        ("character varying(40)", "text", Fit.WIDEN),
        ("character(3)", "character varying(4)", Fit.REWRITE),
        ("bigint", "integer", Fit.AS_IS),
        ("integer", "bigint", Fit.REWRITE),
        ("numeric", "numeric(16,4)", Fit.AS_IS),
        ("numeric(20,4)", "numeric(16,4)", Fit.AS_IS),
        ("numeric(10,4)", "numeric(16,4)", Fit.WIDEN),
        ("numeric(10,2)", "numeric(16,4)", Fit.REWRITE),
        ("numeric(10,6)", "numeric(16,4)", Fit.NEVER),
        ("json", "jsonb", Fit.REWRITE),
        ("timestamp without time zone", "timestamp with time zone", Fit.NEVER),
        ("vector(768)", "vector(1536)", Fit.NEVER),
        ("text", "uuid", Fit.NEVER),
    ],
)
def test_a_type_serves_or_becomes_what_is_wanted(there, wanted, expected):
    assert fit(there, wanted) is expected


@pytest.mark.parametrize("default", ["0", "-1.5", "true", "'{}'::jsonb", "'it''s'::character varying", "''::text"])
def test_a_default_that_is_the_same_for_every_row_is_known(default):
    assert is_constant(default)


@pytest.mark.parametrize("default", ["now()", "gen_random_uuid()", "((pg_current_xact_id())::text)::bigint", "1 + 1"])
def test_a_default_that_may_differ_is_known(default):
    assert not is_constant(default)


def test_long_names_are_shortened_and_stay_apart():
    one, two = with_suffix("ü" * 30 + "one", "_adopted"), with_suffix("ü" * 30 + "two", "_adopted")
    assert one != two
    assert max(len(one.encode()), len(two.encode())) <= 63
    assert with_suffix("short", "_adopted") == "short_adopted"
