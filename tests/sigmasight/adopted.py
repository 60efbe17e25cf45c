"""What the tests of adoption share."""

from __future__ import annotations

import datetime as dt
import io
from contextlib import contextmanager

from django.core.management import call_command
from django.db import connections

from sigmasight.adoption.adopting import State, prepare
from sigmasight.adoption.target import drop
from sigmasight.lib import partition_migrations
from sigmasight.lib.partitions import ensure_around
from tests.sigmasight.original import House

RAW = ("user_activity_events", "ai_request_metrics")
EVENT = "INSERT INTO user_activity_events (event_type, event_category, created_at) VALUES ('{}', 'chat', {})"


@contextmanager
def opened(blocker, *, one=False, few_days=True):
    """A house while a test runs, or a module. With `few_days` the migrations make fewer partitions: most of the time
    would go into making and dropping them."""
    whole = partition_migrations.ensure_around

    def few(table, today, behind, ahead, using):
        return ensure_around(table, today, 0, 6, using)

    house = House(one=one)
    if few_days:
        partition_migrations.ensure_around = few
    try:
        with blocker.unblock():
            house.open()
            try:
                yield house
            finally:
                house.close()
    finally:
        partition_migrations.ensure_around = whole


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
        drop(connections[alias].cursor())
        connections[alias].cursor().execute("ALTER TABLE django_migrations_elsewhere RENAME TO django_migrations")
