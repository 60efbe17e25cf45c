"""Documents that the AI may retrieve, as lists and figures see them. No embedding is ever loaded: 6 kB each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Case, Value, When
from django.db.models.functions import Left, Length

from ai_tuning.models import Document
from ai_tuning.querysets import DocumentQuerySet
from sigmasight.lib.pagination import Cursor

# Characters of a document's content that a list shows; a longer one ends in "...".
EXCERPT = 500
# Scopes that are counted one by one: `portfolio:<id>` alone may be 100,000.
NAMED_SCOPES = 200
# A document that nobody has touched for so long may say what is no longer so.
STALE_AFTER = dt.timedelta(days=90)
NEIGHBOURS = 8
# Words of a document by which others like it are looked for, where there is no embedding.
TELLING_WORDS = 12
SHOWN = 50
CHUNK = 500


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


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A document like another. `likeness`: cosine similarity of the embeddings, -1 to 1; None where they are compared
    by their words, and stand in the order of how well those match."""

    id: UUID
    title: str
    scope: str
    likeness: float | None


def neighbours(of: DocumentRow, limit: int = NEIGHBOURS) -> list[Neighbour]:
    """Those most like a document, nearest first: by their embeddings (the HNSW index, so about the nearest), or, where
    it has none, by PostgreSQL's full-text rank of its title's and first lines' words."""
    with connections["metro"].cursor() as cursor:
        if of.has_embedding:
            cursor.execute(
                """
                SELECT d.id, d.title, d.scope, 1 - (d.embedding <=> mine.embedding)
                  FROM (SELECT embedding FROM ai_kb_documents WHERE id = %(id)s) mine
                 CROSS JOIN LATERAL (
                       SELECT id, title, scope, embedding FROM ai_kb_documents
                        WHERE embedding IS NOT NULL ORDER BY embedding <=> mine.embedding LIMIT %(limit)s + 1) d
                 WHERE d.id <> %(id)s ORDER BY 4 DESC LIMIT %(limit)s
                """,
                {"id": of.id, "limit": limit},
            )
        else:
            cursor.execute(
                """
                WITH words AS (
                    SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery AS any
                      FROM (SELECT lexeme FROM unnest(to_tsvector('english', %(text)s))
                             ORDER BY cardinality(positions) DESC, lexeme LIMIT %(words)s) AS telling
                )
                SELECT d.id, d.title, d.scope, NULL
                  FROM words, ai_kb_documents d
                 CROSS JOIN LATERAL (SELECT to_tsvector('english', d.title || ' ' || left(d.content, 4000)) AS vector) v
                 WHERE d.id <> %(id)s AND v.vector @@ words.any
                 ORDER BY ts_rank_cd(v.vector, words.any, 1) DESC, d.id LIMIT %(limit)s
                """,
                {"id": of.id, "text": f"{of.title} {of.content[:EXCERPT]}", "words": TELLING_WORDS, "limit": limit},
            )
        return [Neighbour(*row) for row in cursor.fetchall()]


def page(found: DocumentQuerySet, after: Cursor | None, size: int = SHOWN) -> tuple[list[Document], Cursor | None]:
    """A page of documents, changed last first, and where the next begins."""
    ordered = found.changed_last_first()
    rows = list((ordered.after(after) if after is not None else ordered)[: size + 1])
    shown = rows[:size]
    return shown, Cursor(shown[-1].updated_at, shown[-1].pk) if len(rows) > size else None


def stale(now: dt.datetime) -> int:
    """How many documents nobody has touched for STALE_AFTER."""
    return Document.objects.in_state("stale", now - STALE_AFTER).count()


def file_rows(found: DocumentQuerySet, now: dt.datetime) -> Iterator[tuple[Any, ...]]:
    """Every document as a row of a file, without its text: id, changed, made, scope, title, characters, whether it is
    embedded, whether it is stale."""
    rows = found.changed_last_first().values_list(
        "pk", "updated_at", "created_at", "scope", "title", Length("content"), _has_embedding()
    )
    for row in rows.iterator(chunk_size=CHUNK):
        yield *row, now - row[1] > STALE_AFTER
