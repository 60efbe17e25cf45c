"""Writes conversations into both databases, a batch at a time.

Gondola first: conversations, messages and one request an answer, in one transaction. Then metro: the feedback. Where
metro fails after that, reading the file again finds the conversations there and adds the feedback that is missing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid5

from django.db import connections, transaction
from psycopg import sql

from ai_tuning.importing.chats import Chat, read_chats
from ai_tuning.importing.spread import Spread
from ai_tuning.importing.users import Owners
from sigmasight.lib.copying import NULL, insert_new, names, stage
from sigmasight.lib.linefiles import Files, Problems
from sigmasight.management.importing import Days, Tally

CONVERSATION_COLUMNS = ("id", "user_id", "metadata", "created_at", "updated_at")
MESSAGE_COLUMNS = (
    "id", "conversation_id", "role", "content", "tool_calls", "first_token_ms", "latency_ms", "prompt_tokens",
    "completion_tokens", "total_tokens", "created_at",
)  # fmt: skip
REQUEST_COLUMNS = (
    "id", "conversation_id", "message_id", "user_id", "model", "input_tokens", "output_tokens", "total_tokens",
    "first_token_ms", "total_latency_ms", "tool_calls_count", "tool_calls", "created_at",
)  # fmt: skip
FEEDBACK_COLUMNS = ("id", "message_id", "rating", "edited_text", "comment", "created_at")
REQUESTS = "ai_request_metrics"


class ChatImporter:
    """Brings conversations in. Undated ones are placed by `spread`; users come from `owners`."""

    scans = False

    def __init__(self, spread: Spread, owners: Owners, default_model: str = "") -> None:
        self.tally = Tally()
        self._spread, self._owners, self._model = spread, owners, default_model
        self._days = Days(REQUESTS)
        self._noted: set[dt.date] = set()

    def read(self, files: Files, problems: Problems) -> Iterator[Chat]:
        def count() -> None:
            self.tally.read += 1

        return read_chats(files, problems, self._model, count, self._days.admit)

    def note(self, record: Chat) -> None:
        self._noted.update(at.date() for at in record.times(self._start(record)))

    def prepare(self, *, strict: bool) -> None:
        with connections["metro"].cursor() as cursor:
            cursor.execute("SELECT 1 FROM ai_feedback LIMIT 0")  # away? then nothing is begun
        if strict:
            # In the one transaction their locks would be held until its end.
            self._days.make(self._noted)

    @contextmanager
    def one_transaction(self) -> Iterator[None]:
        with transaction.atomic(using="metro"), transaction.atomic(using="default"):
            yield

    def write(self, batch: list[Chat], problems: Problems) -> None:
        there = self._there(batch)
        starts = {chat.id: self._start(chat, there) for chat in batch}
        times = {chat.id: chat.times(starts[chat.id]) for chat in batch}
        self._days.make(at.date() for each in times.values() for at in each)
        with transaction.atomic(using="default"), connections["default"].cursor() as cursor:
            batch = self._without_others(cursor, batch, there, times, problems)
            owners, new_users = self._owners.assign(cursor, [chat for chat in batch if chat.id not in there])
            owners |= {identifier: user for identifier, (_, user) in there.items()}
            added = self._write_gondola(cursor, batch, owners, starts, times)
        if new_users:
            self.tally.count("users", new_users, new_users)
        for table, new, of in added:
            self.tally.count(table, new, of)
        rows = [row for chat in batch if (row := _feedback_row(chat, times[chat.id]))]
        if rows:
            with transaction.atomic(using="metro"), connections["metro"].cursor() as cursor:
                new = insert_new(cursor, "ai_feedback", FEEDBACK_COLUMNS, rows)
            self.tally.count("ai_feedback", new, len(rows))

    def _start(self, chat: Chat, there: dict[UUID, tuple[dt.datetime, UUID]] | None = None) -> dt.datetime:
        """When the conversation began: as the file says, as it was placed before, or where the period has it."""
        if chat.given:
            return chat.given
        dated = next(((n, said.given) for n, said in enumerate(chat.messages) if said.given), None)
        if dated:
            return dated[1] - dt.timedelta(seconds=sum(said.gap for said in chat.messages[: dated[0] + 1]))
        if there and chat.id in there:
            return there[chat.id][0]
        return self._spread.at(chat.share, chat.lasting)

    def _there(self, batch: Sequence[Chat]) -> dict[UUID, tuple[dt.datetime, UUID]]:
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT id, created_at, user_id FROM agent_conversations WHERE id = ANY(%s)",
                [[chat.id for chat in batch]],
            )
            return {row[0]: (row[1], row[2]) for row in cursor.fetchall()}

    def _without_others(
        self,
        cursor: Any,
        batch: list[Chat],
        there: dict[UUID, tuple[dt.datetime, UUID]],
        times: dict[UUID, list[dt.datetime]],
        problems: Problems,
    ) -> list[Chat]:
        """The batch without conversations whose id is there with other words: to mix them would garble both."""
        again = [chat for chat in batch if chat.id in there]
        if not again:
            return batch
        lines = [row for chat in again for row in _message_rows(chat, times[chat.id])]
        twin = stage(cursor, "agent_messages", MESSAGE_COLUMNS, lines)
        cursor.execute(
            sql.SQL(
                "SELECT DISTINCT new.conversation_id FROM {} new JOIN agent_messages old USING (id)"
                " WHERE (old.role, old.content) IS DISTINCT FROM (new.role, new.content)"
            ).format(sql.Identifier(twin))
        )
        others = {row[0] for row in cursor.fetchall()}
        for chat in again:
            if chat.id in others:
                problems.report(
                    chat.file,
                    chat.number,
                    "A conversation with this id, model and first question is there already, with other messages, and "
                    "was left as it is. Give this one an id of its own to have both.",
                )
        return [chat for chat in batch if chat.id not in others]

    def _write_gondola(
        self,
        cursor: Any,
        batch: list[Chat],
        owners: dict[UUID, UUID],
        starts: dict[UUID, dt.datetime],
        times: dict[UUID, list[dt.datetime]],
    ) -> list[tuple[str, int, int]]:
        conversations = [
            f"{chat.id}\t{owners[chat.id]}\t{chat.metadata}\t{starts[chat.id].isoformat()}"
            f"\t{times[chat.id][-1].isoformat()}\n"
            for chat in batch
        ]
        new_conversations = insert_new(cursor, "agent_conversations", CONVERSATION_COLUMNS, conversations)
        messages = [row for chat in batch for row in _message_rows(chat, times[chat.id])]
        requests = [row for chat in batch for row in _request_rows(chat, times[chat.id], owners[chat.id])]
        stage(cursor, "agent_messages", MESSAGE_COLUMNS, messages)
        stage(cursor, REQUESTS, REQUEST_COLUMNS, requests)
        # A request comes with its answer: one whose raw rows were purged since is not brought back by a second run.
        cursor.execute(
            sql.SQL(
                """
                WITH said AS (
                    INSERT INTO agent_messages ({messages}) SELECT {messages} FROM stage_agent_messages
                    ON CONFLICT DO NOTHING RETURNING id
                ), asked AS (
                    INSERT INTO ai_request_metrics ({requests})
                    SELECT {requests} FROM stage_ai_request_metrics WHERE message_id IN (SELECT id FROM said)
                    ON CONFLICT DO NOTHING RETURNING 1
                ) SELECT (SELECT count(*) FROM said), (SELECT count(*) FROM asked)
                """
            ).format(messages=names(MESSAGE_COLUMNS), requests=names(REQUEST_COLUMNS))
        )
        said, asked = cursor.fetchone()
        return [
            ("agent_conversations", new_conversations, len(batch)),
            ("agent_messages", said, len(messages)),
            (REQUESTS, asked, len(requests)),
        ]


def _message_rows(chat: Chat, times: list[dt.datetime]) -> Iterator[str]:
    for said, at in zip(chat.messages, times, strict=True):
        figures = (said.first_ms, said.latency_ms, *said.tokens)
        shown = "\t".join(NULL if figure is None else str(figure) for figure in figures)
        yield f"{said.id}\t{chat.id}\t{said.role}\t{said.content}\t{said.calls}\t{shown}\t{at.isoformat()}\n"


def _request_rows(chat: Chat, times: list[dt.datetime], user: UUID) -> Iterator[str]:
    for said, at in zip(chat.messages, times, strict=True):
        if said.role != "assistant":
            continue
        figures = (*said.tokens, said.first_ms, said.latency_ms, said.call_count)
        shown = "\t".join(NULL if figure is None else str(figure) for figure in figures)
        model = said.model.replace("\\", "\\\\").replace("\t", " ").replace("\n", " ").replace("\r", " ")
        yield (
            f"{uuid5(said.id, 'request')}\t{chat.id}\t{said.id}\t{user}\t{model}\t{shown}\t{said.metric_calls}"
            f"\t{at.isoformat()}\n"
        )


def _feedback_row(chat: Chat, times: list[dt.datetime]) -> str | None:
    voice = chat.voice
    if voice is None:
        return None
    answered = next(at for said, at in zip(chat.messages, times, strict=True) if said.id == voice.message_id)
    at = voice.given or answered + dt.timedelta(seconds=voice.delay)
    return f"{voice.id}\t{voice.message_id}\t{voice.columns}\t{at.isoformat()}\n"
