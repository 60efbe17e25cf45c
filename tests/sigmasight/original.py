"""Databases as the application and the plan made them, before this product: to be adopted.

The tables that the plan spells out are its own statements, word for word (/work/shared/plan.md); the others follow
`contract/schema.md`, in the manner of the application's migrations (SQLAlchemy's names for indexes and constraints).
"""

from __future__ import annotations

import uuid
from typing import Any

import bcrypt
import psycopg
from django.db import connections
from psycopg import sql

PASSWORD = "correct horse battery staple"
RAW_BCRYPT = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
INES, ADA, TALK, ANSWER = (uuid.UUID(int=number) for number in (1, 2, 3, 4))

# The plan's own words.
EVENTS = """
CREATE TABLE user_activity_events (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID,
    session_id VARCHAR(255),
    event_type VARCHAR(100) NOT NULL,
    event_category VARCHAR(50) NOT NULL,
    event_data JSONB DEFAULT '{}',
    error_code VARCHAR(50),
    error_message TEXT,
    ip_address VARCHAR(45),
    user_agent TEXT,
    created_at TIMESTAMPTZ DEFAULT NOW()
);

-- Indexes for efficient querying
CREATE INDEX ix_user_activity_events_user_id ON user_activity_events(user_id);
CREATE INDEX ix_user_activity_events_session_id ON user_activity_events(session_id);
CREATE INDEX ix_user_activity_events_event_type ON user_activity_events(event_type);
CREATE INDEX ix_user_activity_events_event_category ON user_activity_events(event_category);
CREATE INDEX ix_user_activity_events_error_code ON user_activity_events(error_code);
CREATE INDEX ix_user_activity_events_created_at ON user_activity_events(created_at);
"""
REQUESTS = """
CREATE TABLE ai_request_metrics (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    conversation_id UUID NOT NULL,
    message_id UUID NOT NULL,
    user_id UUID,
    model VARCHAR(100) NOT NULL,
    input_tokens INT,              -- Prompt/input tokens
    output_tokens INT,             -- Completion/output tokens
    total_tokens INT,
    first_token_ms INT,            -- Time to first token
    total_latency_ms INT,          -- Total response time
    tool_calls_count INT DEFAULT 0,
    tool_calls JSONB,              -- Tool names and details
    error_type VARCHAR(100),
    error_message TEXT,
    created_at TIMESTAMPTZ DEFAULT NOW()
);
"""
FIGURES = """
CREATE TABLE batch_run_history (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    batch_run_id VARCHAR(255) NOT NULL,
    triggered_by VARCHAR(255) NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    completed_at TIMESTAMPTZ,
    status VARCHAR(50) NOT NULL,
    total_jobs INT DEFAULT 0,
    completed_jobs INT DEFAULT 0,
    failed_jobs INT DEFAULT 0,
    phase_durations JSONB DEFAULT '{}',
    error_summary JSONB,
    created_at TIMESTAMPTZ DEFAULT NOW()
);

CREATE TABLE daily_metrics (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    date DATE NOT NULL,
    metric_type VARCHAR(100) NOT NULL,
    metric_value NUMERIC(16,4) NOT NULL,
    dimensions JSONB DEFAULT '{}',
    created_at TIMESTAMPTZ DEFAULT NOW(),
    UNIQUE(date, metric_type, dimensions)
);
"""
ANNOTATIONS = """
CREATE TABLE ai_admin_annotations (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    message_id UUID NOT NULL,              -- References agent_messages in Core DB (logical link)
    admin_user_id UUID NOT NULL,           -- References admin_users in Core DB (logical link)
    annotation_type VARCHAR(50) NOT NULL,  -- 'correction', 'improvement', 'flag', 'approved'
    content TEXT NOT NULL,                 -- Admin's comment/correction
    suggested_response TEXT,               -- Optional: what the AI should have said
    severity VARCHAR(20),                  -- 'minor', 'moderate', 'critical'
    tags JSONB DEFAULT '[]',               -- Categorization tags ['tone', 'accuracy', 'completeness']
    status VARCHAR(20) DEFAULT 'pending',  -- 'pending', 'reviewed', 'applied'
    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW()
);

CREATE INDEX ix_ai_admin_annotations_message_id ON ai_admin_annotations(message_id);
CREATE INDEX ix_ai_admin_annotations_status ON ai_admin_annotations(status);
CREATE INDEX ix_ai_admin_annotations_type ON ai_admin_annotations(annotation_type);
"""

# By the contract.
PEOPLE = """
CREATE TABLE users (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    email VARCHAR(255) NOT NULL,
    hashed_password VARCHAR(255) NOT NULL,
    full_name VARCHAR(255) NOT NULL,
    is_active BOOLEAN NOT NULL DEFAULT true,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    clerk_user_id VARCHAR(255) UNIQUE,
    tier VARCHAR(20) NOT NULL DEFAULT 'free'
);
CREATE UNIQUE INDEX ix_users_email ON users(email);

CREATE TABLE portfolios (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users(id),
    name VARCHAR(255) NOT NULL,
    account_name VARCHAR(100) NOT NULL,
    account_type VARCHAR(20) NOT NULL DEFAULT 'taxable',
    is_active BOOLEAN NOT NULL DEFAULT true,
    description VARCHAR(1000),
    currency CHAR(3) NOT NULL DEFAULT 'USD',
    equity_balance NUMERIC(16,2),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    deleted_at TIMESTAMPTZ,
    CONSTRAINT uq_portfolio_user_account_name UNIQUE (user_id, account_name)
);

CREATE TABLE agent_conversations (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL,
    mode VARCHAR(50) NOT NULL DEFAULT 'green',
    provider VARCHAR(32) NOT NULL DEFAULT 'openai',
    provider_thread_id VARCHAR(255),
    provider_run_id VARCHAR(255),
    metadata JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ix_agent_conversations_user_id ON agent_conversations(user_id);

CREATE TABLE agent_messages (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    conversation_id UUID NOT NULL REFERENCES agent_conversations(id) ON DELETE CASCADE,
    role VARCHAR(50) NOT NULL,
    content TEXT,
    tool_calls JSONB,
    first_token_ms INT,
    latency_ms INT,
    prompt_tokens INT,
    completion_tokens INT,
    total_tokens INT,
    provider_message_id VARCHAR(255),
    error JSONB,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ix_agent_messages_conversation_id ON agent_messages(conversation_id);

CREATE TABLE admin_users (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    email VARCHAR(255) NOT NULL UNIQUE,
    hashed_password VARCHAR(255) NOT NULL,
    full_name VARCHAR(255) NOT NULL,
    role VARCHAR(50) DEFAULT 'admin',
    is_active BOOLEAN DEFAULT true,
    created_at TIMESTAMPTZ DEFAULT now(),
    updated_at TIMESTAMPTZ DEFAULT now(),
    last_login_at TIMESTAMPTZ
);

CREATE TABLE admin_sessions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    admin_user_id UUID NOT NULL REFERENCES admin_users(id) ON DELETE CASCADE,
    token_hash VARCHAR(255) NOT NULL,
    ip_address VARCHAR(45),
    user_agent TEXT,
    created_at TIMESTAMPTZ DEFAULT now(),
    expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX ix_admin_sessions_token_hash ON admin_sessions(token_hash);
"""
LEARNING = """
CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE ai_feedback (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    message_id UUID NOT NULL,
    rating VARCHAR(10) NOT NULL,
    edited_text TEXT,
    comment TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ix_ai_feedback_message_id ON ai_feedback(message_id);

CREATE TABLE ai_memories (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID,
    tenant_id UUID,
    scope VARCHAR(20) NOT NULL,
    content TEXT NOT NULL,
    tags JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE ai_kb_documents (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    scope VARCHAR(100) NOT NULL,
    title VARCHAR(500) NOT NULL,
    content TEXT NOT NULL,
    metadata JSONB NOT NULL DEFAULT '{}',
    embedding vector(1536),
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ix_ai_kb_documents_embedding ON ai_kb_documents
    USING hnsw (embedding vector_cosine_ops) WITH (ef_construction = 64, m = 16);
"""
GONDOLA = PEOPLE + EVENTS + REQUESTS + FIGURES
METRO = LEARNING + ANNOTATIONS

# A few of everything, with what the wild has: NULLs that defaults do not prevent, and old daily figures.
GONDOLA_ROWS = f"""
INSERT INTO admin_users (id, email, hashed_password, full_name, role)
     VALUES ('{INES}', 'Ines@example.com', '{RAW_BCRYPT}', 'Ines Marchetti', 'super_admin');
INSERT INTO admin_sessions (admin_user_id, token_hash, expires_at) VALUES ('{INES}', 'of-the-old-backend', now());
INSERT INTO users (id, email, hashed_password, full_name) VALUES ('{ADA}', 'ada.byron@example.com', 'x', 'Ada Byron');
INSERT INTO portfolios (user_id, name, account_name) VALUES ('{ADA}', 'Main', 'ada');
INSERT INTO agent_conversations (id, user_id) VALUES ('{TALK}', '{ADA}');
INSERT INTO agent_messages (id, conversation_id, role, content, created_at) VALUES
       (gen_random_uuid(), '{TALK}', 'user', 'What is my beta?', now() - interval '2 minutes'),
       ('{ANSWER}', '{TALK}', 'assistant', 'It is 1.2.', now() - interval '1 minute');
INSERT INTO batch_run_history (batch_run_id, triggered_by, started_at, status, phase_durations, created_at)
     VALUES ('b1', 'cron', now() - interval '1 day', 'completed', NULL, NULL);
INSERT INTO daily_metrics (date, metric_type, metric_value, dimensions, created_at) VALUES
       ('2026-01-05', 'ai_requests.total', 41, NULL, '2026-01-06 01:00+00'),
       ('2026-01-05', 'ai_requests.total', 42, NULL, '2026-01-07 01:00+00'),
       ('2026-01-05', 'ai_requests.model_breakdown', 42, '{{"key": "gpt-4"}}', '2026-01-06 01:00+00');
INSERT INTO user_activity_events (user_id, session_id, event_type, event_category, created_at)
     SELECT '{ADA}', 's' || n, 'chat.message_sent', 'chat', now() - n * interval '20 minutes'
       FROM generate_series(1, 2000) n;
INSERT INTO ai_request_metrics (conversation_id, message_id, user_id, model, input_tokens, total_latency_ms, created_at)
     SELECT '{TALK}', '{ANSWER}', '{ADA}', 'gpt-4', n, n, now() - n * interval '1 hour'
       FROM generate_series(1, 200) n;
"""
METRO_ROWS = f"""
INSERT INTO ai_feedback (message_id, rating) VALUES ('{ANSWER}', 'down');
INSERT INTO ai_memories (user_id, scope, content) VALUES ('{ADA}', 'user', 'Prefers short answers.');
INSERT INTO ai_kb_documents (scope, title, content) VALUES ('global', 'Beta', 'What beta is.');
INSERT INTO ai_admin_annotations (message_id, admin_user_id, annotation_type, content, status, tags, created_at)
     VALUES ('{ANSWER}', '{INES}', 'flag', 'Which beta?', NULL, NULL, NULL);
"""


class House:
    """The two databases, empty at first, that Django's aliases stand for while a test runs; one, if `one`."""

    def __init__(self, one: bool = False) -> None:
        self.one = one
        self._ordinary = {alias: connections[alias] for alias in ("default", "metro")}
        self.names: dict[str, str] = {}

    def open(self) -> None:
        for alias in ("default", "metro"):
            self.names[alias] = self.names["default"] if self.one and self.names else self._new()
            other = self._ordinary[alias].copy()
            other.settings_dict["NAME"] = self.names[alias]
            connections[alias] = other

    def close(self) -> None:
        for alias, ordinary in self._ordinary.items():
            connections[alias].close()
            connections[alias] = ordinary
        with psycopg.connect(**self._server("postgres"), autocommit=True) as connection:
            for name in set(self.names.values()):
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def connect(self, alias: str = "default", **options: Any) -> psycopg.Connection[Any]:
        """A connection of somebody else's, the application's say."""
        return psycopg.connect(**self._server(self.names[alias]), **options)

    def run(self, statement: str, alias: str = "default") -> list[tuple[Any, ...]]:
        """Runs SQL as the application would; its rows."""
        with self.connect(alias, autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def original(self) -> House:
        """Fills both as the application and the plan would have; itself."""
        self.run(GONDOLA + GONDOLA_ROWS)
        self.run(METRO + METRO_ROWS, "metro")
        return self

    def killed(self, alias: str = "default") -> None:
        """The connection is gone, as if the process had been killed."""
        connections[alias].connection.close()
        connections[alias].connection = None
        connections[alias].in_atomic_block = False
        connections[alias].savepoint_ids = []
        connections[alias].needs_rollback = False

    def _new(self) -> str:
        name = f"adopt_{uuid.uuid4().hex}"
        with psycopg.connect(**self._server("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        return name

    def _server(self, database: str) -> dict[str, Any]:
        params = self._ordinary["default"].get_connection_params()
        return {key: params[key] for key in ("host", "port", "user", "password") if key in params} | {
            "dbname": database
        }
