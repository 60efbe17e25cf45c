"""OpenAI chat JSONL: one conversation a line, read and checked, before anything is written."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from sigmasight.lib.copying import NULL, compact_json, escaped, field
from sigmasight.lib.linefiles import Files, Line, LineError, Problems, kind_of, object_of
from sigmasight.lib.values import mapping, moment, text, whole, words

# Every id made here is a uuid5 under it, so that reading a file again finds what is there.
NAMESPACE = UUID("7c9a4b54-2f0d-5a31-9d46-0f2f6f1f0a11")
_ROLES = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
_LATENCY = ("latency_ms", "total_latency_ms")
_WHEN = ("created_at", "timestamp")


@dataclass(frozen=True, slots=True)
class Said:
    """One message. `content`, `calls` and `metric_calls` are ready for COPY; `gap` is seconds since the one before."""

    id: UUID
    role: str
    content: str
    calls: str
    metric_calls: str
    call_count: int
    model: str
    first_ms: int | None
    latency_ms: int | None
    tokens: tuple[int | None, int | None, int | None]
    given: dt.datetime | None
    gap: float


@dataclass(frozen=True, slots=True)
class Voice:
    """Feedback on the last answer; its columns rating, edited_text, comment are ready for COPY."""

    id: UUID
    message_id: UUID
    columns: str
    given: dt.datetime | None
    delay: float


@dataclass(frozen=True, slots=True)
class Chat:
    """One conversation of a file. `share` (0 to 1) places it in the period where it carries no time."""

    file: str
    number: int
    size: int
    id: UUID
    user: str | None
    metadata: str
    messages: tuple[Said, ...]
    voice: Voice | None
    given: dt.datetime | None
    share: float

    @property
    def key(self) -> UUID:
        return self.id

    @property
    def lasting(self) -> dt.timedelta:
        """From the first message to the feedback, where nothing of it is dated."""
        return dt.timedelta(seconds=sum(said.gap for said in self.messages) + (self.voice.delay if self.voice else 0))

    def times(self, start: dt.datetime) -> list[dt.datetime]:
        """When each message was said: its own time, or so long after the one before; always later than that one."""
        found: list[dt.datetime] = []
        for said in self.messages:
            at = said.given
            if at is None:
                at = found[-1] + dt.timedelta(seconds=said.gap) if found else start
            if found and at <= found[-1]:
                at = found[-1] + dt.timedelta(milliseconds=1)
            found.append(at)
        return found


def read_chats(
    files: Files, problems: Problems, default_model: str, count: Callable[[], None], admit: Callable[[dt.date], None]
) -> Iterator[Chat]:
    """The conversations of the files; lines that are none are reported.

    Calls `count()` for each line, and `admit(day)` for each day that messages carry: it may raise LineError.
    """
    for line in files.lines():
        count()
        try:
            chat = parse_chat(line, default_model)
            for at in (chat.given, *(said.given for said in chat.messages)):
                if at is not None:
                    admit(at.date())
            yield chat
        except LineError as error:
            problems.report(line.file, line.number, str(error))
        except RecursionError:
            problems.report(line.file, line.number, "The JSON is nested too deep. Flatten it.")


def parse_chat(line: Line, default_model: str = "") -> Chat:
    """The conversation of a line. Raises LineError."""
    found = object_of(line)
    given = found.get("messages")
    if not isinstance(given, list):
        said = "there is none" if given is None else f"it is {kind_of(given)}"
        raise LineError(f"“messages” must be a list of messages, and {said}.")
    if not given:
        raise LineError("“messages” is empty: there is nothing to import.")
    for place, message in enumerate(given, 1):
        if not isinstance(message, dict):
            raise LineError(f"Message {place} must be an object, and is {kind_of(message)}.")
    model = _model(found, "") or default_model
    metadata = dict(mapping(found, "metadata"))
    identifier = found.get("id")
    if identifier is not None and (isinstance(identifier, bool) or not isinstance(identifier, str | int)):
        raise LineError(f"“id” must be a text or a number, and is {kind_of(identifier)}.")
    key = _key(identifier, model, given)
    conversation = uuid5(NAMESPACE, key)
    chance = random.Random(key)  # noqa: S311
    messages = _messages(found, given, conversation, model, chance)
    metadata |= {
        name: value for name, value in (("model", model), ("import_id", identifier)) if value not in ("", None)
    }
    try:
        shown = escaped(compact_json(metadata))
    except ValueError:
        raise LineError("“metadata” holds a number that is too big to be stored. Write it as a text.") from None
    share = int.from_bytes(hashlib.blake2b(conversation.bytes, digest_size=7).digest()) / 2**56
    return Chat(
        line.file,
        line.number,
        len(line.raw or b""),
        conversation,
        _user(found),
        shown,
        messages,
        _voice(found, messages),
        moment(found, *_WHEN),
        share,
    )


def _key(identifier: Any, model: str, messages: list[dict[str, Any]]) -> str:
    """What a conversation is known by: its id, model and first question; without an id all that is said in it."""
    if identifier is None:
        return hashlib.sha256(json.dumps([model, messages], sort_keys=True).encode()).hexdigest()
    first = next((m.get("content") for m in messages if m.get("role") == "user"), None)
    return hashlib.sha256(json.dumps([str(identifier), model, first], sort_keys=True).encode()).hexdigest()


def _model(found: dict[str, Any], otherwise: str) -> str:
    return text(found, "model", longest=100) or otherwise


def _messages(
    found: dict[str, Any], given: list[dict[str, Any]], conversation: UUID, model: str, chance: random.Random
) -> tuple[Said, ...]:
    last = max((n for n, message in enumerate(given) if message.get("role") == "assistant"), default=-1)
    messages = []
    for number, message in enumerate(given):
        try:
            # What is measured for the whole line belongs to its last answer.
            messages.append(_message(message, number, found if number == last else {}, conversation, model, chance))
        except LineError as error:
            raise LineError(f"Message {number + 1}: {error}") from None
    return tuple(messages)


def _message(
    message: dict[str, Any],
    number: int,
    of_line: dict[str, Any],
    conversation: UUID,
    model: str,
    chance: random.Random,
) -> Said:
    named = message.get("role")
    role = _ROLES.get(named) if isinstance(named, str) else None
    if role is None:
        raise LineError(f"its role is {json.dumps(named)[:60]}; it must be one of {', '.join(_ROLES)}.")
    content = _content(message)
    calls = _calls(message) if role == "assistant" else []
    if content is None and not calls and role != "assistant":
        raise LineError("it has no content.")
    if role == "assistant":
        model = _model(message, model)
        if not model:
            raise LineError("nobody says which model answered. Add “model” to the line, or give --model NAME.")
    elif role == "tool":
        calls = [_answered(message)]
    metered = message if mapping(message, "usage") else of_line
    usage = mapping(metered, "usage") if role == "assistant" else {}
    tokens_in, out = whole(usage, "prompt_tokens", "input_tokens"), whole(usage, "completion_tokens", "output_tokens")
    total = whole(usage, "total_tokens")
    if total is None and tokens_in is not None and out is not None:
        total = min(tokens_in + out, 2_147_483_647)
    latency = first = None
    if role == "assistant":
        latency, first = whole(message, *_LATENCY), whole(message, "first_token_ms")
        if latency is None:
            latency = whole(of_line, *_LATENCY)
        if first is None:
            first = whole(of_line, "first_token_ms")
    luck = chance.random()
    gap = {"user": 14 + 130 * luck * luck, "tool": 0.2 + 1.8 * luck}.get(role, 1.4 + 11 * luck * luck)
    if latency is not None:
        gap = max(0.001, latency / 1000)
    listed = [{key: call[key] for key in ("name", "id") if key in call} for call in calls]
    try:
        stored = escaped(compact_json(calls)) if calls else NULL
    except ValueError:
        raise LineError("its tool calls hold a number that is too big to be stored. Write it as a text.") from None
    return Said(
        uuid5(conversation, f"message {number}"),
        role,
        field(content),
        stored,
        escaped(compact_json({"tools": listed})) if listed else NULL,
        len(listed),
        model,
        first,
        latency,
        (tokens_in, out, total),
        moment(message, *_WHEN),
        round(gap, 3) if number else 0.0,
    )


def _content(message: dict[str, Any]) -> str | None:
    """The message's text. Parts that are no text are named in brackets."""
    content = message.get("content")
    if content is None:
        return text(message, "refusal")
    if isinstance(content, str | int | float):
        return words(message, "content")
    if not isinstance(content, list):
        raise LineError(f"“content” must be a text or a list of parts, and is {kind_of(content)}.")
    return "\n\n".join(filter(None, map(_part, content)))


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise LineError("each part of “content” must be a text or an object with a “type”.")
    kind = part["type"]
    for key in ("text", "refusal"):
        if isinstance(part.get(key), str):
            return str(part[key])
    if kind in ("text", "input_text", "output_text"):
        raise LineError(f"a part of type {kind} has no “text”.")
    source = part.get("image_url")
    address = source.get("url") if isinstance(source, dict) else source
    if isinstance(address, str) and not address.startswith("data:"):
        return f"[{kind}: {address}]"
    return f"[{kind[:60]}]"


def _calls(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The tool calls as name, id and arguments, whichever way OpenAI wrote them at the time."""
    given = message.get("tool_calls")
    if given is None:
        older = message.get("function_call")
        given = [] if older is None else [{"function": older}]
    if not isinstance(given, list):
        raise LineError(f"“tool_calls” must be a list, and is {kind_of(given)}.")
    calls = []
    for call in given:
        if not isinstance(call, dict):
            raise LineError(f"each of “tool_calls” must be an object, and one is {kind_of(call)}.")
        function = call.get("function", call)
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(name, str) or not name:
            raise LineError("one of “tool_calls” has no function name.")
        found: dict[str, Any] = {"name": name}
        if isinstance(call.get("id"), str):
            found["id"] = call["id"]
        arguments = function.get("arguments")
        if arguments is not None:
            found["arguments"] = _arguments(arguments)
        calls.append(found)
    return calls


def _arguments(given: Any) -> Any:
    """Arguments come as JSON in a text, and now and then as broken JSON: that stays a text."""
    if not isinstance(given, str):
        return given
    try:
        read = json.loads(given)
        compact_json(read).encode()
    except (ValueError, RecursionError):
        return given
    return given if "\\u0000" in given else read


def _answered(message: dict[str, Any]) -> dict[str, Any]:
    """Which call a tool's message answers."""
    call = {"name": text(message, "name") or "tool"}
    identifier = text(message, "tool_call_id")
    return call | ({"id": identifier} if identifier else {})


def _user(found: dict[str, Any]) -> str | None:
    given = found.get("user")
    if isinstance(given, dict):
        given = next((given[key] for key in ("email", "id", "name") if given.get(key)), None)
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise LineError(f"“user” must be an e-mail address, a name or a UUID, and is {kind_of(given)}.")
    if len(given) > 200:
        raise LineError("“user” has more than 200 characters. Give an e-mail address, a name or a UUID.")
    return given.strip() or None


def _voice(found: dict[str, Any], messages: tuple[Said, ...]) -> Voice | None:
    given = found.get("feedback")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise LineError(f"“feedback” must be an object, and is {kind_of(given)}.")
    if not given:
        return None
    rating = given.get("rating")
    if rating not in ("up", "down"):
        raise LineError(f"“feedback.rating” is {json.dumps(rating)[:60]}; it must be “up” or “down”.")
    answer = next((said for said in reversed(messages) if said.role == "assistant"), None)
    if answer is None:
        raise LineError("There is feedback, but no answer (role assistant) that it could be on.")
    identifier = uuid5(answer.id, "feedback")
    columns = f"{rating}\t{field(words(given, 'edited_text'))}\t{field(words(given, 'comment'))}"
    return Voice(identifier, answer.id, columns, moment(given, *_WHEN), round(12 + identifier.bytes[0] * 1.1, 1))
