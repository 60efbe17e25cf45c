"""Raw rows by the million, made in the database itself: the same people and habits at every size.

Thirty UTC days up to `until`, each with its morning, noon and night, rows in order of time as a writer leaves them. A
tenth of the size is a tenth of the rows and of the people: what is had a person, a day and an hour stays the same, and
so do models, tools, errors and latencies. The same size and the same moment give the same rows but for their ids.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.numeric import Int8

DAYS = 30
USERS_PER_EVENT = 0.04
# Of all people, those who signed up within the thirty days; of those who tried, how many did.
NEW_SHARE, REGISTERED_SHARE = 0.45, 0.72
# Of those who signed up, how many came through the hosted identity provider, which sends no events.
HOSTED_SHARE = 0.12
REQUESTS_PER_CONVERSATION = 4
THUMBS_PER_REQUEST = 0.01
RAW_TABLES = ("user_activity_events", "ai_request_metrics")

# Name, share of the requests, mean and spread of the latency's logarithm (ms), its first token's share of the latency.
MODELS = (
    ("gpt-5-mini", 0.46, 7.4, 0.45, 0.22),
    ("gpt-5", 0.24, 8.3, 0.55, 0.30),
    ("claude-sonnet-5", 0.17, 8.0, 0.50, 0.18),
    ("gemini-3-flash", 0.09, 6.9, 0.60, 0.25),
    ("o5-deep-research", 0.04, 9.9, 0.70, 0.60),
)
ERRORS = ("api_failure", "incomplete_response", "rate_limit_exceeded", "internal_error", "STREAM_FAILED")
TOOLS = (
    "get_portfolio_complete", "get_positions", "get_prices", "get_factor_exposures", "get_risk_metrics",
    "run_stress_test", "search_knowledge", "get_news", "get_correlations", "compare_benchmark", "get_tax_lots",
    "draft_report",
)  # fmt: skip
# What people do once they are there, and how often; those of the sign-up come on top.
HABITS = (
    ("chat.message_sent", 0.52),
    ("auth.token_refresh", 0.21),
    ("chat.session_start", 0.14),
    ("onboarding.login_success", 0.07),
    ("auth.logout", 0.04),
    ("chat.feedback_given", 0.02),
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything, and up to when."""

    requests: int
    events: int
    until: dt.datetime

    @property
    def users(self) -> int:
        return max(round(self.events * USERS_PER_EVENT), 20)

    @property
    def settled(self) -> int:
        """People who were there before the thirty days. They are the first; the others follow in order of days."""
        return round(self.users * (1 - NEW_SHARE))

    @property
    def first(self) -> dt.datetime:
        midnight = self.until.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - (DAYS - 1) * dt.timedelta(days=1)

    @property
    def conversations(self) -> int:
        return max(self.requests // REQUESTS_PER_CONVERSATION, 1)

    @property
    def _of_today(self) -> float:
        """How much of today is over, as a share, 0 to 1."""
        return (self.until - self.first) / dt.timedelta(days=1) - (DAYS - 1)

    def tenth(self) -> Size:
        return Size(self.requests // 10, self.events // 10, self.until)

    def params(self, day: int = 0) -> dict[str, Any]:
        """What the statements are told about one of the days."""
        whole = DAYS - 1 + self._of_today
        # Today's rows come at a whole day's rate; what would lie after `until` is left out.
        new_a_day = (self.users - self.settled) / whole
        new_from = int(self.settled + new_a_day * day)
        sign_ups = int(self.settled + new_a_day * (day + 1)) - new_from
        tries = round(sign_ups / REGISTERED_SHARE)
        talks = [round(self.conversations / whole * each) for each in (day, day + 1)]
        habits = max(self.events / whole - tries * 3.7, 0)
        told = {
            "start": self.first + day * dt.timedelta(days=1),
            "until": self.until,
            "users": self.users,
            "settled": self.settled,
            "new_from": new_from,
            "sign_ups": sign_ups,
            "tries": tries,
            "habits": round(habits),
            "requests": round(self.requests / whole),
            "conversations": self.conversations,
            "conversation_from": talks[0],
            "conversations_a_day": talks[1] - talks[0],
            "per": REQUESTS_PER_CONVERSATION,
            "hosted": HOSTED_SHARE,
            "thumbs": THUMBS_PER_REQUEST,
        }
        # As small as they are, PostgreSQL would reckon with them in 16 bits.
        return {name: Int8(each) if isinstance(each, int) else each for name, each in told.items()}


def _pick(luck: str, choices: tuple[tuple[Any, ...], ...], column: int = 0) -> str:
    """SQL that picks by share: `luck` is an expression between 0 and 1, a choice's second member its share."""
    edge, lines = 0.0, []
    for choice in choices[:-1]:
        edge += choice[1]
        lines.append(f"WHEN {luck} < {edge:.4f} THEN {_literal(choice[column])}")
    return f"CASE {' '.join(lines)} ELSE {_literal(choices[-1][column])} END"


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else repr(value)


def _one_of(names: tuple[str, ...], luck: str) -> str:
    """SQL that picks one, the first ones more often."""
    return f"(ARRAY[{', '.join(map(_literal, names))}])[1 + floor({len(names)} * power({luck}, 1.7))::int]"


def _user(number: str) -> str:
    return f"md5('bench user ' || ({number}))::uuid"


def _conversation(number: str) -> str:
    return f"md5('bench conversation ' || ({number}))::uuid"


def message(talk: str, turn: str) -> str:
    """SQL for the id of a conversation's message: questions have even turns, answers odd ones."""
    return f"md5('bench message ' || ({talk}) || ' ' || ({turn}))::uuid"


def _when(share: str) -> str:
    """The moment of a day at which that share (0 to 1) of its traffic is over: quiet nights, busy afternoons."""
    return (
        f"%(start)s::timestamptz + interval '1 day' * (({share}) + 0.6 / (2 * pi())"
        f" * (sin(2 * pi() * (({share}) - 0.09)) + sin(2 * pi() * 0.09)))"
    )


# Anybody, some far more often than others; only who was there already on that day.
_ANYBODY = "floor(%(new_from)s * power({luck}, 2))::bigint"
_HASHED = "((hashint8({number}) + 2147483648.0) / 4294967296.0)"
_OWNER = _ANYBODY.format(luck=_HASHED.format(number="{number}"))

# How far people come is told by their number alone, so that events and records agree.
_LUCK = _HASHED.format(number="{number}")
# When those who signed up have their portfolio: after ten minutes to three days.
_LATER = "600 * exp(6 * mod(({luck} * 97)::numeric, 1))"
_HAS_PORTFOLIO = 0.55

SETTLED = f"""
    INSERT INTO users (id, email, hashed_password, full_name, created_at, updated_at)
    SELECT {_user("n")}, 'bench-' || n || '@example.com', '!', 'Bench ' || n, at, at
      FROM (SELECT n, %(start)s::timestamptz - interval '1 year' * random() AS at
              FROM generate_series(0::bigint, %(settled)s - 1) AS n OFFSET 0) AS people
"""
SIGNED_UP = f"""
    INSERT INTO users (id, email, hashed_password, full_name, created_at, updated_at)
    SELECT {_user("%(new_from)s + n")}, 'bench-' || %(new_from)s + n || '@example.com', '!', 'Bench', at, at
      FROM (SELECT n, {_when("mod(n * 0.6180339887, 1)")} + interval '40 seconds' AS at
              FROM generate_series(0, %(sign_ups)s - 1) AS n) AS people
     WHERE at < %(until)s
"""
SETTLED_PORTFOLIOS = """
    INSERT INTO portfolios (user_id, name, account_name, created_at, updated_at)
    SELECT id, 'Portfolio', 'Main', created_at + interval '1 hour', created_at + interval '1 hour'
      FROM users WHERE random() < 0.8
"""
PORTFOLIOS = f"""
    INSERT INTO portfolios (user_id, name, account_name, created_at, updated_at)
    SELECT {_user("number")}, 'Portfolio', 'Main', at, at
      FROM (SELECT number, at + interval '1 second' * {_LATER.format(luck=_LUCK.format(number="number"))} AS at
              FROM (SELECT %(new_from)s + n AS number, {_when("mod(n * 0.6180339887, 1)")} AS at
                      FROM generate_series(0, %(sign_ups)s - 1) AS n) AS signed_up
             WHERE {_LUCK.format(number="number")} < {_HAS_PORTFOLIO} AND at < %(until)s) AS made
     WHERE at < %(until)s
"""
# A day's conversations: number and beginning.
BEGUN = f"""
    (SELECT n, {_when("(n - %(conversation_from)s) / %(conversations_a_day)s::float8")} AS at
       FROM generate_series(%(conversation_from)s::bigint,
                            %(conversation_from)s + %(conversations_a_day)s - 1) AS n) AS begun
"""
CONVERSATIONS = f"""
    INSERT INTO agent_conversations (id, user_id, created_at, updated_at)
    SELECT {_conversation("n")}, {_user(_OWNER.format(number="n"))}, at, at FROM {BEGUN} WHERE at < %(until)s
"""

# A person's way in, by its number that day: `share` says when, and is not tied to how far they come.
ONBOARDING = f"""
    INSERT INTO user_activity_events (user_id, session_id, event_type, event_category, event_data, error_code,
                                      error_message, ip_address, user_agent, created_at)
    WITH tried AS MATERIALIZED (
        SELECT n, n < %(sign_ups)s AS registers, random() < %(hosted)s AS is_hosted,
               {_LUCK.format(number="%(new_from)s + n")} AS luck,
               CASE WHEN random() < 0.93 THEN 'bench-' || to_char(%(start)s, 'YYMMDD') || '-' || n END AS session_id,
               {_user("%(new_from)s + n")} AS user_id,
               {_when("mod(n * 0.6180339887, 1)")} AS at,
               CASE WHEN random() < 0.4 THEN 'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) Safari/605.1'
                    ELSE 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0 Safari/537.36' END AS user_agent,
               '10.' || n %% 250 || '.0.7' AS ip
          FROM generate_series(0, %(tries)s - 1) AS n
    ), steps AS (
        SELECT tried.*, step.*
          FROM tried CROSS JOIN LATERAL (SELECT {_LATER.format(luck="luck")} AS later) AS slow
         CROSS JOIN LATERAL (VALUES
              ('onboarding.register_start', FALSE, 0.0, NULL, NULL, TRUE),
              ('onboarding.register_error', FALSE, 20.0,
               (ARRAY['EMAIL_TAKEN', 'PASSWORD_WEAK', 'EMAIL_INVALID'])[1 + floor(3 * random())::int], 'Not accepted',
               NOT registers AND luck < 0.7 OR luck < 0.08),
              ('onboarding.register_complete', TRUE, 45.0, NULL, NULL, registers),
              ('onboarding.login_error', FALSE, 60.0, 'LOGIN_FAILED', 'Wrong password', registers AND luck < 0.1),
              ('onboarding.login_success', TRUE, 90.0, NULL, NULL, registers AND luck < 0.94),
              ('onboarding.portfolio_start', TRUE, 0.5 * later, NULL, NULL, registers AND luck < 0.75),
              ('onboarding.portfolio_error', TRUE, 0.7 * later,
               (ARRAY['CSV_UNREADABLE', 'TICKER_UNKNOWN', 'QUOTE_TIMEOUT', 'DUPLICATE_ACCOUNT'])
                   [1 + floor(4 * power(random(), 2))::int], 'The file could not be read',
               registers AND (luck < 0.12 OR luck BETWEEN 0.55 AND 0.75)),
              ('onboarding.portfolio_complete', TRUE, later, NULL, NULL, registers AND luck < {_HAS_PORTFOLIO})
          ) AS step (event_type, is_known, after_seconds, error_code, error_message, happens)
         WHERE step.happens AND NOT (registers AND is_hosted AND step.event_type LIKE '%%.register_%%')
    )
    SELECT CASE WHEN is_known THEN user_id END, session_id, event_type, 'onboarding', '{{}}', error_code, error_message,
           ip, user_agent, at + interval '1 second' * after_seconds
      FROM steps WHERE at + interval '1 second' * after_seconds < %(until)s
"""
HABIT = f"""
    INSERT INTO user_activity_events (user_id, session_id, event_type, event_category, event_data, error_code,
                                      error_message, ip_address, user_agent, created_at)
    SELECT {_user("person")}, 'bench-' || to_char(%(start)s, 'YYMMDD') || '-u' || person, event_type,
           split_part(event_type, '.', 1), '{{"source": "web"}}', error_code,
           CASE WHEN error_code IS NOT NULL THEN 'The service did not answer' END, '10.0.' || person %% 250 || '.7',
           CASE WHEN person %% 3 = 0 THEN 'Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) Safari/605.1'
                ELSE 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0 Safari/537.36' END, at
      FROM (SELECT {_ANYBODY.format(luck="random()")} AS person, {_pick("luck", HABITS)} AS event_type,
                   CASE WHEN random() < 0.004 THEN 'SESSION_EXPIRED' END AS error_code, at
              FROM (SELECT random() AS luck, {_when("n / %(habits)s::float8")} AS at
                      FROM generate_series(0, %(habits)s - 1) AS n OFFSET 0) AS lucky
             WHERE at < %(until)s OFFSET 0) AS done
"""


def _call(number: int) -> str:
    """SQL for one entry of `tool_calls`, as JSON text."""
    return (
        f"""'{{"name": "' || {_one_of(TOOLS, "random()")} || '", "id": "call_{number}", "duration_ms": ' """
        '|| round(exp(random_normal(5, 0.8)))::int || CASE WHEN random() < 0.02 THEN \', "error": "timeout"\' '
        "ELSE '' END || '}'"
    )


REQUESTS = f"""
    INSERT INTO ai_request_metrics (conversation_id, message_id, user_id, model, input_tokens, output_tokens,
        total_tokens, cached_tokens, first_token_ms, total_latency_ms, tool_calls_count, tool_calls, error_type,
        error_message, created_at)
    SELECT {_conversation("talk")}, {message("talk", "2 * turn + 1")}, {_user(_OWNER.format(number="talk"))}, model,
           tokens_in, tokens_out, tokens_in + tokens_out,
           CASE WHEN luck < 0.6 THEN floor(tokens_in * 0.9 * luck)::int END,
           CASE WHEN error_type IS NULL THEN floor(latency * first_share * (0.5 + luck))::int END,
           CASE WHEN error_type IS NULL OR luck < 0.5 THEN latency END, used,
           CASE WHEN used > 0 AND luck < 0.5 THEN ('{{"tools": [' || calls || ']}}')::jsonb
                WHEN used > 0 THEN ('[' || calls || ']')::jsonb END,
           error_type, CASE WHEN error_type IS NOT NULL THEN 'The provider said no (' || error_type || ')' END, at
      FROM (SELECT talk, turn, at, random() AS luck, model, used, first_share,
                   exp(random_normal(log_mean, log_spread))::int AS latency,
                   CASE WHEN random() < 0.98 THEN exp(random_normal(7.6, 0.7))::int END AS tokens_in,
                   exp(random_normal(5.4, 0.8))::int AS tokens_out,
                   CASE WHEN random() < 0.03 THEN {_one_of(ERRORS, "random()")} END AS error_type,
                   CASE WHEN used > 0 THEN {_call(1)} || CASE WHEN used > 1 THEN ', ' || {_call(2)} ELSE '' END
                        || CASE WHEN used > 2 THEN ', ' || {_call(3)} ELSE '' END END AS calls
              FROM (SELECT %(conversation_from)s + least(n / %(per)s, %(conversations_a_day)s - 1) AS talk,
                           mod(n, %(per)s) AS turn, at, {_pick("which", MODELS)} AS model,
                           {_pick("which", MODELS, 2)} AS log_mean, {_pick("which", MODELS, 3)} AS log_spread,
                           {_pick("which", MODELS, 4)} AS first_share,
                           CASE WHEN tool_luck < 0.4 THEN 0 WHEN tool_luck < 0.72 THEN 1 WHEN tool_luck < 0.9 THEN 2
                                ELSE 3 END AS used
                      FROM (SELECT n, random() AS which, random() AS tool_luck,
                                   {_when("n / %(requests)s::float8")} AS at
                              FROM generate_series(0::bigint, %(requests)s - 1) AS n OFFSET 0) AS lucky
                     WHERE at < %(until)s OFFSET 0) AS asked
             OFFSET 0) AS answered
"""
FEEDBACK = f"""
    INSERT INTO ai_feedback (message_id, rating, created_at)
    SELECT gen_random_uuid(), CASE WHEN random() < 0.25 THEN 'down' ELSE 'up' END, at
      FROM (SELECT {_when("luck")} AS at
              FROM (SELECT random() AS luck
                      FROM generate_series(1, ceil(%(requests)s * %(thumbs)s)::int) OFFSET 0) AS lucky) AS given
     WHERE at < %(until)s
"""


def people(connection: psycopg.Connection[Any], size: Size) -> None:
    """Users, their portfolios and conversations."""
    connection.execute("SELECT setseed(0.1)")
    connection.execute(SETTLED, size.params())
    connection.execute(SETTLED_PORTFOLIOS)
    for day in range(DAYS):
        for statement in (SIGNED_UP, PORTFOLIOS, CONVERSATIONS):
            connection.execute(statement, size.params(day))


def events(connection: psycopg.Connection[Any], size: Size) -> None:
    connection.execute("SELECT setseed(0.2)")
    for day in range(DAYS):
        connection.execute(ONBOARDING, size.params(day))
        connection.execute(HABIT, size.params(day))


def requests(connection: psycopg.Connection[Any], size: Size) -> None:
    connection.execute("SELECT setseed(0.3)")
    for day in range(DAYS):
        connection.execute(REQUESTS, size.params(day))


def feedback(connection: psycopg.Connection[Any], size: Size) -> None:
    """Thumbs, in metro."""
    connection.execute("SELECT setseed(0.4)")
    for day in range(DAYS):
        connection.execute(FEEDBACK, size.params(day))


def without_indexes(connection: psycopg.Connection[Any], table: str, load: Callable[[], None]) -> None:
    """Loads with the table's secondary indexes away, then makes them again: several times as fast as beside them."""
    found = connection.execute(
        """
        SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
         WHERE indrelid = %s::regclass AND NOT indisprimary AND NOT indisunique
        """,
        [table],
    ).fetchall()
    for name, _ in found:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    load()
    for _, definition in found:
        # PostgreSQL writes ON ONLY for a partitioned table, which would leave the partitions without.
        connection.execute(definition.replace(" ON ONLY ", " ON ", 1))


def everything(gondola: str, metro: str, size: Size) -> None:
    """Fills two empty, migrated databases (as libpq names them), two tables at a time."""
    # Each session that writes it evaluates the same functions; the tables do not meet.
    with ThreadPoolExecutor(2) as pool:
        for done in [
            pool.submit(_table, gondola, "user_activity_events", events, size),
            pool.submit(_table, gondola, "ai_request_metrics", requests, size),
        ]:
            done.result()
    with psycopg.connect(gondola, autocommit=True) as connection:
        people(connection, size)
        connection.execute("VACUUM ANALYZE users, portfolios, agent_conversations")
    with psycopg.connect(metro, autocommit=True) as connection:
        feedback(connection, size)
        connection.execute("VACUUM ANALYZE ai_feedback")


def _table(url: str, table: str, load: Callable[[psycopg.Connection[Any], Size], None], size: Size) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET maintenance_work_mem = '512MB'")
        without_indexes(connection, table, lambda: load(connection, size))
        # What autovacuum does on a server that is not thrown away: without it, nothing is read from an index alone.
        connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))
