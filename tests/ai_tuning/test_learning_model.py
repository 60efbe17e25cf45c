"""A language model is asked over HTTP, with patience and with suspicion."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ai_tuning.learning import asking
from ai_tuning.learning.model import LanguageModel, ModelAwayError, ModelError, configured
from ai_tuning.learning.reading import Voice
from tests.conftest import TIME_ZERO


class StandIn:
    """An OpenAI-compatible server on loopback. `replies`: (status, body, headers) in turn, the last one again."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, Any, dict[str, str]]] = []
        self.heard: list[tuple[str, dict[str, str], Any]] = []
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                stand_in.heard.append((self.path, dict(self.headers), json.loads(self.rfile.read(length))))
                turn = min(len(stand_in.heard), len(stand_in.replies)) - 1
                status, body, headers = stand_in.replies[turn]
                sent = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def says(self, *rules: Any) -> None:
        self.replies.append((200, said({"preferences": list(rules)}), {}))

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def said(content: Any) -> dict[str, Any]:
    text = content if isinstance(content, str) else json.dumps(content)
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}


@pytest.fixture
def server() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.close()


def model(server: StandIn, **options: Any) -> LanguageModel:
    given = {"api_key": "k-123", "name": "small", "timeout": 5.0, "attempts": 3, "pause": lambda _: None, **options}
    return LanguageModel(server.url, **given)


RULE = {"rule": "Give the figure first.", "confidence": 0.9, "category": "format"}


def voice(**given: Any) -> Voice:
    fields: dict[str, Any] = {
        "id": uuid.uuid4(), "message_id": uuid.uuid4(), "up": False, "edited": "1.1", "comment": "", "at": TIME_ZERO,
        "user_id": uuid.UUID(int=1), "conversation_id": uuid.uuid4(), "text": "Your beta is 1.1.", "tools": False,
        "failed": False, "latency_ms": None,
    }  # fmt: skip
    return Voice(**{**fields, **given})


def test_it_asks_as_openai_is_asked(server):
    server.says(RULE)
    assert model(server).ask("Be brief.", "[]") == {"preferences": [RULE]}
    ((path, headers, body),) = server.heard
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer k-123"
    assert body["model"] == "small"
    assert [each["role"] for each in body["messages"]] == ["system", "user"]


def test_without_a_key_none_is_sent(server):
    server.says()
    model(server, api_key="").ask("x", "y")
    assert "Authorization" not in server.heard[0][1]


def test_a_busy_server_is_asked_again_after_as_long_as_it_says(server):
    waits: list[float] = []
    server.replies = [(429, {}, {"Retry-After": "7"}), (503, {}, {}), (200, said({"preferences": []}), {})]
    assert model(server, pause=waits.append).ask("x", "y") == {"preferences": []}
    assert waits == [7.0, 14.0]


def test_patience_has_an_end(server):
    waits: list[float] = []
    server.replies = [(500, {}, {"Retry-After": "9999"})]
    with pytest.raises(ModelAwayError, match=r"500 .*3 attempts"):
        model(server, pause=waits.append).ask("x", "y")
    assert len(server.heard) == 3
    assert waits == [20.0, 20.0]


def test_a_refusal_is_final_and_says_what_to_check(server):
    server.replies = [(401, {}, {})]
    with pytest.raises(ModelAwayError, match="LLM_API_KEY"):
        model(server).ask("x", "y")
    assert len(server.heard) == 1


def test_the_key_does_not_follow_a_redirect(server):
    server.replies = [(307, {}, {"Location": server.url + "/elsewhere"})]
    with pytest.raises(ModelAwayError, match="307"):
        model(server).ask("x", "y")
    assert len(server.heard) == 1


def test_nobody_there_is_said_so():
    gone = StandIn()
    gone.close()
    with pytest.raises(ModelAwayError, match="did not answer"):
        model(gone).ask("x", "y")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", {}, {"choices": []}, said("no JSON"), said(""), {"choices": [{"message": {}}]},
     {"choices": [{"message": {"content": 5}}]}, b"[" * 100_000, b"\xff\xfe"],
)  # fmt: skip
def test_an_answer_that_is_none_is_an_error_and_not_asked_for_again(server, body):
    server.replies = [(200, body, {})]
    with pytest.raises(ModelError):
        model(server).ask("x", "y")
    assert len(server.heard) == 1


def test_an_endless_answer_is_not_read_to_its_end(server):
    server.replies = [(200, b" " * 1_100_000, {})]
    with pytest.raises(ModelError, match="too large"):
        model(server).ask("x", "y")


def test_json_in_a_code_block_is_json(server):
    server.replies = [(200, said('```json\n{"preferences": []}\n```'), {})]
    assert model(server).ask("x", "y") == {"preferences": []}


@pytest.mark.parametrize(
    "entry",
    [
        "a text", None, {}, {"rule": "Short.", "confidence": 0.9}, {"rule": "x" * 201, "confidence": 0.9},
        {"rule": "Give the figure first.", "confidence": "0.9"}, {"rule": "Give the figure first.", "confidence": 1.1},
        {"rule": "Give the figure first.", "confidence": True}, {"rule": ["Give the figure"], "confidence": 0.9},
        {"rule": "Give the figure \ud800 first.", "confidence": 0.9}, {"rule": "Give it\x00 first", "confidence": 1},
        {"rule": "Give the figure first.", "confidence": 10**400}, {"rule": "Give the figure first.", "confidence": 0},
    ],
)  # fmt: skip
def test_a_rule_that_can_not_be_used_is_left_out(entry):
    assert asking.read_preferences({"preferences": [entry]}, [voice()], 0.5) == []


@pytest.mark.parametrize("said_", [None, [], "x", {}, {"preferences": None}, {"preferences": {"rule": "x"}}])
def test_an_answer_of_another_shape_is_an_error(said_):
    with pytest.raises(ModelError, match="list of preferences"):
        asking.read_preferences(said_, [voice()], 0.5)


def test_rules_that_say_the_same_are_one_and_there_are_three_at_most():
    many = [{"rule": f"Always mention number {word} explicitly.", "confidence": 0.9} for word in ("one", "two")]
    other = [{"rule": "Name the benchmark you compare with.", "confidence": 0.8, "category": ["odd"]}]
    found = asking.read_preferences({"preferences": [*many, *other, RULE, RULE]}, [voice(), voice()], 0.5)
    assert [each.content for each in found] == [many[0]["rule"], other[0]["rule"]]
    assert [each.category for each in found] == ["communication_style"] * 2
    assert {(each.source, each.method, each.evidence_count) for each in found} == {
        ("llm_extraction", "language_model", 2)
    }


def test_only_what_says_more_than_a_thumb_is_shown_and_no_more_than_a_few():
    given = [voice(up=True), voice(edited="", comment=" "), *[voice(comment=f"c{n}") for n in range(10)]]
    shown = asking.telling(given)
    assert [each.comment for each in shown] == [f"c{n}" for n in range(asking.SHOWN)]


def test_the_environment_says_which_model(settings):
    settings.LLM_BASE_URL = settings.LLM_MODEL = ""
    assert configured() is None
    settings.LLM_BASE_URL, settings.LLM_MODEL, settings.LLM_API_KEY = "http://localhost:1/v1", "m", "k"
    found = configured(attempts=1)
    assert found is not None
    assert (found.name, found.attempts, found.timeout) == ("m", 1, settings.LLM_TIMEOUT)
