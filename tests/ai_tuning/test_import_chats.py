"""import_chats: what it writes, what it refuses, and that a second run adds nothing."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from activity.models import Conversation, Message, QuarantinedRow, User
from ai_tuning.importing import chat_store
from ai_tuning.models import Feedback
from metrics.models import AIRequest
from sigmasight.lib import copying, linefiles

pytestmark = pytest.mark.django_db(databases=["default", "metro"])
REAL = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "financebench_chats.jsonl"
PERIOD = ["--from", "2026-11-01", "--to", "2026-11-15"]


def chat(identifier: Any = "a", **more: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "messages": [
            {"role": "user", "content": f"What is my beta, {identifier}?"},
            {"role": "assistant", "content": "**1.2**, as of yesterday."},
        ],
        "model": "gpt-4",
        "feedback": {"rating": "down", "comment": "Incorrect", "edited_text": "0.9"},
        "metadata": {"company": "3M"},
        **more,
    }


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    def write(*lines: Any, name: str = "chats.jsonl") -> str:
        path = tmp_path / name
        content = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return str(path)

    return write


def run(*args: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("import_chats", *map(str, args), *([] if "--from" in args else PERIOD), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def counts() -> tuple[int, int, int, int]:
    return Conversation.objects.count(), Message.objects.count(), AIRequest.objects.count(), Feedback.objects.count()


def test_it_writes_conversation_messages_request_and_feedback(file: Callable[..., str]) -> None:
    out, err = run(file(chat()))
    assert err == ""
    assert counts() == (1, 2, 1, 1)
    conversation = Conversation.objects.get()
    assert conversation.metadata == {"company": "3M", "model": "gpt-4", "import_id": "a"}
    question, answer = Message.objects.in_order()
    assert (question.role, answer.role) == ("user", "assistant")
    assert answer.content == "**1.2**, as of yesterday."
    assert dt.timedelta(0) < answer.created_at - question.created_at < dt.timedelta(minutes=1)
    request = AIRequest.objects.get()
    assert (request.conversation_id, request.message_id) == (conversation.pk, answer.pk)
    assert (request.user_id, request.created_at) == (conversation.user_id, answer.created_at)
    feedback = Feedback.objects.get()
    assert (feedback.message_id, feedback.rating, feedback.comment, feedback.edited_text) == (
        answer.pk,
        "down",
        "Incorrect",
        "0.9",
    )
    assert answer.created_at < feedback.created_at < answer.created_at + dt.timedelta(minutes=6)
    assert "1 read, 0 skipped" in out
    assert "/admin/ai/conversations" in out


def test_it_invents_no_latency_and_no_tokens(file: Callable[..., str]) -> None:
    run(file(chat()))
    request, answer = AIRequest.objects.get(), Message.objects.get(role="assistant")
    assert request.total_latency_ms is request.first_token_ms is request.input_tokens is request.total_tokens is None
    assert answer.latency_ms is answer.prompt_tokens is None


def test_it_takes_usage_latency_and_times_that_are_given(file: Callable[..., str]) -> None:
    dated = chat(
        created_at="2026-11-03T08:00:00Z", usage={"prompt_tokens": 100, "completion_tokens": 20}, latency_ms=1500
    )
    run(file(dated))
    request = AIRequest.objects.get()
    assert (request.input_tokens, request.output_tokens, request.total_tokens) == (100, 20, 120)
    assert request.total_latency_ms == 1500
    assert request.created_at == dt.datetime(2026, 11, 3, 8, 0, 1, 500_000, dt.UTC)
    assert Message.objects.get(role="assistant").total_tokens == 120


def test_equal_times_keep_the_order_of_the_file(file: Callable[..., str]) -> None:
    said = [{"role": role, "content": role, "timestamp": 1_793_865_600} for role in ("user", "assistant", "user")]
    run(file(chat(messages=said)))
    assert [message.role for message in Message.objects.in_order()] == ["user", "assistant", "user"]


def test_tools_parts_and_developer_messages_are_understood(file: Callable[..., str]) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    call = {"id": "call_1", "type": "function", "function": {"name": "get_prices", "arguments": '{"days": 5}'}}
    run(
        file(
            chat(
                messages=[
                    {"role": "developer", "content": "Be short."},
                    {"role": "user", "content": [{"type": "text", "text": "Look"}, picture]},
                    {"role": "assistant", "content": None, "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": "call_1", "content": '{"last": 3}'},
                    {"role": "assistant", "content": "3", "model": "gpt-4-turbo"},
                ]
            )
        )
    )  # fmt: skip
    system, user, calling, tool, answer = Message.objects.in_order()
    assert system.role == "system"
    assert user.content == "Look\n\n[image_url: https://example.org/a.png]"
    assert calling.tool_calls == [{"name": "get_prices", "id": "call_1", "arguments": {"days": 5}}]
    assert tool.tool_calls == [{"name": "tool", "id": "call_1"}]
    first, second = AIRequest.objects.order_by("created_at")
    assert (first.tool_calls_count, first.tool_calls) == (1, {"tools": [{"name": "get_prices", "id": "call_1"}]})
    assert (second.model, second.tool_calls_count, second.tool_calls) == ("gpt-4-turbo", 0, None)
    assert Feedback.objects.get().message_id == answer.pk


def test_a_bare_number_is_an_answer(file: Callable[..., str]) -> None:
    said = [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": 0}]
    run(file(chat(messages=said)))
    assert Message.objects.get(role="assistant").content == "0"


BAD = [
    (b"{", "Not JSON"),
    (b"[1]", "A JSON object is wanted, and this is a list"),
    (b'{"id": "x"}', "“messages” must be a list of messages, and there is none"),
    (b'{"messages": []}', "“messages” is empty"),
    (b'{"messages": ["hi"]}', "Message 1 must be an object, and is a text"),
    (chat(messages=[{"role": "wizard", "content": "x"}]), 'its role is "wizard"; it must be one of user, assistant'),
    (chat(messages=[{"role": ["user"], "content": "x"}]), "Message 1: its role is"),
    (chat(messages=[{"role": "user", "content": {"a": 1}}]), "a text or a list of parts, and is an object"),
    (chat(messages=[{"role": "user"}]), "Message 1: it has no content"),
    (chat(messages=[{"role": "user", "content": [{"text": 1}]}]), "each part of “content” must be"),
    (chat(messages=[{"role": "user", "content": "q"}], feedback={"rating": "up"}), "no answer (role assistant)"),
    (chat(feedback={"rating": "meh"}), '“feedback.rating” is "meh"; it must be “up” or “down”'),
    (chat(feedback="up"), "“feedback” must be an object, and is a text"),
    (chat(feedback={"rating": "up", "comment": ["x"]}), "“comment” must be a text, and is a list"),
    (chat(model=None), "nobody says which model answered"),
    (chat(model="m" * 101), "“model” has 101 characters, and 100 is the most"),
    (chat(model=4), "“model” must be a text, and is a number"),
    (chat(metadata=[1]), "“metadata” must be an object, and is a list"),
    (chat(metadata={"x": 1e400}).__repr__().encode(), "Not JSON"),
    (json.dumps(chat()).replace('"3M"', "NaN").encode(), "NaN is no JSON value"),
    (json.dumps(chat()).replace('"3M"', "1e999").encode(), "a number that is too big"),
    (json.dumps(chat()).replace('"3M"', "9" * 5000).encode(), "A number in it is too long"),
    (json.dumps(chat()).replace("3M", "a\\u0000b").encode(), "holds a NUL character"),
    (json.dumps(chat()).replace("3M", "a\\ud800b").encode(), "half a surrogate pair (\\ud800)"),
    (json.dumps(chat()).replace("3M", "\xe9").encode("latin-1"), "Not UTF-8: byte 0xE9 at"),
    (b'{"a":' * 5000 + b"1" + b"}" * 5000, "nested too deep"),
    (chat(created_at="yesterday"), "“created_at” is no time: “yesterday”"),
    (chat(created_at=1), "only times from 2000 to 2099"),
    (chat(created_at=True), "“created_at” must be a time, and is true or false"),
    (chat(usage={"prompt_tokens": "many"}), "“prompt_tokens” must be a number, and is a text"),
    (chat(usage={"prompt_tokens": 2**31}), "“prompt_tokens” must be between 0 and 2,147,483,647"),
    (chat(latency_ms=-1), "“latency_ms” must be between 0"),
    (chat(user=12), "“user” must be an e-mail address"),
    (chat(messages=[{"role": "assistant", "tool_calls": [{"id": "x"}]}]), "one of “tool_calls” has no function name"),
    (chat(identifier=["x"]), "“id” must be a text or a number, and is a list"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "said"), BAD, ids=[said[:40] for _, said in BAD])
def test_a_bad_line_is_named_and_skipped(line: Any, said: str, file: Callable[..., str]) -> None:
    name = file(chat("before"), line, chat("after"))
    out, err = run(name)
    assert err.startswith(f"{name}:2: ")
    assert said in err
    assert err.count("\n") == 1
    assert counts() == (2, 4, 2, 2)
    assert "3 read, 1 skipped" in out


def test_a_line_past_the_bound_is_skipped(file: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linefiles, "LONGEST_LINE", 2_000)
    name = file(chat("before"), chat("long", metadata={"x": "y" * 5_000_000}), chat("after"))
    _, err = run(name)
    assert f"{name}:2: The line is longer than" in err
    assert Conversation.objects.count() == 2


def test_only_the_first_twenty_are_said_in_full(file: Callable[..., str]) -> None:
    out, err = run(file(*[b"no"] * 30, chat()))
    assert err.count("Not JSON") == 20
    assert "… and 10 more lines like these" in err
    assert "31 read, 30 skipped" in out


def test_running_it_twice_adds_nothing(file: Callable[..., str]) -> None:
    name = file(*[chat(str(n)) for n in range(30)])
    run(name)
    before, times = counts(), list(AIRequest.objects.order_by("id").values_list("id", "created_at"))
    out, _ = run(name, "--from", "2026-11-10", "--to", "2026-11-20", "--users", "generate:3")
    assert counts() == before
    assert list(AIRequest.objects.order_by("id").values_list("id", "created_at")) == times
    assert "0 added        30 already there" in out


def test_a_purged_request_is_not_brought_back(file: Callable[..., str]) -> None:
    name = file(chat())
    run(name)
    AIRequest.objects.all().delete()
    run(name)
    assert counts() == (1, 2, 0, 1)


def test_a_conversation_that_went_on_gets_its_new_messages(file: Callable[..., str]) -> None:
    run(file(chat(feedback=None)))
    longer = chat(feedback=None)
    longer["messages"] += [{"role": "user", "content": "And now?"}, {"role": "assistant", "content": "Still 1.2."}]
    run(file(longer))
    assert counts() == (1, 4, 2, 0)
    assert [m.content for m in Message.objects.in_order()][2:] == ["And now?", "Still 1.2."]


@pytest.mark.parametrize("batch", [1, 100])
def test_another_conversation_under_the_same_id_is_said_and_left_out(batch: int, file: Callable[..., str]) -> None:
    other = chat()
    other["messages"][1] = {"role": "assistant", "content": "Something else."}
    name = file(chat(), other)
    _, err = run(name, "--batch-size", batch)
    assert f"{name}:2: A conversation with this id, model and first question is there already" in err
    assert counts() == (1, 2, 1, 1)


def test_one_id_under_two_models_is_two_conversations(file: Callable[..., str]) -> None:
    run(file(chat(), chat(model="gpt-4-turbo")))
    assert dict(AIRequest.objects.values_list("model", "tool_calls_count")) == {"gpt-4": 0, "gpt-4-turbo": 0}


def test_lines_without_an_id_are_known_by_their_words(file: Callable[..., str]) -> None:
    nameless = {"model": "m", "messages": chat()["messages"]}
    run(file(nameless, nameless))
    assert counts() == (1, 2, 1, 0)


def test_strict_imports_nothing_at_all(file: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match=r"Nothing was imported: 1 of 3 line is not right"):
        run(file(chat("a"), b"no", chat("b")), "--strict", "--batch-size", 1)
    assert counts() == (0, 0, 0, 0)
    assert not User.objects.exists()


def test_strict_finds_what_only_the_database_knows(file: Callable[..., str]) -> None:
    other = chat()
    other["messages"][1] = {"role": "assistant", "content": "Something else."}
    with pytest.raises(CommandError, match="Nothing was imported"):
        run(file(chat(), chat("b"), other), "--strict", "--batch-size", 1)
    assert counts() == (0, 0, 0, 0)


def test_strict_imports_all_that_is_right(file: Callable[..., str]) -> None:
    run(file(chat("a"), chat("b")), "--strict")
    assert counts() == (2, 4, 2, 2)


def test_when_metro_fails_a_second_run_adds_the_rest(file: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    name = file(chat("a"), chat("b"))
    insert = copying.insert_new

    def fail(cursor: Any, table: str, *rest: Any) -> int:
        if table == "ai_feedback":
            raise OperationalError("server closed the connection")
        return insert(cursor, table, *rest)

    monkeypatch.setattr(chat_store, "insert_new", fail)
    with pytest.raises(CommandError, match="run the same command again for the rest"):
        run(name)
    assert counts() == (2, 4, 2, 0)
    monkeypatch.undo()
    run(name)
    assert counts() == (2, 4, 2, 2)


def test_when_metro_is_away_nothing_is_begun(file: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = connections["metro"].cursor

    def away(*args: Any) -> Any:
        raise OperationalError("connection refused")

    monkeypatch.setattr(connections["metro"], "cursor", away)
    with pytest.raises(CommandError, match=r"connection refused\. Nothing was imported"):
        run(file(chat()))
    monkeypatch.setattr(connections["metro"], "cursor", cursor)
    assert counts() == (0, 0, 0, 0)


def test_ctrl_c_leaves_whole_batches(file: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    write, calls = chat_store.ChatImporter.write, []

    def interrupted(self: Any, batch: Any, problems: Any) -> None:
        calls.append(len(batch))
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(self, batch, problems)

    monkeypatch.setattr(chat_store.ChatImporter, "write", interrupted)
    with pytest.raises(CommandError, match="Stopped") as stopped:
        run(file(*[chat(str(n)) for n in range(6)]), "--batch-size", 2)
    assert stopped.value.returncode == 130
    assert counts() == (2, 4, 2, 2)


def test_undated_ones_are_spread_over_the_period_by_day_not_by_night(file: Callable[..., str]) -> None:
    run(file(*[chat(str(n)) for n in range(400)]))
    times = list(Message.objects.values_list("created_at", flat=True))
    assert dt.datetime(2026, 11, 1, tzinfo=dt.UTC) <= min(times)
    assert max(Feedback.objects.values_list("created_at", flat=True)) <= dt.datetime(2026, 11, 15, tzinfo=dt.UTC)
    assert len({at.date() for at in times}) == 14
    assert sum(at.hour in range(13, 19) for at in times) > 3 * sum(at.hour < 6 for at in times)
    assert not QuarantinedRow.objects.exists()


def test_old_times_get_their_partition(file: Callable[..., str]) -> None:
    run(file(chat(created_at="2019-03-01T10:00:00+02:00")))
    assert AIRequest.objects.get().created_at.date() == dt.date(2019, 3, 1)
    assert not QuarantinedRow.objects.exists()


def test_users_are_invented_and_nobody_can_sign_in_as_them(file: Callable[..., str]) -> None:
    run(file(*[chat(str(n)) for n in range(60)]), "--users", "generate:5")
    assert User.objects.count() == 5
    for user in User.objects.all():
        assert user.email.endswith("@example.com")
        assert user.hashed_password.startswith("!")
    assert set(Conversation.objects.values_list("user_id", flat=True)) == set(User.objects.values_list("id", flat=True))


def test_users_may_be_existing_ones_or_a_single_one(file: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="There is nobody yet"):
        run(file(chat()), "--users", "existing")
    ines = User.objects.create(email="ines@example.net", hashed_password="x", full_name="Ines", created_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), updated_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))  # fmt: skip # noqa: E501
    run(file(chat("a")), "--users", "existing")
    run(file(chat("b")), "--users", "INES@example.net")
    assert set(Conversation.objects.values_list("user_id", flat=True)) == {ines.pk}
    with pytest.raises(CommandError, match="nobody with the address"):
        run(file(chat()), "--users", "who@example.net")


def test_a_line_may_name_its_user(file: Callable[..., str]) -> None:
    known = UUID("0c9e1a52-1111-4222-8333-444455556666")
    run(file(chat("a", user="dana@example.net"), chat("b", user=str(known)), chat("c", user="Dana Whitcombe")))
    by_id = {c.metadata["import_id"]: c.user_id for c in Conversation.objects.all()}
    assert by_id["a"] == User.objects.get(email="dana@example.net").pk
    assert by_id["b"] == known
    assert by_id["c"] == User.objects.get(full_name="Dana Whitcombe").pk


def test_it_reads_gzip_and_standard_input(file: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    run(file(chat("a"), name="a.jsonl.gz"))
    for strict in ([], ["--strict"]):
        piped = io.BytesIO(json.dumps(chat("b" + "".join(strict))).encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(piped))
        run("-", *strict)
    assert Conversation.objects.count() == 3


def test_a_file_that_is_not_there_or_broken_ends_in_a_sentence(file: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"There is no file nowhere\.jsonl"):
        run("nowhere.jsonl")
    whole = gzip.compress(json.dumps(chat()).encode() * 50)
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CommandError, match="no whole gzip file"):
        run(tmp_path / "cut.gz")
    (tmp_path / "text.gz").write_bytes(b"plain")
    with pytest.raises(CommandError, match="no whole gzip file"):
        run(tmp_path / "text.gz")


def test_a_period_that_ends_before_it_begins_is_refused(file: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="before it begins"):
        run(file(chat()), "--from", "2026-11-10", "--to", "2026-11-01")


def test_memory_does_not_grow_with_the_file(file: Callable[..., str]) -> None:
    def peak(lines: int) -> int:
        name = file(*[chat(f"{lines}-{n}", metadata={"x": "y" * 2000}) for n in range(lines)])
        tracemalloc.start()
        try:
            run(name, "--batch-size", 50)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(60)
    assert peak(1500) < 1.5 * peak(150)


@pytest.mark.skipif(not REAL.is_file(), reason="the real data of /work/shared/data are not on this machine")
def test_the_real_chats_come_in_whole() -> None:
    _, err = run(REAL.resolve())
    assert err == ""
    assert counts() == (1800, 3600, 1800, 1800)
    by_model = {model: AIRequest.objects.by_model(model).count() for model in ("gpt-4", "gpt-4-1106-preview")}
    assert by_model == {"gpt-4": 750, "gpt-4-1106-preview": 1050}
    assert Feedback.objects.rated("down").count() == 926
    assert Feedback.objects.rated("down").exclude(edited_text=None).count() == 926
