"""Adoption while others are at work, and after having been killed."""

from __future__ import annotations

import re
import threading
import time

import pytest
from django.core.management import CommandError
from django.db import connections
from django.urls import reverse

from sigmasight.adoption import running
from sigmasight.adoption.adopting import State, carry_out, prepare
from sigmasight.adoption.running import Runner, end_turn, take_turn
from tests.sigmasight.adopted import EVENT, adopt, nothing_left, now, opened
from tests.sigmasight.original import ADA, PASSWORD, TALK


@pytest.fixture
def house(django_db_blocker):
    with opened(django_db_blocker) as house:
        yield house.original()


def test_two_do_not_adopt_at_once(house):
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
    assert max(waits) < 10, "a writer waited for as long as something big was copied"


MANY = f"""
INSERT INTO user_activity_events (user_id, session_id, event_type, event_category, error_code, created_at)
SELECT '{ADA}', 's' || n / 7, 'chat.message_sent', 'chat', CASE WHEN n % 50 = 0 THEN 'E1' END,
       now() - n * interval '3 seconds' FROM generate_series(1, 1000000) n;
INSERT INTO ai_request_metrics (conversation_id, message_id, user_id, model, input_tokens, total_latency_ms, created_at)
SELECT gen_random_uuid(), gen_random_uuid(), '{ADA}', 'gpt-4', n, n, now() - n * interval '9 seconds'
  FROM generate_series(1, 300000) n;
INSERT INTO agent_messages (conversation_id, role, content, created_at)
SELECT '{TALK}', 'assistant', 'It is ' || n || ', as far as anybody can tell.', now() - n * interval '20 seconds'
  FROM generate_series(1, 100000) n;
"""


@pytest.mark.slow
def test_a_million_rows_are_adopted_while_nobody_notices(django_db_blocker, client):
    with opened(django_db_blocker, few_days=False) as house:
        house.original().run(MANY)
        done, waits = threading.Event(), []
        writers = [threading.Thread(target=write_until, args=(done, house, waits)) for _ in range(2)]
        for writer in writers:
            writer.start()
        began = time.monotonic()
        try:
            said = adopt()
        finally:
            took = time.monotonic() - began
            done.set()
            for writer in writers:
                writer.join()
        longest = re.findall(r"nobody waited longer than ([\d,]+) ms", said)
        middle = sorted(waits)[len(waits) // 2]
        print(f"adopted in {took:.1f} s; its steps held others up for at most {longest} ms; of {len(waits):,} INSERTs")
        print(f"meanwhile the longest took {max(waits) * 1000:.0f} ms, half of them {middle * 1000:.1f} ms at most")
        assert house.run("SELECT count(*) FROM user_activity_events") == [(1_002_000 + len(waits),)]
        assert house.run("SELECT count(*) FROM quarantined_rows WHERE source_table <> 'daily_metrics'") == [(0,)]
        assert max(waits) < 2
        nothing_left("default")
        client.post(reverse("login"), {"username": "ines@example.com", "password": PASSWORD})
        for page in (
            "/admin",
            "/admin/ai",
            "/admin/ai/conversations",
            "/admin/db/activity/event/",
            "/admin/db/metrics/airequest/",
        ):
            assert client.get(page).status_code == 200, page


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
    house.run(EVENT.format("stray", "'1980-01-01'"))
    between = 0
    for alias in ("default", "metro"):
        statements = stride
        while not run_until(alias, house, statements):
            house.run(EVENT.format("between", "now()"))
            between += 1
            statements += stride
        assert between > 2
        nothing_left(alias)
    kinds = "SELECT event_type, count(*) FROM user_activity_events GROUP BY 1 ORDER BY 1"
    assert house.run(kinds) == [("between", between), ("chat.message_sent", 2000)]
    aside = "SELECT source_table, count(*) FROM quarantined_rows GROUP BY 1 ORDER BY 1"
    assert house.run(aside) == [("daily_metrics", 1), ("user_activity_events", 1)]
    assert adopt().count("is under management already") == 2
