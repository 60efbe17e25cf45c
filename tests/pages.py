"""Reading pages as a browser would, a strict one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.db import connections
from django.test.utils import CaptureQueriesContext

CSP = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
VOID = {"input", "link", "meta", "br", "hr", "img", "use", "path", "rect", "line", "circle"}
# What a URL may say of one parameter, and no page may break on: as it stands in the address, escaped.
NONSENSE = (
    "",
    "%00",
    "a%00b",
    "%ff%fe",
    "%ed%a0%80",
    "%F0%9F%99%82",
    "x" * 10_000,
    "'%22%26%7C!():*%5C",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "-1",
    "0",
    "null",
    "..%2f..%2fetc%2fpasswd",
    "%25s%20%7B%7D",
    "a&{name}=b",
    "{name}",
)


@dataclass
class Page:
    """What a page holds: its text, its links, its cards, and whatever a strict Content-Security-Policy would block."""

    html: str
    text: str = ""
    links: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    cards: dict[str, str] = field(default_factory=dict)
    rows: list[list[str]] = field(default_factory=list)

    def row(self, first: str) -> list[str]:
        """The table row whose first cell begins with this."""
        return next(row for row in self.rows if row and row[0].startswith(first))


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__(convert_charrefs=True)
        self.page = page
        self.open: list[tuple[str, str]] = []
        self.name = ""
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.page.ids += [given["id"]] if "id" in given else []
        for name, value in given.items():
            if name == "style" or name.startswith("on"):
                self.page.blocked.append(f"<{tag} {name}={value!r}>")
            if name in ("href", "src", "action", "formaction") and value.strip().lower().startswith(
                ("javascript:", "data:text", "vbscript:")
            ):
                self.page.blocked.append(f"<{tag} {name}={value!r}>")
        if tag == "style" or (tag == "script" and not given.get("src")) or tag in ("iframe", "object", "embed", "base"):
            self.page.blocked.append(f"<{tag}>")
        if tag in ("script", "img") and not given.get("src", "/").startswith("/"):
            self.page.blocked.append(f"<{tag} src={given['src']!r}>")
        if tag == "a" and "href" in given:
            self.page.links.append(given["href"])
        if tag == "tr":
            self.page.rows.append([])
        if tag in ("td", "th") and self.page.rows:
            self.page.rows[-1].append("")
        if tag not in VOID:
            self.open.append((tag, given.get("class", "").split(" ")[0]))

    def handle_endtag(self, tag: str) -> None:
        while self.open and tag in {each for each, _ in self.open}:
            if self.open.pop()[0] == tag:
                break

    def handle_data(self, data: str) -> None:
        inside = {name for _, name in self.open if name}
        tags = [tag for tag, _ in self.open]
        if "figure" in inside and "name" in inside and "mute" not in inside:
            self.name = data.strip() or self.name
        elif "figure" in inside and "val" in inside:
            so_far = self.page.cards.get(self.name, "")
            self.page.cards[self.name] = f"{so_far} {data.strip()}".strip().replace("\xa0", " ")
        if ("td" in tags or "th" in tags) and self.page.rows and self.page.rows[-1]:
            self.page.rows[-1][-1] = " ".join((self.page.rows[-1][-1] + data).split())
        if "script" not in tags:
            self.pieces.append(data)


def read(response: Any, status: int = 200) -> Page:
    """The page of an answer, which must have this status, a strict policy, and nothing in it that the policy blocks."""
    assert response.status_code == status, (response.status_code, response.get("Location"))
    assert response["Content-Type"].startswith("text/html")
    policy = dict(part.strip().split(" ", 1) for part in response["Content-Security-Policy"].split(";") if part.strip())
    assert policy == CSP
    page = Page(response.content.decode())
    reader = _Reader(page)
    reader.feed(page.html)
    reader.close()
    page.text = " ".join("".join(reader.pieces).split())
    assert page.blocked == []
    assert len(page.ids) == len(set(page.ids)), "an id stands twice"
    return page


@contextmanager
def counted() -> Iterator[list[str]]:
    """The queries to both databases, known once the block is over."""
    queries: list[str] = []
    with CaptureQueriesContext(connections["default"]) as gondola, CaptureQueriesContext(connections["metro"]) as metro:
        yield queries
    queries += [query["sql"] for query in (*gondola.captured_queries, *metro.captured_queries)]


def read_all_nonsense(client: Any, url: str, name: str) -> None:
    """Reads the page with every kind of nonsense in one parameter."""
    for value in NONSENSE:
        query = f"{name}={value.replace('{name}', name)}"
        try:
            read(client.get(f"{url}?{query}"))
        except Exception as error:
            error.add_note(f"with ?{query[:100]}")
            raise
