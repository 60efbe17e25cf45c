"""The plan's own SQL: the tables as `contract/schema.md` has them, and INSERTs that name only its columns."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from django.db import DataError, IntegrityError, connections, transaction

from activity.models import Event, User
from metrics.models import AIRequest
from metrics.toolcalls import read_tool_calls

pytestmark = pytest.mark.django_db(databases=["default", "metro"])

METRO = {"ai_feedback", "ai_memories", "ai_kb_documents", "ai_admin_annotations"}
ID = "uuid not null default gen_random_uuid()"
NOW = "timestamptz not null default now()"

# Every column of the contract. Where the plan gives a default and leaves NULL open for a timestamp or a status, the
# column is NOT NULL here: an INSERT that leaves it out gets the default all the same.
COLUMNS = {
    "users": {
        "id": ID,
        "email": "varchar(255) not null",
        "hashed_password": "varchar(255) not null",
        "full_name": "varchar(255) not null",
        "is_active": "boolean not null default true",
        "created_at": NOW,
        "updated_at": NOW,
    },
    "portfolios": {
        "id": ID,
        "user_id": "uuid not null",
        "name": "varchar(255) not null",
        "account_name": "varchar(100) not null",
        "account_type": "varchar(20) not null default 'taxable'",
        "is_active": "boolean not null default true",
        "description": "varchar(1000)",
        "currency": "varchar(3) not null default 'USD'",
        "equity_balance": "numeric(16,2)",
        "created_at": NOW,
        "updated_at": NOW,
        "deleted_at": "timestamptz",
    },
    "agent_conversations": {
        "id": ID,
        "user_id": "uuid not null",
        "mode": "varchar(50) not null default 'green'",
        "provider": "varchar(32) not null default 'openai'",
        "provider_thread_id": "varchar(255)",
        "provider_run_id": "varchar(255)",
        "metadata": "jsonb not null default '{}'",
        "created_at": NOW,
        "updated_at": NOW,
    },
    "agent_messages": {
        "id": ID,
        "conversation_id": "uuid not null",
        "role": "varchar(50) not null",
        "content": "text",
        "tool_calls": "jsonb",
        "first_token_ms": "integer",
        "latency_ms": "integer",
        "prompt_tokens": "integer",
        "completion_tokens": "integer",
        "total_tokens": "integer",
        "provider_message_id": "varchar(255)",
        "error": "jsonb",
        "created_at": NOW,
    },
    "user_activity_events": {
        "id": ID,
        "user_id": "uuid",
        "session_id": "varchar(255)",
        "event_type": "varchar(100) not null",
        "event_category": "varchar(50) not null",
        "event_data": "jsonb default '{}'",
        "error_code": "varchar(50)",
        "error_message": "text",
        "ip_address": "varchar(45)",
        "user_agent": "text",
        "created_at": NOW,
    },
    "ai_request_metrics": {
        "id": ID,
        "conversation_id": "uuid not null",
        "message_id": "uuid not null",
        "user_id": "uuid",
        "model": "varchar(100) not null",
        "input_tokens": "integer",
        "output_tokens": "integer",
        "total_tokens": "integer",
        "first_token_ms": "integer",
        "total_latency_ms": "integer",
        "tool_calls_count": "integer default 0",
        "tool_calls": "jsonb",
        "error_type": "varchar(100)",
        "error_message": "text",
        "created_at": NOW,
    },
    "batch_run_history": {
        "id": ID,
        "batch_run_id": "varchar(255) not null",
        "triggered_by": "varchar(255) not null",
        "started_at": "timestamptz not null",
        "completed_at": "timestamptz",
        "status": "varchar(50) not null",
        "total_jobs": "integer default 0",
        "completed_jobs": "integer default 0",
        "failed_jobs": "integer default 0",
        "phase_durations": "jsonb default '{}'",
        "error_summary": "jsonb",
        "portfolio_id": "uuid",
        "activity_log": "jsonb",
        "created_at": NOW,
    },
    "daily_metrics": {
        "id": ID,
        "date": "date not null",
        "metric_type": "varchar(100) not null",
        "metric_value": "numeric(16,4) not null",
        "dimensions": "jsonb not null default '{}'",
        "created_at": NOW,
    },
    "admin_users": {
        "id": ID,
        "email": "varchar(255) not null",
        "hashed_password": "varchar(255) not null",
        "full_name": "varchar(255) not null",
        "role": "varchar(50) not null default 'admin'",
        "is_active": "boolean not null default true",
        "created_at": NOW,
        "updated_at": NOW,
        "last_login_at": "timestamptz",
    },
    "admin_sessions": {
        "id": ID,
        "admin_user_id": "uuid not null",
        "token_hash": "varchar(255) not null",
        "ip_address": "varchar(45)",
        "user_agent": "text",
        "created_at": NOW,
        "expires_at": "timestamptz not null",
    },
    "ai_feedback": {
        "id": ID,
        "message_id": "uuid not null",
        "rating": "varchar(10) not null",
        "edited_text": "text",
        "comment": "text",
        "created_at": NOW,
    },
    "ai_memories": {
        "id": ID,
        "user_id": "uuid",
        "tenant_id": "uuid",
        "scope": "varchar(20) not null",
        "content": "text not null",
        "tags": "jsonb not null default '{}'",
        "created_at": NOW,
    },
    "ai_kb_documents": {
        "id": ID,
        "scope": "varchar(100) not null",
        "title": "varchar(500) not null",
        "content": "text not null",
        "metadata": "jsonb not null default '{}'",
        "embedding": "vector(1536)",
        "created_at": NOW,
        "updated_at": NOW,
    },
    "ai_admin_annotations": {
        "id": ID,
        "message_id": "uuid not null",
        "admin_user_id": "uuid not null",
        "annotation_type": "varchar(50) not null",
        "content": "text not null",
        "suggested_response": "text",
        "severity": "varchar(20)",
        "tags": "jsonb default '[]'",
        "status": "varchar(20) not null default 'pending'",
        "created_at": NOW,
        "updated_at": NOW,
    },
}

A = "'aaaaaaaa-0000-4000-8000-000000000001'"
PARENTS = {
    "portfolios": f"INSERT INTO users (id, email, hashed_password, full_name) VALUES ({A}, 'p@x.io', 'h', 'P')",
    "agent_messages": f"INSERT INTO agent_conversations (id, user_id) VALUES ({A}, {A})",
    "admin_sessions": f"INSERT INTO admin_users (id, email, hashed_password, full_name) VALUES ({A}, 'a@x', 'h', 'A')",
}

# Only what is NOT NULL and has no default.
LEAST = {
    "users": "INSERT INTO users (email, hashed_password, full_name) VALUES ('ada@example.com', '$2b$12$x', 'Ada')",
    "portfolios": f"INSERT INTO portfolios (user_id, name, account_name) VALUES ({A}, 'Core', 'IRA')",
    "agent_conversations": f"INSERT INTO agent_conversations (user_id) VALUES ({A})",
    "agent_messages": f"INSERT INTO agent_messages (conversation_id, role) VALUES ({A}, 'assistant')",
    "user_activity_events": """INSERT INTO user_activity_events (event_type, event_category)
        VALUES ('onboarding.register_start', 'onboarding')""",
    "ai_request_metrics": f"""INSERT INTO ai_request_metrics (conversation_id, message_id, model)
        VALUES ({A}, {A}, 'gpt-5-mini')""",
    "batch_run_history": """INSERT INTO batch_run_history (batch_run_id, triggered_by, started_at, status)
        VALUES ('b-1', 'cron', now(), 'running')""",
    "daily_metrics": """INSERT INTO daily_metrics (date, metric_type, metric_value)
        VALUES ('2026-11-16', 'users.total', 12.5)""",
    "admin_users": "INSERT INTO admin_users (email, hashed_password, full_name) VALUES ('i@x.io', '$2b$12$x', 'Ines')",
    "admin_sessions": f"""INSERT INTO admin_sessions (admin_user_id, token_hash, expires_at)
        VALUES ({A}, repeat('0a', 32), now() + interval '8 hours')""",
    "ai_feedback": f"INSERT INTO ai_feedback (message_id, rating) VALUES ({A}, 'down')",
    "ai_memories": "INSERT INTO ai_memories (scope, content) VALUES ('global', 'Prefers tables.')",
    "ai_kb_documents": "INSERT INTO ai_kb_documents (scope, title, content) VALUES ('page:risk', 'Beta', 'What it is')",
    "ai_admin_annotations": f"""INSERT INTO ai_admin_annotations (message_id, admin_user_id, annotation_type, content)
        VALUES ({A}, {A}, 'flag', 'Contradicts itself')""",
}

# Everything the contract names, written out.
WHOLE = {
    "users": f"""INSERT INTO users (id, email, hashed_password, full_name, is_active, created_at, updated_at)
        VALUES ({A}, 'ada@example.com', '$2b$12$x', 'Ada', false, now(), now())""",
    "portfolios": f"""INSERT INTO portfolios (id, user_id, name, account_name, account_type, is_active, description,
        currency, equity_balance, created_at, updated_at, deleted_at)
        VALUES ({A}, {A}, 'Core', 'IRA', 'ira', true, 'For later', 'EUR', 12345678901234.56, now(), now(), now())""",
    "agent_conversations": f"""INSERT INTO agent_conversations (id, user_id, mode, provider, provider_thread_id,
        provider_run_id, metadata, created_at, updated_at)
        VALUES ({A}, {A}, 'blue', 'openai', 'thread_1', 'run_1', '{{"page": "risk"}}', now(), now())""",
    "agent_messages": f"""INSERT INTO agent_messages (id, conversation_id, role, content, tool_calls, first_token_ms,
        latency_ms, prompt_tokens, completion_tokens, total_tokens, provider_message_id, error, created_at)
        VALUES ({A}, {A}, 'tool', 'x', '[{{"name": "get_beta"}}]', 1, 2, 3, 4, 7, 'msg_1', '{{"type": "x"}}', now())""",
    "user_activity_events": f"""INSERT INTO user_activity_events (id, user_id, session_id, event_type, event_category,
        event_data, error_code, error_message, ip_address, user_agent, created_at)
        VALUES ({A}, {A}, 's-1', 'onboarding.login_error', 'onboarding', '{{"n": 1}}', 'AUTH_001', 'Wrong password',
        'ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255', 'Firefox', now())""",
    "ai_request_metrics": f"""INSERT INTO ai_request_metrics (id, conversation_id, message_id, user_id, model,
        input_tokens, output_tokens, total_tokens, first_token_ms, total_latency_ms, tool_calls_count, tool_calls,
        error_type, error_message, created_at)
        VALUES ({A}, {A}, {A}, {A}, 'gpt-5', 1, 2, 3, 4, 5, 1, '{{"tools": [{{"name": "get_beta", "id": "c1"}}]}}',
        'rate_limit_exceeded', 'Slow down', now())""",
    "batch_run_history": f"""INSERT INTO batch_run_history (id, batch_run_id, triggered_by, started_at, completed_at,
        status, total_jobs, completed_jobs, failed_jobs, phase_durations, error_summary, portfolio_id, activity_log,
        created_at)
        VALUES ({A}, 'b-1', 'sam@example.com', now(), now(), 'partial', 3, 2, 1, '{{"phase_1_market_data": 12.5}}',
        '{{"count": 1}}', {A}, '[{{"level": "info", "message": "x"}}]', now())""",
    "daily_metrics": f"""INSERT INTO daily_metrics (id, date, metric_type, metric_value, dimensions, created_at)
        VALUES ({A}, '2026-11-16', 'ai_requests.model_breakdown', 999999999999.9999, '{{"key": "gpt-5"}}', now())""",
    "admin_users": f"""INSERT INTO admin_users (id, email, hashed_password, full_name, role, is_active, created_at,
        updated_at, last_login_at)
        VALUES ({A}, 'i@x.io', '$2b$12$x', 'Ines', 'super_admin', true, now(), now(), now())""",
    "admin_sessions": f"""INSERT INTO admin_sessions (id, admin_user_id, token_hash, ip_address, user_agent, created_at,
        expires_at) VALUES ({A}, {A}, repeat('0a', 32), '203.0.113.9', 'Firefox', now(), now())""",
    "ai_feedback": f"""INSERT INTO ai_feedback (id, message_id, rating, edited_text, comment, created_at)
        VALUES ({A}, {A}, 'up', 'Better so', 'Thanks', now())""",
    "ai_memories": f"""INSERT INTO ai_memories (id, user_id, tenant_id, scope, content, tags, created_at)
        VALUES ({A}, {A}, {A}, 'tenant', 'Prefers tables.', '{{"category": "style", "confidence": 0.9}}', now())""",
    "ai_kb_documents": f"""INSERT INTO ai_kb_documents (id, scope, title, content, metadata, embedding, created_at,
        updated_at) VALUES ({A}, 'feedback:positive_example', 'Beta', 'What it is', '{{"lang": "en"}}',
        array_fill(0.5, ARRAY[1536])::vector, now(), now())""",
    "ai_admin_annotations": f"""INSERT INTO ai_admin_annotations (id, message_id, admin_user_id, annotation_type,
        content, suggested_response, severity, tags, status, created_at, updated_at)
        VALUES ({A}, {A}, {A}, 'correction', 'Wrong sign', 'It is –1.2', 'critical', '["accuracy"]', 'applied', now(),
        now())""",
}


def sql(table, statement, params=None):
    """What the statement returns, run in the database that the table lives in."""
    with connections["metro" if table in METRO else "default"].cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall() if cursor.description else []


def refused(table, statement, error=IntegrityError, match=""):
    with pytest.raises(error, match=match), transaction.atomic("metro" if table in METRO else "default"):
        sql(table, statement)


def inserted(table, statement):
    """The row that the INSERT makes, by column."""
    if table in PARENTS:
        sql(table, PARENTS[table])
    ((row,),) = sql(table, f"WITH new AS ({statement} RETURNING *) SELECT to_jsonb(new) FROM new")
    return json.loads(row)


def columns(table):
    """The table's columns as the contract would write them."""
    rows = sql(
        table,
        """
        SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
          FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
        """,
        [table],
    )
    return {name: definition(*of_column) for name, *of_column in rows}


def definition(kind, not_null, default):
    words = [kind.replace("character varying", "varchar").replace("timestamp with time zone", "timestamptz")]
    if not_null:
        words.append("not null")
    if default is not None:
        bare = re.sub(r"::[a-z ]+(\(\d+\))?$", "", default)
        words.append("default " + bare.replace("CURRENT_TIMESTAMP", "now()"))
    return " ".join(words)


@pytest.mark.parametrize("table", COLUMNS)
def test_the_columns_are_those_of_the_contract(table):
    found = columns(table)
    assert {name: found.get(name) for name in COLUMNS[table]} == COLUMNS[table]


@pytest.mark.parametrize("table", COLUMNS)
def test_what_is_added_to_the_contract_is_nullable_or_has_a_default(table):
    added = {name: text for name, text in columns(table).items() if name not in COLUMNS[table]}
    assert [name for name, text in added.items() if "not null" in text and "default" not in text] == []


@pytest.mark.parametrize("table", LEAST)
def test_an_insert_of_the_least_gets_the_contracts_defaults(table):
    row = inserted(table, LEAST[table])
    assert uuid.UUID(row["id"]).version == 4
    named = re.search(rf"INSERT INTO {table} \(([^)]*)\)", LEAST[table])
    assert named is not None
    given = {name.strip() for name in named[1].split(",")}
    for name, text in COLUMNS[table].items():
        _, has_default, default = text.partition(" default ")
        if name in given or name == "id":
            continue
        if not has_default:
            assert "not null" not in text, f"the least must name {name}"
            assert row[name] is None
        elif default == "now()":
            assert row[name] == sql(table, "SELECT to_jsonb(now())")[0][0].strip('"')
        else:
            expected = {"'{}'": {}, "'[]'": [], "0": 0, "true": True}.get(default, default.strip("'"))
            assert row[name] == expected, name


@pytest.mark.parametrize("table", WHOLE)
def test_an_insert_of_every_column_keeps_every_value(table):
    named = re.search(rf"INSERT INTO {table} \(([^)]*)\)", WHOLE[table])
    assert named is not None
    assert {name.strip() for name in named[1].split(",")} == set(COLUMNS[table])
    row = inserted(table, WHOLE[table])
    assert all(row[name] is not None for name in COLUMNS[table])


def test_uuid_keys_are_made_by_the_database_one_per_row():
    made = sql(
        "ai_feedback", f"INSERT INTO ai_feedback (message_id, rating) VALUES ({A}, 'up'), ({A}, 'up') RETURNING id"
    )
    assert len(set(made)) == 2


# --- What may be there only once ---


@pytest.mark.parametrize(
    ("table", "again"),
    [
        ("users", LEAST["users"]),
        ("portfolios", LEAST["portfolios"]),
        ("daily_metrics", LEAST["daily_metrics"]),
        ("admin_users", LEAST["admin_users"]),
        ("admin_users", LEAST["admin_users"].replace("i@x.io", "I@X.io")),
    ],
)
def test_it_is_there_only_once(table, again):
    inserted(table, LEAST[table])
    refused(table, again, match="duplicate key")


def test_the_same_account_name_may_serve_two_people_and_a_batch_id_two_runs():
    inserted("portfolios", LEAST["portfolios"])
    other = "'bbbbbbbb-0000-4000-8000-000000000002'"
    sql("users", PARENTS["portfolios"].replace(A, other).replace("p@x.io", "q@x.io"))
    sql("portfolios", LEAST["portfolios"].replace(A, other))
    for _ in range(2):
        sql("batch_run_history", LEAST["batch_run_history"])


def test_daily_metrics_differ_by_dimensions_whatever_the_order_of_keys():
    def insert(dimensions):
        return f"""INSERT INTO daily_metrics (date, metric_type, metric_value, dimensions)
            VALUES ('2026-11-16', 'x', 1, {dimensions})"""

    sql("daily_metrics", insert("""'{"a": 1, "b": 2}'"""))
    sql("daily_metrics", insert("""'{"a": 1}'"""))
    refused("daily_metrics", insert("""'{"b": 2, "a": 1}'"""), match="duplicate key")
    refused("daily_metrics", insert("NULL"), match="null value")


# --- What hangs on what ---


def test_deleting_a_conversation_deletes_its_messages():
    inserted("agent_messages", LEAST["agent_messages"])
    sql("agent_conversations", f"DELETE FROM agent_conversations WHERE id = {A}")
    assert sql("agent_messages", "SELECT count(*) FROM agent_messages") == [(0,)]


def test_deleting_an_admin_deletes_their_sessions():
    inserted("admin_sessions", LEAST["admin_sessions"])
    sql("admin_users", f"DELETE FROM admin_users WHERE id = {A}")
    assert sql("admin_sessions", "SELECT count(*) FROM admin_sessions") == [(0,)]


@pytest.mark.parametrize("table", ["agent_messages", "admin_sessions"])
def test_there_is_no_message_or_session_of_nobody(table):
    refused(table, LEAST[table], match="foreign key")


def test_there_is_no_portfolio_of_nobody():
    with connections["default"].cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    refused("portfolios", LEAST["portfolios"], match="foreign key")


def test_conversations_events_and_requests_may_name_people_that_are_gone():
    for table in ("agent_conversations", "user_activity_events", "ai_request_metrics"):
        inserted(table, WHOLE[table])


# --- What is not taken ---


@pytest.mark.parametrize(
    ("table", "good", "bad"),
    [
        ("agent_messages", "'assistant'", "'developer'"),
        ("batch_run_history", "'running'", "'done'"),
        ("ai_feedback", "'down'", "'sideways'"),
        ("ai_memories", "'global'", "'world'"),
        ("ai_admin_annotations", "'flag'", "'praise'"),
    ],
)
def test_closed_lists_are_closed(table, good, bad):
    assert good in LEAST[table]
    refused(table, LEAST[table].replace(good, bad), match="check constraint")


@pytest.mark.parametrize(
    ("table", "good", "bad"),
    [
        ("admin_users", "'super_admin'", "'root'"),
        ("ai_admin_annotations", "'critical'", "'grave'"),
        ("ai_admin_annotations", "'applied'", "'rejected'"),
    ],
)
def test_closed_lists_of_columns_with_a_default_are_closed_too(table, good, bad):
    assert good in WHOLE[table]
    refused(table, WHOLE[table].replace(good, bad), match="check constraint")


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("agent_messages", ["user", "assistant", "system", "tool"]),
        ("batch_run_history", ["running", "completed", "failed", "partial"]),
        ("ai_feedback", ["down", "up"]),
        ("ai_memories", ["global", "user", "portfolio", "tenant"]),
        ("ai_admin_annotations", ["flag", "correction", "improvement", "approved"]),
    ],
)
def test_closed_lists_hold_all_of_the_contracts_values(table, values):
    if table in PARENTS:
        sql(table, PARENTS[table])
    written = next(value for value in values if f"'{value}'" in LEAST[table])
    for value in values:
        sql(table, LEAST[table].replace(f"'{written}'", f"'{value}'"))


@pytest.mark.parametrize(
    ("table", "column", "length"),
    [
        (table, name, int(match[1]))
        for table, of_table in COLUMNS.items()
        for name, text in of_table.items()
        if (match := re.match(r"varchar\((\d+)\)", text))
        # Closed lists are held shorter still.
        and name not in {"role", "status", "rating", "annotation_type", "severity"}
        and (table, name) != ("ai_memories", "scope")
    ],
)
def test_text_may_be_as_long_as_the_contract_says_and_no_longer(table, column, length):
    row = inserted(table, WHOLE[table])
    update = f"UPDATE {table} SET {column} = repeat('ü', %s) WHERE id = '{row['id']}' RETURNING length({column})"
    assert sql(table, update % length) == [(length,)]
    refused(table, update % (length + 1), DataError, "too long")


# --- What is data, not an error ---


@pytest.mark.parametrize("kind", ["onboarding.kyc_retry", "nobody.heard.of.it", "nodot", "ünïcode.✓", ""])
def test_event_types_that_nobody_has_heard_of_are_data(kind):
    sql(
        "user_activity_events",
        "INSERT INTO user_activity_events (event_type, event_category) VALUES (%s, %s)",
        [kind, kind.split(".")[0]],
    )
    assert Event.objects.get().event_type == kind


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (
            '{"tools": [{"name": "get_beta", "id": "c1"}, {"name": "get_prices", "id": "c2"}]}',
            ["get_beta", "get_prices"],
        ),
        ('[{"name": "get_beta"}, {"name": "get_prices"}]', ["get_beta", "get_prices"]),
        ("[]", []),
        ('{"tools": []}', []),
    ],
)
def test_tool_calls_are_read_in_both_shapes(written, names):
    sql(
        "ai_request_metrics",
        f"INSERT INTO ai_request_metrics (conversation_id, message_id, model, tool_calls) VALUES ({A}, {A}, 'm', %s)",
        [written],
    )
    assert [call.name for call in read_tool_calls(AIRequest.objects.get().tool_calls)] == names


@pytest.mark.parametrize("content", ["word " * 300_000, "".join(f"w{n} " for n in range(200_000)), "ü" * 500_000])
def test_an_answer_of_any_length_is_taken(content):
    sql("agent_messages", PARENTS["agent_messages"])
    sql(
        "agent_messages",
        f"INSERT INTO agent_messages (conversation_id, role, content) VALUES ({A}, 'assistant', %s)",
        [content],
    )


# --- Newer installations ---


def test_columns_of_newer_installations_break_nothing():
    sql(
        "users",
        """
        ALTER TABLE users
          ADD clerk_user_id varchar(255) UNIQUE, ADD tier varchar(20) NOT NULL DEFAULT 'free',
          ADD invite_validated boolean NOT NULL DEFAULT false, ADD ai_messages_used integer NOT NULL DEFAULT 0,
          ADD ai_messages_reset_at timestamptz
        """,
    )
    sql("users", LEAST["users"].replace("(email", "(clerk_user_id, tier, email").replace("('ada", "('c1', 'pro', 'ada"))
    ada = User.objects.get(email="ada@example.com")
    ada.full_name = "Ada L."
    ada.save()
    User.objects.create(email="new@example.com", hashed_password="!", full_name="New")
    assert sql("users", "SELECT clerk_user_id, tier, full_name FROM users ORDER BY tier DESC") == [
        ("c1", "pro", "Ada L."),
        (None, "free", "New"),
    ]


@pytest.mark.parametrize("table", ["user_activity_events", "ai_request_metrics"])
def test_a_column_added_to_a_raw_table_is_there_on_every_day_and_in_quarantine(table):
    sql(table, f"ALTER TABLE {table} ADD trace_id text DEFAULT 'none'")
    assert inserted(table, LEAST[table])["trace_id"] == "none"
    insert = (
        LEAST[table].replace("(", "(created_at, trace_id, ", 1).replace("VALUES (", "VALUES ('1999-01-01', 't-1', ")
    )
    sql(table, insert)
    assert sql(table, "SELECT row_data->>'trace_id' FROM quarantined_rows") == [("t-1",)]


# --- Vectors ---


def test_the_index_of_embeddings_is_hnsw_by_cosine_as_the_application_made_it():
    ((text,),) = sql(
        "ai_kb_documents",
        "SELECT indexdef FROM pg_indexes WHERE tablename = 'ai_kb_documents' AND indexdef LIKE '%hnsw%'",
    )
    assert text.endswith("USING hnsw (embedding vector_cosine_ops) WITH (m='16', ef_construction='64')")


def test_the_nearest_documents_are_found_through_that_index():
    inserted("ai_kb_documents", WHOLE["ai_kb_documents"])
    sql("ai_kb_documents", "SET LOCAL enable_seqscan = off")
    plan = sql(
        "ai_kb_documents",
        "EXPLAIN SELECT id FROM ai_kb_documents ORDER BY embedding <=> array_fill(1, ARRAY[1536])::vector LIMIT 5",
    )
    assert "Index Scan using ix_kb_document_embedding" in plan[0][0] + plan[1][0]


def test_an_embedding_of_another_length_is_refused():
    refused(
        "ai_kb_documents",
        "INSERT INTO ai_kb_documents (scope, title, content, embedding) VALUES ('global', 't', 'c', '[1,2,3]')",
        DataError,
        "expected 1536 dimensions",
    )


# --- Reading ---


@pytest.mark.parametrize("name", ["message_id", "status", "annotation_type"])
def test_annotations_are_indexed_as_the_contract_says(name):
    found = sql("ai_admin_annotations", "SELECT indexdef FROM pg_indexes WHERE tablename = 'ai_admin_annotations'")
    assert any(f"({name}" in text for (text,) in found)


@pytest.mark.parametrize("table", ["user_activity_events", "ai_request_metrics"])
def test_raw_tables_are_partitioned_by_the_time_a_row_was_made(table):
    assert sql(table, "SELECT pg_get_partkeydef(%s::regclass)", [table]) == [("RANGE (created_at)",)]
