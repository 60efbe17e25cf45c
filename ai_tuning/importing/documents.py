"""Knowledge documents from JSONL: scope, title, content, metadata, and perhaps an embedding."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid5

from django.db import connections, transaction

from ai_tuning.importing.chats import NAMESPACE
from ai_tuning.models import EMBEDDING_DIMENSIONS
from sigmasight.lib.copying import compact_json, insert_new, line
from sigmasight.lib.linefiles import Files, Line, LineError, Problems, kind_of, object_of
from sigmasight.lib.values import mapping, moment, text
from sigmasight.management.importing import Tally

COLUMNS = ("id", "scope", "title", "content", "metadata", "embedding", "created_at", "updated_at")
# pgvector keeps four-byte floats.
_LARGEST = 3.4e38


@dataclass(frozen=True, slots=True)
class Page:
    """One document, ready for COPY."""

    size: int
    row: str
    key: None = None


def parse_document(found: Line, default_scope: str, now: dt.datetime) -> Page:
    """The document of a line. Raises LineError. It is known by its `id`, or else by scope, title and content."""
    given = object_of(found)
    scope = text(given, "scope", longest=100) or default_scope
    title, content = text(given, "title", longest=500), text(given, "content")
    if not scope:
        raise LineError("“scope” is missing. Add it to the line, or give --scope NAME.")
    if not title:
        raise LineError("“title” is missing. A document needs one.")
    if not content:
        raise LineError("“content” is missing. A document without words is nothing to retrieve.")
    identifier = given.get("id")
    if identifier is not None and (isinstance(identifier, bool) or not isinstance(identifier, str | int)):
        raise LineError(f"“id” must be a text or a number, and is {kind_of(identifier)}.")
    known_by = [scope, title, content] if identifier is None else [identifier]
    key = hashlib.sha256(json.dumps(known_by).encode()).hexdigest()
    metadata = mapping(given, "metadata")
    if identifier is not None:
        metadata = {**metadata, "import_id": identifier}
    try:
        compact_json(metadata)
    except ValueError:
        raise LineError("“metadata” holds a number that is too big to be stored. Write it as a text.") from None
    created = moment(given, "created_at") or now
    row = line(
        uuid5(NAMESPACE, f"document {key}"),
        scope,
        title,
        content,
        metadata,
        _embedding(given),
        created,
        moment(given, "updated_at") or created,
    )
    return Page(len(found.raw or b""), row)


def _embedding(given: dict[str, Any]) -> str | None:
    vector = given.get("embedding")
    if vector is None:
        return None
    if not isinstance(vector, list):
        raise LineError(f"“embedding” must be a list of {EMBEDDING_DIMENSIONS:,} numbers, and is {kind_of(vector)}.")
    if len(vector) != EMBEDDING_DIMENSIONS:
        raise LineError(
            f"“embedding” has {len(vector):,} numbers, and {EMBEDDING_DIMENSIONS:,} are wanted "
            "(text-embedding-3-small). Leave it out to have it computed later."
        )
    for place, value in enumerate(vector, 1):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise LineError(f"Number {place} of “embedding” is {kind_of(value)}.")
        if not math.isfinite(value) or abs(value) > _LARGEST:
            raise LineError(f"Number {place} of “embedding” is too big for a four-byte float.")
    if not any(vector):
        raise LineError("“embedding” is all zeros, which has no direction. Leave it out to have it computed later.")
    return "[" + ",".join(map(repr, vector)) + "]"


class DocumentImporter:
    """Brings documents into metro."""

    scans = False

    def __init__(self, default_scope: str, now: dt.datetime) -> None:
        self.tally = Tally()
        self._scope, self._now = default_scope, now

    def read(self, files: Files, problems: Problems) -> Iterator[Page]:
        for found in files.lines():
            self.tally.read += 1
            try:
                yield parse_document(found, self._scope, self._now)
            except LineError as error:
                problems.report(found.file, found.number, str(error))
            except RecursionError:
                problems.report(found.file, found.number, "The JSON is nested too deep. Flatten it.")

    def note(self, record: Page) -> None:
        """Nothing about a document needs to be known beforehand."""

    def prepare(self, *, strict: bool) -> None:
        """Nothing has to be made beforehand."""

    @contextmanager
    def one_transaction(self) -> Iterator[None]:
        with transaction.atomic(using="metro"):
            yield

    def write(self, batch: list[Page], problems: Problems) -> None:
        with transaction.atomic(using="metro"), connections["metro"].cursor() as cursor:
            new = insert_new(cursor, "ai_kb_documents", COLUMNS, [page.row for page in batch])
        self.tally.count("ai_kb_documents", new, len(batch))
