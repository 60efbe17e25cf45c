"""import_ai_requests: what it reads out of CSV, what it refuses, and how it moves old traces."""

from __future__ import annotations

import datetime as dt
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from activity.models import QuarantinedRow
from metrics.models import AIRequest

pytestmark = pytest.mark.django_db(databases=["default", "metro"])
REAL = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "azure_llm_conv.csv"
NAMED = ["--created-at", "TIMESTAMP", "--input-tokens", "In", "--output-tokens", "Out"]
GOOD = "2023-11-16 18:15:46.6805900,374,44"


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    def write(*rows: str | bytes, header: str = "TIMESTAMP,In,Out", name: str = "trace.csv") -> str:
        path = tmp_path / name
        content = b"\n".join(r if isinstance(r, bytes) else r.encode() for r in (header, *rows)) + b"\n"
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return str(path)

    return write


def run(*args: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("import_ai_requests", *map(str, args), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_it_reads_the_named_columns_and_leaves_the_rest_empty(file: Callable[..., str]) -> None:
    out, err = run(file(GOOD), *NAMED, "--model", "llm")
    found = AIRequest.objects.get()
    assert (found.model, found.input_tokens, found.output_tokens, found.total_tokens) == ("llm", 374, 44, 418)
    assert found.created_at == dt.datetime(2023, 11, 16, 18, 15, 46, 680590, dt.UTC)
    unknown = (found.total_latency_ms, found.first_token_ms, found.tool_calls_count, found.error_type, found.user_id)
    assert unknown == (None,) * 5
    assert found.conversation_id != found.message_id != found.pk
    assert not QuarantinedRow.objects.exists()
    assert "1 read, 0 skipped" in out
    assert err == ""


def test_every_column_can_be_named(file: Callable[..., str]) -> None:
    header = "at;model;in;out;ms;first;error;words;conv;msg;who"
    user = "0c9e1a52-1111-4222-8333-444455556666"
    row = f"1793865600000;gpt-5;10;;1200.4;300;api_failure;529 Overloaded;thread-1;{user};{user}"
    names = {"created-at": "at", "model-column": "model", "input-tokens": "in", "output-tokens": "out",
             "latency-ms": "ms",
             "first-token-ms": "first", "error-type": "error", "error-message": "words", "conversation-id": "conv",
             "message-id": "msg", "user-id": "who"}  # fmt: skip
    options = [part for name, column in names.items() for part in (f"--{name}", column)]
    run(file(row, header=header), *options, "--delimiter", ";")
    found = AIRequest.objects.get()
    assert (found.model, found.input_tokens, found.output_tokens, found.total_tokens) == ("gpt-5", 10, None, None)
    assert (found.total_latency_ms, found.first_token_ms) == (1200, 300)
    assert (found.error_type, found.error_message) == ("api_failure", "529 Overloaded")
    assert found.message_id == found.user_id == UUID(user)
    assert found.created_at == dt.datetime(2026, 11, 5, 8, 0, tzinfo=dt.UTC)


def test_a_column_that_is_not_there_is_said_with_those_that_are(file: Callable[..., str]) -> None:
    with pytest.raises(
        CommandError, match=r"There is no column When in .*trace\.csv\. Its columns are: TIMESTAMP, In, Out\."
    ):
        run(file(GOOD), "--created-at", "When")


BAD = [
    ("2023-11-16 18:15:46,374", "2 fields, and the header has 3"),
    ("yesterday,1,2", "“TIMESTAMP” is no time: “yesterday”"),
    (",1,2", "“TIMESTAMP” is empty"),
    ("1970-01-02,1,2", "only times from 2000 to 2099"),
    ("2023-11-16 18:15:46,many,2", "“In” is “many”, and a number is wanted"),
    ("2023-11-16 18:15:46,-4,2", "“In” is -4, and a number from 0"),
    ("2023-11-16 18:15:46,nan,2", "“In” is nan"),
    ("2023-11-16 18:15:46,99999999999,2", "“In” is 99999999999"),
    (b"2023-11-16 18:15:46,1\xe9,2", "Not UTF-8"),
    ("2023-11-16 18:15:46,1\0,2", "NUL character"),
    ('"' + "x" * 200_000 + '",1,2', "No CSV: field larger than field limit"),
]


@pytest.mark.parametrize(("row", "said"), BAD, ids=[said[:40] for _, said in BAD])
def test_a_bad_row_is_named_and_skipped(row: Any, said: str, file: Callable[..., str]) -> None:
    name = file(GOOD, row, GOOD)
    out, err = run(name, *NAMED)
    assert err.startswith(f"{name}:3: ")
    assert said in err
    assert AIRequest.objects.count() == 2
    assert "3 read, 1 skipped" in out


def test_equal_rows_are_two_requests_and_a_second_run_adds_none(file: Callable[..., str]) -> None:
    name = file(GOOD, GOOD)
    run(name, *NAMED)
    run(name, *NAMED)
    assert AIRequest.objects.count() == 2


def test_the_packed_file_is_the_same_file(file: Callable[..., str]) -> None:
    run(file(GOOD), *NAMED)
    run(file(GOOD, name="trace.csv.gz"), *NAMED)
    assert AIRequest.objects.count() == 1


def test_shift_to_moves_by_whole_days(file: Callable[..., str]) -> None:
    run(file(GOOD, "2023-11-17 01:00:00,1,1"), *NAMED, "--shift-to", "2026-11-20")
    first, last = AIRequest.objects.order_by("created_at").values_list("created_at", flat=True)
    assert first == dt.datetime(2026, 11, 20, 18, 15, 46, 680590, dt.UTC)
    assert last == dt.datetime(2026, 11, 21, 1, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize("strict", [[], ["--strict"]])
def test_end_at_moves_the_last_row_there(strict: list[str], file: Callable[..., str]) -> None:
    run(file("2023-11-16 20:00,1,1", GOOD), *NAMED, "--end-at", "2026-11-20T01:00", *strict)
    last = AIRequest.objects.order_by("-created_at")[0]
    assert last.created_at == dt.datetime(2026, 11, 20, 1, 0, tzinfo=dt.UTC)
    assert not QuarantinedRow.objects.exists()


def test_another_shift_adds_nothing_either(file: Callable[..., str]) -> None:
    name = file(GOOD, "2023-11-17 01:00:00,1,1")
    run(name, *NAMED, "--end-at", "2026-11-20T01:00")
    out, _ = run(name, *NAMED, "--end-at", "2026-11-21T01:00")
    assert "0 added         2 already there" in out
    run(name, *NAMED)
    assert AIRequest.objects.count() == 2


def test_times_without_a_zone_are_in_the_given_one(file: Callable[..., str]) -> None:
    run(file("16.11.2023 18:00,1,1"), *NAMED, "--tz", "America/New_York", "--time-format", "%d.%m.%Y %H:%M")
    assert AIRequest.objects.get().created_at == dt.datetime(2023, 11, 16, 23, 0, tzinfo=dt.UTC)


def test_strict_imports_nothing_at_all(file: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="Nothing was imported: 1 of 2 line is not right"):
        run(file(GOOD, "x,1,1"), *NAMED, "--strict", "--batch-size", 1)
    assert not AIRequest.objects.exists()


def test_too_many_days_are_a_mistake(file: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sigmasight.management.importing.MOST_DAYS", 2)
    _, err = run(file(*[f"2023-11-{day:02d} 10:00,1,1" for day in range(1, 5)]), *NAMED)
    assert err.count("would be one day more than the 2 that one import may span") == 2
    assert AIRequest.objects.count() == 2


def test_an_empty_file_is_no_error(file: Callable[..., str]) -> None:
    out, _ = run(file(), *NAMED)
    assert "0 read, 0 skipped" in out


@pytest.mark.skipif(not REAL.is_file(), reason="the real data of /work/shared/data are not on this machine")
def test_the_real_trace_comes_in_whole() -> None:
    options = ["--created-at", "TIMESTAMP", "--input-tokens", "ContextTokens", "--output-tokens", "GeneratedTokens"]
    run(REAL.resolve(), *options, "--shift-to", "2026-11-20")
    sums = AIRequest.objects.aggregate(into=Sum("input_tokens"), out=Sum("output_tokens"))
    assert AIRequest.objects.count() == 19_366
    assert sums == {"into": 22_361_870, "out": 4_088_665}
    assert not AIRequest.objects.exclude(total_latency_ms=None).exists()
