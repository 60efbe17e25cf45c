"""A database that does not answer."""

import pytest
from django.db import OperationalError, ProgrammingError

from sigmasight.lib.away import reaching

pytestmark = pytest.mark.django_db(databases=["default", "metro"])


def test_being_away_is_noted_and_said_once_to_whoever_looks_after_it(caplog):
    with reaching("metro") as metro:
        raise OperationalError("connection\nrefused")
    assert metro.away
    assert [record.getMessage() for record in caplog.records] == ["metro does not answer: connection refused"]


def test_an_answer_is_no_trouble(caplog):
    with reaching("metro") as metro:
        pass
    assert not metro.away
    assert not caplog.records


def test_a_mistake_of_ours_is_not_taken_for_absence():
    with pytest.raises(ProgrammingError), reaching("metro"):
        raise ProgrammingError("no such column")
