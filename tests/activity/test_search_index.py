"""The search index on a database in use: built where it is missing, anew where it was left half-built, and once."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction

from activity import searchindex
from activity.searchindex import SearchIndexError, ensure_search_index, index_state
from tests.factories.activity import talk

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def whole(monkeypatch):
    """However a test leaves the index, the next finds it as migrations make it."""
    monkeypatch.setattr(searchindex, "_POLL_SECONDS", 0.01)
    yield
    monkeypatch.undo()
    if index_state() != "ready":
        run(f"DROP INDEX IF EXISTS {searchindex.NAME}")
        ensure_search_index()


def run(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def other_connection():
    """Another client of the same database."""
    settings = connection.settings_dict
    return psycopg.connect(
        host=settings["HOST"], user=settings["USER"], dbname=connection.settings_dict["NAME"], autocommit=True
    )


def break_off():
    """Leaves the index as a build that was killed does: there, and invalid."""
    run(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{searchindex.NAME}'::regclass")


def test_a_fresh_database_has_it():
    assert index_state() == "ready"
    assert ensure_search_index() is False


def test_where_it_is_missing_it_is_built():
    talk("What is my beta?")
    run(f"DROP INDEX {searchindex.NAME}")
    assert index_state() == "missing"
    assert ensure_search_index() is True
    assert index_state() == "ready"
    assert ensure_search_index() is False


def test_where_a_build_was_broken_off_it_is_built_anew():
    break_off()
    assert index_state() == "invalid"
    said = []
    assert ensure_search_index(said.append) is True
    assert index_state() == "ready"
    assert "broken off" in said[0]


def test_a_real_build_that_is_cancelled_leaves_what_the_next_run_repairs():
    talk("What is my beta?")
    run(f"DROP INDEX {searchindex.NAME}")
    with other_connection() as reader:
        # A build waits for whoever reads, so there is time to cancel it.
        reader.autocommit = False
        reader.execute("LOCK TABLE agent_messages IN ROW EXCLUSIVE MODE")
        run("SET lock_timeout = '50ms'")
        with pytest.raises(Exception, match="lock timeout"):
            run(f"CREATE INDEX CONCURRENTLY {searchindex.NAME} ON agent_messages USING gin ({searchindex._EXPRESSION})")
        reader.rollback()
    run("RESET lock_timeout")
    assert index_state() == "invalid"
    assert ensure_search_index() is True
    assert index_state() == "ready"


@pytest.mark.parametrize("state", ["missing", "invalid"])
def test_two_at_once_build_it_once(state):
    if state == "missing":
        run(f"DROP INDEX {searchindex.NAME}")
    else:
        break_off()
    together = threading.Barrier(2, timeout=30)

    def ensure(_):
        try:
            together.wait()
            return ensure_search_index()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(ensure, range(2))) == [False, True]
    assert index_state() == "ready"


def test_writers_go_on_while_it_is_built():
    run(f"DROP INDEX {searchindex.NAME}")
    stop, begun = threading.Event(), threading.Event()
    written = []

    def write():
        with other_connection() as writer:
            while not stop.is_set():
                writer.execute(
                    "WITH talk AS (INSERT INTO agent_conversations (user_id) VALUES (gen_random_uuid()) RETURNING id)"
                    " INSERT INTO agent_messages (conversation_id, role, content) SELECT id, 'user', 'beta' FROM talk"
                )
                written.append(1)
                begun.set()

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            assert begun.wait(30)
            assert ensure_search_index() is True
        finally:
            stop.set()
        writing.result(30)
    assert written
    assert index_state() == "ready"


def test_somebody_elses_build_is_waited_for_and_not_dropped():
    break_off()
    with other_connection() as builder:
        builder.autocommit = False
        builder.execute("LOCK TABLE agent_messages IN SHARE UPDATE EXCLUSIVE MODE")
        said = []
        with pytest.raises(SearchIndexError, match="run this again later"):
            ensure_search_index(said.append, patience=0.1)
        assert "waiting" in said[0]
        builder.rollback()
    assert index_state() == "invalid"
    assert ensure_search_index() is True


def test_an_index_of_that_name_on_something_else_is_left_alone():
    run(f"DROP INDEX {searchindex.NAME}")
    run(f"CREATE INDEX {searchindex.NAME} ON agent_messages USING gin (to_tsvector('simple', content))")
    assert index_state() == "different"
    with pytest.raises(SearchIndexError, match="rename it"):
        ensure_search_index()
    with pytest.raises(CommandError, match="rename it"):
        call_command("ensure_search_index")
    assert index_state() == "different"


def test_within_a_transaction_it_refuses():
    with transaction.atomic(), pytest.raises(SearchIndexError, match="outside"):
        ensure_search_index()


def test_the_roles_own_timeouts_do_not_break_it_off_and_come_back():
    run(f"DROP INDEX {searchindex.NAME}")
    run("SET lock_timeout = '1ms'")
    settings = []
    try:
        with other_connection() as reader:
            reader.autocommit = False
            reader.execute("LOCK TABLE agent_messages IN ROW EXCLUSIVE MODE")
            # Longer than the timeout, which would have broken the build off by then.
            threading.Timer(0.2, reader.rollback).start()
            assert ensure_search_index() is True
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout')")
            settings += cursor.fetchone()
    finally:
        run("RESET lock_timeout")
    assert settings == ["1ms"]
    assert index_state() == "ready"


def test_the_command_says_how_it_stands_and_what_it_did():
    def said(*args):
        out = io.StringIO()
        call_command("ensure_search_index", *args, stdout=out)
        return out.getvalue()

    assert "is ready" in said("--check")
    assert "nothing to do" in said()
    run(f"DROP INDEX {searchindex.NAME}")
    with pytest.raises(CommandError, match="missing: run manage"):
        said("--check")
    assert "is ready, built in" in said()
