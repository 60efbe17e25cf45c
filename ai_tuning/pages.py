"""A thread, drawn: from domain values to the turns, facts and state that the templates show."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.utils.timesince import timesince
from django.utils.timezone import get_current_timezone

from activity.models import Message
from activity.search import Hit
from ai_tuning.conversations import ConversationPage, Row, Thread, Turn
from ai_tuning.searching import MessagePage, MessageRow
from metrics.models import BatchRun
from metrics.toolcalls import ToolCall, sendable
from sigmasight.lib.format import compact, count, exact, milliseconds
from sigmasight.lib.periods import Period
from sigmasight.lib.zones import here

ROLES = {"user": "Person", "assistant": "Assistant", "system": "System", "tool": "Tool"}
LINE = 44


def found(page: ConversationPage | MessagePage, period: Period) -> str:
    """How many there are, and of when: "5,092, 24 Oct 2026 – 22 Nov 2026, UTC"."""
    return f"{count(page.total)}{'+' if page.more else ''}, {period.text}"


def beside(page: ConversationPage | MessagePage) -> list[tuple[Row, MessageRow | None]]:
    """The list beside a thread: each conversation once, with the first of its messages that was found."""
    if isinstance(page, MessagePage):
        return [(each.row, each) for each in page.conversations]
    return [(row, None) for row in page.rows]


def ordered(page: MessagePage) -> str:
    """In what order the messages stand: "best match first, of the newest 405"."""
    if page.results.ranked_of is None:
        return "newest first"
    return f"best match first{f', of the {page.results.ranked_of:,} newest' if page.next_cursor or page.more else ''}"


def nothing(page: MessagePage) -> str:
    """Why an empty page may be followed by others: what was looked at did not pass."""
    return f"None of the {page.results.looked_at or 0:,} newest messages with these words has them as asked for."


def turns(thread: Thread, matching: Collection[UUID] = ()) -> list[dict[str, Any]]:
    """Each message as `components/turn.html` wants it; `matches`: it is among those that hold what was searched for.
    What a tool said is folded into the answer that called it."""
    asker = _asker(thread)
    drawn: list[dict[str, Any]] = []
    said: list[Turn] = []
    for turn in thread.turns:
        if turn.message.role == Message.Role.TOOL:
            said.append(turn)
            continue
        results = said if turn.message.role == Message.Role.ASSISTANT else []
        drawn += [] if results else [_turn(each, asker, _results([each])) for each in said]
        drawn.append(_turn(turn, asker, _merge(turn.tools, _results(results))))
        said = []
    drawn += [_turn(each, asker, _results([each])) for each in said]
    anchors = {f"m-{each}" for each in matching}
    return [{**each, "matches": each["anchor"] in anchors} for each in drawn]


def matches(thread: Thread, hits: Collection[Hit]) -> list[dict[str, Any]]:
    """Links from the thread's head to the messages that hold what was searched for."""
    asker = _asker(thread)
    return [
        {
            "anchor": f"m-{hit.message_id}",
            "who": asker if hit.role == Message.Role.USER else ROLES.get(hit.role, hit.role),
            "at": hit.at,
        }
        for hit in hits
    ]


def _asker(thread: Thread) -> str:
    """What the person is called in their thread."""
    return next(iter(thread.person.full_name.split()), ROLES["user"]) if thread.person else ROLES["user"]


def _results(said: list[Turn]) -> list[ToolCall]:
    """Tool messages as calls: the content is the result."""
    calls = []
    for turn in said:
        known = turn.tools[0] if turn.tools else ToolCall("tool")
        took = known.milliseconds if known.milliseconds is not None else turn.message.latency_ms
        result = known.result or turn.message.content or ""
        calls.append(replace(known, result=result, milliseconds=took, error=known.error or turn.error))
    return calls


def _merge(calls: list[ToolCall], results: list[ToolCall]) -> list[ToolCall]:
    """The calls of an answer, each with the first result of its name; results that nobody called for come last."""
    left, merged = list(results), []
    for call in calls:
        match = next((each for each in left if each.name == call.name), None)
        if match is not None:
            left.remove(match)
            call = replace(
                call,
                result=call.result or match.result,
                error=call.error or match.error,
                milliseconds=call.milliseconds if call.milliseconds is not None else match.milliseconds,
            )
        merged.append(call)
    return merged + left


def facts(thread: Thread) -> list[tuple[str, str]]:
    """What is known of the conversation besides its words: (name, text)."""
    conversation, use = thread.conversation, thread.use
    tokens = [turn.input_tokens for turn in thread.turns if turn.input_tokens is not None]
    tokens_out = [turn.output_tokens for turn in thread.turns if turn.output_tokens is not None]
    rows = [
        ("Begun", exact(conversation.created_at, get_current_timezone())),
        ("Messages", f"{count(thread.messages)}"),
        ("Models", ", ".join(thread.models or _models(conversation.metadata)) or "not recorded"),
        ("Requests", f"{count(use.requests)}, {count(use.failed)} failed" if use else "none recorded"),
        ("Tokens in", str(compact(sum(tokens))) if tokens else "not measured"),
        ("Tokens out", str(compact(sum(tokens_out))) if tokens_out else "not measured"),
        ("Mode", conversation.mode),
        ("Provider", conversation.provider),
    ]
    return rows + [(_label(name), text) for name, text in _metadata(conversation.metadata)]


def batch_state(thread: Thread) -> dict[str, str] | None:
    """A warning where the data an answer rested on was stale: the batch before it had not gone through by then."""
    last, begun = thread.batch, thread.conversation.created_at
    if last is None:
        return None
    if last.run.completed_at is None or last.run.completed_at > begun:
        word = "was still going"
    elif last.run.status in (BatchRun.Status.FAILED, BatchRun.Status.PARTIAL):
        word = "failed" if last.run.status == BatchRun.Status.FAILED else "went through only in part"
    else:
        return None
    when = timesince(last.run.started_at, begun, depth=1)
    phase = max(last.phases.items(), key=itemgetter(1))[0] if last.phases and word == "failed" else ""
    where = f" Its longest phase was {phase}." if phase else ""
    return {"tone": "warn", "text": f"The last batch before this, {when} earlier, {word}.{where}"}


def _turn(turn: Turn, asker: str, tools: list[ToolCall]) -> dict[str, Any]:
    message = turn.message
    asks = message.role == Message.Role.USER
    return {
        "who": asker if asks else ROLES.get(message.role, message.role),
        "at": message.created_at,
        "asks": asks,
        "text": "" if message.role == Message.Role.TOOL else message.content or "",
        "facts": [turn.request.model] if turn.request else [],
        "tools": [_tool(call) for call in tools],
        "voices": [
            {"rating": voice.rating, "comment": voice.comment, "when": f"{here(voice.created_at):%d %b %H:%M}"}
            for voice in turn.voices
        ],
        "error": turn.error,
        "anchor": f"m-{message.pk}",
        "judged": bool(turn.voices or turn.annotations),
        "costs": [] if asks else list(_costs(turn)),
    }


def _costs(turn: Turn) -> Iterator[dict[str, Any]]:
    if turn.input_tokens is not None:
        yield {"before": "", "figure": str(count(turn.input_tokens)), "after": "tokens in", "tone": ""}
    if turn.output_tokens is not None:
        yield {"before": "", "figure": str(count(turn.output_tokens)), "after": "out", "tone": ""}
    if turn.first_token_ms is not None:
        yield {"before": "first token", "figure": str(milliseconds(turn.first_token_ms)), "after": "", "tone": ""}
    if turn.latency_ms is not None:
        usual = f"in all, p95 is {milliseconds(turn.usual_p95)}" if turn.is_slow else "in all"
        tone = "warn" if turn.is_slow else ""
        yield {"before": "", "figure": str(milliseconds(turn.latency_ms)), "after": usual, "tone": tone}


def _tool(call: ToolCall) -> dict[str, Any]:
    return {
        "name": call.name,
        "result": call.error or _digest(call.result),
        "failed": bool(call.error),
        "took": str(milliseconds(call.milliseconds)) if call.milliseconds is not None else "",
        "input": call.arguments,
        "output": call.result,
    }


def _digest(result: str) -> str:
    """A tool's result in a line: "positions 8, as of 2026-11-20"; the length of a list; or its first words."""
    try:
        value = json.loads(result)
    except (ValueError, RecursionError):
        return result.strip().partition("\n")[0][:LINE]
    if isinstance(value, list):
        return f"{len(value)} items"
    if not isinstance(value, dict):
        return sendable(str(value))[:LINE]
    plain = {name: each for name, each in value.items() if isinstance(each, str | int | float)}
    nested = {name: f"{len(each)}" for name, each in value.items() if isinstance(each, list | dict)}
    words = sendable(", ".join(f"{name.replace('_', ' ')} {each}" for name, each in {**nested, **plain}.items()))
    return words if len(words) <= LINE else f"{words[: LINE - 1].rstrip()}…"


def _models(metadata: Any) -> list[str]:
    named = metadata.get("model") if isinstance(metadata, dict) else None
    return [str(named)] if named else []


def _metadata(metadata: Any) -> Iterator[tuple[str, str]]:
    """The conversation's metadata, flat, without what is shown elsewhere."""
    if not isinstance(metadata, dict):
        return
    for name, value in metadata.items():
        if name == "model":
            continue
        if isinstance(value, dict):
            yield from _metadata(value)
        else:
            yield str(name), str(value)


def _label(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
