"""Each request has a name, and each log line that it causes carries it."""

from __future__ import annotations

import contextvars
import copy
import io
import json
import logging
import logging.config

import pytest
from django.conf import settings as the_settings
from django.http import HttpResponse
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from sigmasight.lib.requestid import RequestIdMiddleware, current_request_id

LOGGERS = ("tests.requestid", "django.request")


@pytest.fixture
def lines():
    """The lines that are logged, as the settings' own formatter writes them."""
    out = io.StringIO()
    made = logging.config.DictConfigurator(copy.deepcopy(the_settings.LOGGING))
    handler = logging.StreamHandler(out)
    handler.setFormatter(made.configure_formatter(made.config["formatters"]["json"]))
    handler.addFilter(made.configure_filter(made.config["filters"]["request_id"]))
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    for name in LOGGERS:
        logging.getLogger(name).removeHandler(handler)


log = logging.getLogger("tests.requestid")


def ask(view, **headers):
    """The answer of a view behind the middleware, in a context of its own, as each thread has one."""
    request = RequestFactory().get("/", **headers)
    return contextvars.copy_context().run(RequestIdMiddleware(view), request)


def test_the_line_about_a_page_that_is_not_there_has_the_name_too(client, lines):
    response = client.get("/nothing/here")
    (line,) = lines()
    assert (line["logger"], line["status_code"]) == ("django.request", 404)
    assert line["request_id"] == response["X-Request-ID"]
    assert current_request_id() == "-"


def test_a_line_is_one_json_object_with_the_requests_name(lines):
    def view(request):
        log.info("asked for %s", "the\nmoon")
        return HttpResponse()

    response = ask(view)
    (line,) = lines()
    assert line["request_id"] == response["X-Request-ID"]
    assert (line["message"], line["level"], line["logger"]) == ("asked for the\nmoon", "INFO", "tests.requestid")
    assert line["at"]


def test_an_exception_stays_on_its_line(lines):
    def view(request):
        try:
            raise ValueError("two\nlines")
        except ValueError:
            log.exception("it failed")
        return HttpResponse()

    ask(view, HTTP_X_REQUEST_ID="abc-1")
    (line,) = lines()
    assert line["request_id"] == "abc-1"
    assert "ValueError: two\nlines" in line["exc_info"]


def test_what_cannot_be_written_as_json_does_not_lose_the_line(lines):
    log.warning("odd", extra={"thing": object(), "raw": b"\xff", "when": {1, 2}})
    (line,) = lines()
    assert line["message"] == "odd"


@pytest.mark.parametrize("text", ["\u2028", "\x1b[31m", "\x00", "ünïcode ✓", '"}\n{"level": "FAKE"'])
def test_nothing_that_is_logged_can_pass_for_a_second_line(lines, text):
    log.info("%s", text)
    (line,) = lines()
    assert line["message"] == text
    assert line["level"] == "INFO"


def test_outside_of_a_request_it_is_a_dash(lines):
    log.info("alone")
    assert lines()[0]["request_id"] == current_request_id() == "-"


@pytest.mark.parametrize("given_id", ["", "two words", "a\nb", "x" * 65, "ünïcode", "<script>", "a\n"])
def test_a_name_that_is_not_well_formed_is_replaced(given_id):
    answer = ask(lambda request: HttpResponse(), HTTP_X_REQUEST_ID=given_id)["X-Request-ID"]
    assert answer != given_id
    assert len(answer) == 32


@given(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True))
def test_a_well_formed_name_is_kept(name):
    assert ask(lambda request: HttpResponse(), HTTP_X_REQUEST_ID=name)["X-Request-ID"] == name


@pytest.mark.django_db
def test_each_request_is_one_line_without_what_was_searched_for(client, caplog):
    with caplog.at_level("INFO", logger="sigmasight.requests"):
        client.get("/admin/ai/conversations?user=dana@example.com")
        client.get("/healthz")
    (record,) = [each for each in caplog.records if each.name == "sigmasight.requests"]
    assert (record.method, record.path, record.status, record.ip) == (
        "GET",
        "/admin/ai/conversations",
        302,
        "127.0.0.1",
    )
    assert "dana" not in record.getMessage()
