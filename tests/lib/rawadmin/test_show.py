"""Values as HTML, and form fields that lose nothing."""

from __future__ import annotations

import datetime as dt

import pytest

from activity.models import Conversation, Message
from metrics.models import BatchRun
from sigmasight.lib.rawadmin import calendar, show
from sigmasight.lib.rawadmin.forms import form_field
from sigmasight.lib.rawadmin.partitioned import read_key


def test_a_secret_tells_its_length_and_nothing_else() -> None:
    assert "hunter2" not in show.secret("hunter2" * 3)
    assert "21 characters" in show.secret("hunter2" * 3)


def test_what_people_wrote_is_escaped() -> None:
    for html in (show.clipped("<b>"), show.text_block("<b>"), show.json_block({"a": "<b>"}), show.tag("<b>")):
        assert "<b>" not in html


def test_json_is_indented_and_keeps_its_letters() -> None:
    assert "\n  &quot;name&quot;: &quot;Zoë&quot;" in show.json_block({"name": "Zoë"})


def test_a_long_text_is_cut_at_the_length_and_put_on_one_line() -> None:
    assert show.clip("one\n\n two " * 50, 20) == "one two one two one…"


def test_a_time_keeps_its_microseconds_through_a_form() -> None:
    field = form_field(BatchRun._meta.get_field("started_at"))
    assert field is not None
    moment = dt.datetime(2026, 11, 16, 12, 0, 1, 234567, tzinfo=dt.UTC)

    shown = field.widget.format_value(moment)  # type: ignore[attr-defined]

    assert field.clean(shown) == moment


def test_a_text_keeps_its_blanks_and_its_absence_through_a_form() -> None:
    field = form_field(Message._meta.get_field("content"))
    assert field is not None
    assert field.clean("  two\n") == "  two\n"
    assert field.clean("") is None


def test_json_can_be_read_in_a_form_and_an_emptied_field_means_the_columns_own_default() -> None:
    field = form_field(Conversation._meta.get_field("metadata"))
    nullable = form_field(Message._meta.get_field("tool_calls"))
    assert field is not None
    assert nullable is not None
    assert field.prepare_value({"a": [1]}) == '{\n  "a": [\n    1\n  ]\n}'
    assert field.clean("") == {}
    assert nullable.clean("") is None
    assert nullable.prepare_value(None) == ""


def test_a_link_to_another_table_is_typed_not_chosen_among_all_rows() -> None:
    field = form_field(Message._meta.get_field("conversation"))
    assert field is not None
    assert type(field.widget).__name__ == "TextInput"


@pytest.mark.parametrize(
    "text", ["", "x~y", "20261116T120000.000000Z", "20261116T120000.000000Z~x", "~", "20261316T120000.000000Z~x"]
)
def test_a_row_name_that_is_none_is_recognised(text: str) -> None:
    assert read_key(text) is None


MARCH_ON = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def query(params: dict[str, int], remove: list[str]) -> str:
    return "&".join(f"{key.removeprefix('at__')}={value}" for key, value in params.items())


@pytest.mark.parametrize(
    ("first", "last", "chosen", "trail", "steps"),
    [
        ((2024, 3, 1), (2026, 2, 1), (None, None, None), ["All days"], ["2026", "2025", "2024"]),
        ((2024, 3, 1), (2026, 2, 1), (2024, None, None), ["All days", "2024"], MARCH_ON),
        ((2026, 10, 30), (2026, 11, 2), (None, None, None), ["All days", "2026"], ["Oct", "Nov"]),
        ((2026, 10, 30), (2026, 11, 2), (2026, 10, None), ["All days", "2026", "Oct"], ["30", "31"]),
        ((2026, 11, 1), (2026, 11, 2), (None, None, None), ["All days", "2026", "Nov"], ["1", "2"]),
    ],
)  # fmt: skip
def test_the_calendar_offers_what_lies_between_the_first_and_the_last_row(
    first: tuple[int, int, int],
    last: tuple[int, int, int],
    chosen: tuple[int | None, int | None, int | None],
    trail: list[str],
    steps: list[str],
) -> None:
    drawn = calendar.draw("at", dt.date(*first), dt.date(*last), *chosen, query)

    assert [step.label for step in drawn.trail] == trail
    assert [step.label for step in drawn.steps] == steps


def test_the_calendar_marks_what_was_chosen_and_links_to_the_day() -> None:
    drawn = calendar.draw("at", dt.date(2026, 11, 1), dt.date(2026, 11, 9), 2026, 11, 3, query)

    assert [step.label for step in drawn.steps if step.current] == ["3"]
    assert drawn.steps[2].href == "year=2026&month=11&day=3"
    assert not any(step.current for step in drawn.trail)
