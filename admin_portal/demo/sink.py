"""Where generated rows go: gathered by table, handed on in big pieces, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

COLUMNS: dict[str, Sequence[str]] = {
    "users": ("id", "email", "hashed_password", "full_name", "is_active", "created_at", "updated_at"),
    "portfolios": (
        "id", "user_id", "name", "account_name", "account_type", "description", "currency", "equity_balance",
        "created_at", "updated_at", "deleted_at",
    ),
    "agent_conversations": (
        "id", "user_id", "mode", "provider", "provider_thread_id", "metadata", "created_at", "updated_at",
    ),
    "agent_messages": (
        "id", "conversation_id", "role", "content", "tool_calls", "first_token_ms", "latency_ms", "prompt_tokens",
        "completion_tokens", "total_tokens", "provider_message_id", "error", "created_at",
    ),
    "user_activity_events": (
        "id", "user_id", "session_id", "event_type", "event_category", "event_data", "error_code", "error_message",
        "ip_address", "user_agent", "created_at",
    ),
    "ai_request_metrics": (
        "id", "conversation_id", "message_id", "user_id", "model", "input_tokens", "output_tokens", "total_tokens",
        "first_token_ms", "total_latency_ms", "tool_calls_count", "tool_calls", "error_type", "error_message",
        "created_at",
    ),
    "batch_run_history": (
        "id", "batch_run_id", "triggered_by", "started_at", "completed_at", "status", "total_jobs", "completed_jobs",
        "failed_jobs", "phase_durations", "error_summary", "activity_log", "created_at",
    ),
    "ai_feedback": ("id", "message_id", "rating", "edited_text", "comment", "created_at"),
    "ai_memories": ("id", "user_id", "scope", "content", "tags", "created_at"),
    "ai_kb_documents": ("id", "scope", "title", "content", "metadata", "created_at", "updated_at"),
    "ai_admin_annotations": (
        "id", "message_id", "admin_user_id", "annotation_type", "content", "suggested_response", "severity", "tags",
        "status", "created_at", "updated_at",
    ),
}  # fmt: skip
EVENTS, REQUESTS = "user_activity_events", "ai_request_metrics"
METRO = ("ai_feedback", "ai_memories", "ai_kb_documents", "ai_admin_annotations")
# Rows that fall on a day beside the one being written: only big loads tell them apart.
LATER = "later:"
# Rows that point to others come after them.
_AFTER = {"portfolios": "users", "agent_messages": "agent_conversations"}


class Sink:
    """Gathers ready COPY lines by table and passes them on, some thousands at a time."""

    def __init__(self, write: Callable[[str, list[str]], None], piece: int = 10_000) -> None:
        self._write, self._piece = write, piece
        self._lines: dict[str, list[str]] = {}
        self.counts: dict[str, int] = {}

    def add(self, table: str, line: str) -> None:
        lines = self._lines.get(table)
        if lines is None:
            lines = self._lines[table] = []
        lines.append(line)
        if len(lines) >= self._piece:
            self._pass_on(table)

    def flush(self) -> None:
        for table in list(self._lines):
            self._pass_on(table)

    def _pass_on(self, table: str) -> None:
        if table in _AFTER:
            self._pass_on(_AFTER[table])
        lines = self._lines.get(table)
        if lines:
            self._write(table, lines)
            self.counts[table] = self.counts.get(table, 0) + len(lines)
            self._lines[table] = []
