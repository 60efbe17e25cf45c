"""Documents that the AI may retrieve, as lists and figures see them. No embedding is ever loaded: 6 kB each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Case, Value, When
from django.db.models.functions import Left, Length

from ai_tuning.models import Document
from ai_tuning.querysets import DocumentQuerySet

# Characters of a document's content that a list shows; a longer one ends in "...".
EXCERPT = 500
# Scopes that are counted one by one: `portfolio:<id>` alone may be 100,000.
NAMED_SCOPES = 200


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document. `content`: the whole of it, or in a list its beginning; `content_length`: characters in all."""

    id: UUID
    scope: str
    title: str
    content: str
    content_length: int
    metadata: dict[str, Any]
    has_embedding: bool
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(frozen=True, slots=True)
class KnowledgeFigures:
    """`by_scope`: the NAMED_SCOPES scopes with most documents; `in_other_scopes`: documents in all the others.
    `by_kind`: by the part of the scope before its colon: global, page, portfolio, …"""

    total: int
    by_scope: dict[str, int]
    by_kind: dict[str, int]
    scopes: int
    in_other_scopes: int
    with_embedding: int


def narrowed(
    scope: str | None = None, search: str | None = None, has_embedding: bool | None = None
) -> DocumentQuerySet:
    """The documents that are like this in everything that is given, without their contents and embeddings."""
    found = Document.objects.all()
    if scope:
        found = found.in_scope(scope)
    if has_embedding is not None:
        found = found.filter(embedding__isnull=not has_embedding)
    if search:
        found = found.mentioning(search)
    return found.defer("content", "embedding")


def excerpts(shown: Iterable[Document]) -> list[DocumentRow]:
    """These documents as a list shows them, in the order given, in one query."""
    documents = list(shown)
    found = Document.objects.filter(pk__in=[each.pk for each in documents])
    known = {
        pk: (beginning, length, embedded)
        for pk, beginning, length, embedded in found.values_list(
            "pk", Left("content", EXCERPT), Length("content"), _has_embedding()
        )
    }
    return [
        _row(each, beginning + "..." if length > EXCERPT else beginning, length, embedded)
        for each in documents
        for beginning, length, embedded in ([known[each.pk]] if each.pk in known else [])
    ]


def document(document_id: UUID) -> DocumentRow | None:
    """A document with its whole content, None where there is none with this id."""
    found = Document.objects.defer("embedding").filter(pk=document_id).first()
    if found is None:
        return None
    embedded = Document.objects.filter(pk=document_id, embedding__isnull=False).exists()
    return _row(found, found.content, len(found.content), embedded)


def figures() -> KnowledgeFigures:
    """All documents, counted, in one query."""
    with connections["metro"].cursor() as cursor:
        cursor.execute(
            "SELECT scope, count(*), count(embedding) FROM ai_kb_documents GROUP BY scope ORDER BY 2 DESC, scope"
        )
        rows: list[tuple[str, int, int]] = cursor.fetchall()
    by_kind: dict[str, int] = {}
    for scope, count, _ in rows:
        kind = scope.partition(":")[0]
        by_kind[kind] = by_kind.get(kind, 0) + count
    named = rows[:NAMED_SCOPES]
    return KnowledgeFigures(
        sum(count for _, count, _ in rows),
        {scope: count for scope, count, _ in named},
        by_kind,
        len(rows),
        sum(count for _, count, _ in rows[NAMED_SCOPES:]),
        sum(embedded for _, _, embedded in rows),
    )


def as_object(stored: Any) -> dict[str, Any]:
    """What stands in a column that should hold a JSON object, as one: nothing is {}, anything else {"value": it}."""
    if isinstance(stored, dict):
        return stored
    return {} if stored is None else {"value": stored}


def _has_embedding() -> Case:
    return Case(When(embedding__isnull=False, then=Value(True)), default=Value(False))


def _row(found: Document, content: str, length: int, embedded: bool) -> DocumentRow:
    return DocumentRow(
        found.pk,
        found.scope,
        found.title,
        content,
        length,
        as_object(found.metadata),
        embedded,
        found.created_at,
        found.updated_at,
    )
