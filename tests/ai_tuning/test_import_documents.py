"""import_documents: what it writes, what it refuses, and that a second run adds nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ai_tuning.models import EMBEDDING_DIMENSIONS, Document

pytestmark = pytest.mark.django_db(databases=["default", "metro"])
REAL = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "financebench_documents.jsonl"


def document(**more: Any) -> dict[str, Any]:
    return {"scope": "global", "title": "Beta", "content": "How beta is computed.", "metadata": {"page": 3}, **more}


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    def write(*lines: Any) -> str:
        path = tmp_path / "documents.jsonl"
        path.write_bytes(b"\n".join(x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines))
        return str(path)

    return write


def run(*args: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("import_documents", *map(str, args), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_it_writes_a_document(file: Callable[..., str]) -> None:
    out, err = run(file(document()))
    found = Document.objects.get()
    assert (found.scope, found.title, found.content) == ("global", "Beta", "How beta is computed.")
    assert (found.metadata, found.embedding) == ({"page": 3}, None)
    assert "1 read, 0 skipped" in out
    assert err == ""


def test_an_embedding_comes_along(file: Callable[..., str]) -> None:
    run(file(document(embedding=[0.5] + [0] * (EMBEDDING_DIMENSIONS - 1))))
    embedding = Document.objects.get().embedding
    assert len(embedding) == EMBEDDING_DIMENSIONS
    assert embedding[0] == 0.5


def test_running_it_twice_adds_nothing_and_other_words_are_another_document(file: Callable[..., str]) -> None:
    run(file(document(), document()))
    run(file(document()))
    assert Document.objects.count() == 1
    run(file(document(content="Otherwise.")))
    assert Document.objects.count() == 2


def test_an_id_is_what_a_document_is_known_by(file: Callable[..., str]) -> None:
    run(file(document(id="d1")))
    run(file(document(id="d1", content="Otherwise."), document(id="d2")))
    assert sorted(d.metadata["import_id"] for d in Document.objects.all()) == ["d1", "d2"]


BAD = [
    (document(scope=None), "“scope” is missing. Add it to the line, or give --scope NAME."),
    (document(scope="s" * 101), "“scope” has 101 characters"),
    (document(title=""), "“title” is missing"),
    (document(title="t" * 501), "“title” has 501 characters"),
    (document(content=None), "“content” is missing"),
    (document(content=["x"]), "“content” must be a text, and is a list"),
    (document(metadata="x"), "“metadata” must be an object"),
    (document(embedding=[0.1] * 12), "“embedding” has 12 numbers, and 1,536 are wanted"),
    (document(embedding="[0.1]"), "“embedding” must be a list of 1,536 numbers, and is a text"),
    (document(embedding=[0.1] * 1535 + ["x"]), "Number 1536 of “embedding” is a text"),
    (document(embedding=[0] * 1536), "“embedding” is all zeros"),
    (document(embedding=[1e39] * 1536), "too big for a four-byte float"),
    (b"\xff\xfe{}", "Not UTF-8"),
    (document(title="a\x00b"), "holds a NUL character"),
]


@pytest.mark.parametrize(("line", "said"), BAD, ids=[said[:40] for _, said in BAD])
def test_a_bad_line_is_named_and_skipped(line: Any, said: str, file: Callable[..., str]) -> None:
    name = file(document(title="before"), line, document(title="after"))
    out, err = run(name)
    assert err.startswith(f"{name}:2: ")
    assert said in err
    assert Document.objects.count() == 2
    assert "3 read, 1 skipped" in out


def test_strict_imports_nothing_at_all(file: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="Nothing was imported"):
        run(file(document(), b"no"), "--strict", "--batch-size", 1)
    assert not Document.objects.exists()


def test_a_scope_may_be_given_for_lines_without_one(file: Callable[..., str]) -> None:
    run(file(document(scope=None)), "--scope", "page:risk")
    assert Document.objects.get().scope == "page:risk"


@pytest.mark.skipif(not REAL.is_file(), reason="the real data of /work/shared/data are not on this machine")
def test_the_real_documents_come_in_whole() -> None:
    _, err = run(REAL.resolve())
    assert err == ""
    assert Document.objects.count() == 168
