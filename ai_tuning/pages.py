"""A thread, drawn: from domain values to the turns, facts and state that the templates show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.timesince import timesince

from activity.models import Message
from ai_tuning.conversations import Thread, Turn
from metrics.models import BatchRun
from metrics.toolcalls import ToolCall
from sigmasight.lib.format import compact, count, exact, milliseconds

ROLES = {"user": "Person", "assistant": "Assistant", "system": "System", "tool": "Tool"}
LINE = 90


def turns(thread: Thread) -> list[dict[str, Any]]:
    """Each message as `components/turn.html` wants it."""
    asker = thread.person.full_name.split()[0] if thread.person and thread.person.full_name else ROLES["user"]
    return [_turn(turn, asker) for turn in thread.turns]


def facts(thread: Thread) -> list[tuple[str, str]]:
    """What is known of the conversation besides its words: (name, text)."""
    conversation = thread.conversation
    requests = [turn.request for turn in thread.turns if turn.request]
    tokens = [turn.input_tokens for turn in thread.turns if turn.input_tokens is not None]
    tokens_out = [turn.output_tokens for turn in thread.turns if turn.output_tokens is not None]
    rows = [
        ("Begun", exact(conversation.created_at)),
        ("Messages", f"{count(len(thread.turns))}"),
        ("Models", ", ".join(thread.models) or str(conversation.metadata.get("model") or "not recorded")),
        ("Requests", f"{len(requests)}, {sum(1 for request in requests if request.error_type)} failed"),
        ("Tokens in", str(compact(sum(tokens))) if tokens else "not measured"),
        ("Tokens out", str(compact(sum(tokens_out))) if tokens_out else "not measured"),
        ("Mode", conversation.mode),
        ("Provider", conversation.provider),
    ]
    return rows + [(_label(name), text) for name, text in _metadata(conversation.metadata)]


def batch_state(thread: Thread) -> dict[str, str] | None:
    """A warning where the data an answer rested on was stale: the batch before it had not gone through."""
    if thread.batch is None or thread.batch.run.status == BatchRun.Status.COMPLETED:
        return None
    run = thread.batch.run
    word = {"failed": "failed", "partial": "went through only in part", "running": "was still going"}[run.status]
    phase = max(thread.batch.phases, key=lambda name: thread.batch.phases[name]) if thread.batch.phases else ""
    when = timesince(run.started_at, thread.conversation.created_at, depth=1)
    where = f" Its longest phase was {phase}." if phase and run.status == "failed" else ""
    return {"tone": "warn", "text": f"The last batch before this, {when} earlier, {word}.{where}"}


def _turn(turn: Turn, asker: str) -> dict[str, Any]:
    message = turn.message
    asks = message.role == Message.Role.USER
    return {
        "who": asker if asks else ROLES.get(message.role, message.role),
        "at": message.created_at,
        "asks": asks,
        "text": message.content or "",
        "facts": [turn.request.model] if turn.request else [],
        "tools": [_tool(call) for call in turn.tools],
        "voices": [
            {"rating": voice.rating, "comment": voice.comment, "when": f"{voice.created_at:%d %b %H:%M}"}
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
    result = call.error or (call.result.strip().splitlines()[0][:LINE] if call.result.strip() else "")
    return {
        "name": call.name,
        "result": result,
        "failed": bool(call.error),
        "took": str(milliseconds(call.milliseconds)) if call.milliseconds is not None else "",
        "input": call.arguments,
        "output": call.result,
    }


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
