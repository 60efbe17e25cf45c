"""Whose conversations they are: given in the file, named on the command line, or invented."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid5

from ai_tuning.importing.chats import NAMESPACE, Chat
from ai_tuning.importing.people import UNUSABLE_PASSWORD, invented_name, mailbox
from sigmasight.lib.copying import insert_new, line

DEFAULT_INVENTED = 40
MOST_EXISTING = 20_000
USER_COLUMNS = ("id", "email", "hashed_password", "full_name", "is_active", "created_at", "updated_at")


class Owners:
    """Gives each conversation its user. Those that are not there yet are made with the batch they are needed for.

    `pool`: ids to choose from by the conversation's own chance; empty: `invented` people are made up.
    """

    def __init__(self, pool: list[UUID], invented: int, before: dt.datetime) -> None:
        self._pool, self._invented, self._before = pool, invented, before

    def assign(self, cursor: Any, chats: Iterable[Chat]) -> tuple[dict[UUID, UUID], int]:
        """The user of each conversation by its id, and how many users were added."""
        owners: dict[UUID, UUID] = {}
        wanted: dict[UUID, str] = {}
        people: dict[str, str] = {}
        for chat in chats:
            if chat.user is None and self._pool:
                owners[chat.id] = self._pool[_number(chat) % len(self._pool)]
                continue
            if chat.user is None:
                name = invented_name(_number(chat) % self._invented)
                address = f"{mailbox(name)}.{_number(chat) % self._invented}@example.com"
            elif (known := _uuid(chat.user)) is not None:
                owners[chat.id] = known
                continue
            elif "@" in chat.user:
                address, name = chat.user, chat.user.split("@")[0]
            else:
                mark = hashlib.sha256(chat.user.encode()).hexdigest()[:6]
                address, name = f"{mailbox(chat.user)}.{mark}@example.com", chat.user
            wanted[chat.id] = address
            people[address] = name
        if not people:
            return owners, 0
        added = insert_new(cursor, "users", USER_COLUMNS, [self._row(*pair) for pair in people.items()])
        cursor.execute("SELECT email, id FROM users WHERE email = ANY(%s)", [list(people)])
        ids = dict(cursor.fetchall())
        return owners | {chat: ids[address] for chat, address in wanted.items()}, added

    def _row(self, address: str, name: str) -> str:
        identifier = uuid5(NAMESPACE, f"user {address}")
        at = self._before - dt.timedelta(minutes=30 + int.from_bytes(identifier.bytes[:2]) * 2)
        return line(identifier, address, UNUSABLE_PASSWORD, name, True, at, at)


def existing_users(cursor: Any) -> list[UUID]:
    """Some of the people there are, always the same ones."""
    cursor.execute("SELECT id FROM users WHERE is_active ORDER BY id LIMIT %s", [MOST_EXISTING])
    return [row[0] for row in cursor.fetchall()]


def _number(chat: Chat) -> int:
    return int.from_bytes(chat.id.bytes[10:])


def _uuid(given: str) -> UUID | None:
    try:
        return UUID(given)
    except ValueError:
        return None
