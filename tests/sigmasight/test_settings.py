"""What the settings make of an environment, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
URL = "postgres://ada:hunter2@db.example:5432/gondola"
KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
# Loads the settings, and no more of Django than that: what they are is what is asked here.
PROGRAM = """
import json, sys
from sigmasight import settings
print(json.dumps({name: getattr(settings, name, None) for name in sys.argv[1:]}, default=str))
"""
ASKED = (
    "ALLOWED_HOSTS",
    "CELERY_BROKER_URL",
    "DATABASES",
    "EMBEDDED",
    "HTTPS",
    "METRO_IS_GONDOLA",
    "SECRET_KEY",
    "SECURE_HSTS_SECONDS",
    "SECURE_PROXY_SSL_HEADER",
    "SECURE_SSL_REDIRECT",
    "SESSION_COOKIE_SECURE",
)


def start(**environment):
    """A process that reads the settings with these variables and no others set."""
    clean = {name: os.environ[name] for name in KEPT if name in os.environ}
    # Blank, so that a developer's .env does not speak for what a test leaves out.
    blank = dict.fromkeys(("DATABASE_URL", "AI_DATABASE_URL", "REDIS_URL", "SECRET_KEY"), "")
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, *ASKED],
        cwd=ROOT,
        env={**clean, **blank, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def read(**environment):
    """The settings by name, with DATABASE_URL and SECRET_KEY set unless the test says otherwise."""
    done = start(**{"DATABASE_URL": URL, "SECRET_KEY": "k" * 50, **environment})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read_each(*environments):
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda environment: read(**environment), environments))


def problem(**environment):
    """The last line of what a start that fails says. Nothing of it may be a secret."""
    done = start(**{"SECRET_KEY": "k" * 50, **environment})
    assert done.returncode == 1
    said = done.stderr + done.stdout
    assert "hunter" not in said
    assert "kkkkk" not in said
    return done.stderr.strip().splitlines()[-1]


def test_a_database_without_a_secret_key_is_refused_with_the_way_to_make_one():
    said = problem(DATABASE_URL=URL, SECRET_KEY="")
    assert "ImproperlyConfigured: SECRET_KEY is not set" in said
    assert "secrets.token_urlsafe" in said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///db.sqlite3", "needs PostgreSQL: a database address is postgres://"),
        ("sqlite://:memory:", "not one that begins sqlite://"),
        ("mysql://ada:hunter2@db.example/gondola", "not one that begins mysql://"),
        ("postgis://ada:hunter2@db.example/gondola", "not one that begins postgis://"),
        ("ada:hunter2@db.example/gondola", "not one without any scheme"),
        ("postgres://ada:hunter/2@db.example/gondola", "can't be read: write postgres://"),
        ("postgres://ada:hunter2@db.example:port/gondola", "can't be read"),
    ],
)
def test_an_address_that_is_none_of_postgresqls_is_refused_and_not_shown(url, said):
    last = problem(DATABASE_URL=url)
    assert last.startswith("django.core.exceptions.ImproperlyConfigured: ")
    assert said in last


def test_the_second_address_is_held_to_the_same():
    assert "needs PostgreSQL" in problem(DATABASE_URL=URL, AI_DATABASE_URL="sqlite:///db.sqlite3")


def test_both_spellings_of_the_scheme_and_escaped_passwords_are_read():
    short, long = read_each({}, {"DATABASE_URL": "postgresql://ada:p%2Fs%40s@db.example/gondola?sslmode=require"})
    assert short["DATABASES"]["default"]["PORT"] == 5432
    database = long["DATABASES"]["default"]
    assert (database["PASSWORD"], database["HOST"], database["NAME"]) == ("p/s@s", "db.example", "gondola")
    assert database["OPTIONS"]["sslmode"] == "require"
    assert database["OPTIONS"]["connect_timeout"] == 3


def test_one_database_is_known_for_one():
    environments = {
        "": True,
        URL: True,
        URL.replace(":5432", ""): True,
        URL.replace("ada:hunter2", "other:secret"): True,
        URL.replace("db.example", "DB.example"): True,
        URL.replace("gondola", "metro"): False,
        URL.replace("5432", "5433"): False,
        URL.replace("db.example", "ai.example"): False,
    }
    found = read_each(*({"AI_DATABASE_URL": url} for url in environments))
    assert [each["METRO_IS_GONDOLA"] for each in found] == list(environments.values())
    assert all(each["DATABASES"]["metro"]["NAME"] in {"gondola", "metro"} for each in found)
    assert ["TEST" in each["DATABASES"]["metro"] for each in found] == list(environments.values())


def test_without_any_address_the_embedded_servers_are_meant():
    found = read(DATABASE_URL="", SECRET_KEY="k" * 50)
    assert found["EMBEDDED"]
    assert not found["METRO_IS_GONDOLA"]
    assert [found["DATABASES"][alias]["NAME"] for alias in ("default", "metro")] == ["gondola", "metro"]
    assert found["CELERY_BROKER_URL"].startswith("redis+socket:///")


def test_celery_is_told_of_redis_in_its_own_words():
    addresses = {
        "unix:///run/redis.sock": "redis+socket:///run/redis.sock",
        "unix:///run/redis.sock?db=2": "redis+socket:///run/redis.sock?virtual_host=2",
        "unix://:pw@/run/redis.sock": "redis+socket://:pw@/run/redis.sock",
        "redis://:pw@redis.example:6379/2": "redis://:pw@redis.example:6379/2",
        "rediss://redis.example/0?ssl_cert_reqs=required": "rediss://redis.example/0?ssl_cert_reqs=required",
    }
    found = read_each(*({"REDIS_URL": url} for url in addresses))
    assert [each["CELERY_BROKER_URL"] for each in found] == list(addresses.values())


def test_https_is_taken_for_granted_unless_debugging_or_told_otherwise():
    plain, debug, off, proxied = read_each({}, {"DEBUG": "true"}, {"HTTPS": "false"}, {"TRUSTED_PROXY_COUNT": "1"})
    for name in ("HTTPS", "SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE"):
        assert [each[name] for each in (plain, debug, off)] == [True, False, False]
    assert [each["SECURE_HSTS_SECONDS"] for each in (plain, debug, off)] == [31_536_000, 0, 0]
    assert plain["SECURE_PROXY_SSL_HEADER"] is None, "nobody is there to be believed"
    assert proxied["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]


def test_celery_reaches_the_embedded_redis_through_that_address():
    from sigmasight.celery import app

    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=5)
        assert connection.connected


@pytest.mark.parametrize("number", [0, 2])
def test_celery_uses_the_redis_database_of_the_address(settings, number):
    import redis
    from kombu import Connection

    from sigmasight.settings import _broker

    url = settings.REDIS_URL
    if not url.startswith("unix://"):
        pytest.skip("the tests' Redis is not at a socket")
    queue = f"test-settings-{os.getpid()}"
    with Connection(_broker(f"{url}?db={number}")) as connection:
        connection.SimpleQueue(queue).put("x")
    with redis.from_url(f"{url}?db={number}") as client:
        assert client.llen(queue) == 1
        client.delete(queue, f"_kombu.binding.{queue}")
