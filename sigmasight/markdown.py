"""Markdown to HTML that is safe to show: answers of models, comments, documents.

No raw HTML passes, no image is fetched (it becomes a link), no style attribute is written (the CSP forbids it), and
headings start below the page's own. Anything but http, https and mailto stays text.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token

_SCHEMES = {"http", "https", "mailto"}
#: Longer texts are shown as they are: a parser's worst case isn't worth a page that hangs.
LONGEST = 200_000


def _link_is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    return parts.scheme.lower() in _SCHEMES


def _link_open(
    renderer: RendererProtocol, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return renderer.renderToken(tokens, index, options, env)  # type: ignore[attr-defined, no-any-return]


def _image(
    renderer: RendererProtocol, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    token = tokens[index]
    name = _escape(renderer.renderInlineAsText(token.children or [], options, env))  # type: ignore[attr-defined]
    source = str(token.attrGet("src") or "")
    return f'<a href="{_escape(source)}" rel="noopener noreferrer nofollow">image: {name or "no name"}</a>'


def _heading(
    renderer: RendererProtocol, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    token = tokens[index]
    return f"<{'/' if token.nesting < 0 else ''}h{min(int(token.tag[1]) + 3, 6)}>"


def _cell(
    renderer: RendererProtocol, tokens: Sequence[Token], index: int, options: Any, env: MutableMapping[str, Any]
) -> str:
    align = str(tokens[index].attrs.pop("style", "")).removeprefix("text-align:")
    if kind := {"right": "num", "center": "mid"}.get(align):
        tokens[index].attrSet("class", kind)
    return renderer.renderToken(tokens, index, options, env)  # type: ignore[attr-defined, no-any-return]


def _table_open(*_: Any) -> str:
    return '<div class="table-wrap"><table>'


def _table_close(*_: Any) -> str:
    return "</table></div>"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    parser.validateLink = _link_is_safe  # type: ignore[method-assign]
    for rule, render in {
        "link_open": _link_open,
        "image": _image,
        "heading_open": _heading,
        "heading_close": _heading,
        "th_open": _cell,
        "td_open": _cell,
        "table_open": _table_open,
        "table_close": _table_close,
    }.items():
        parser.add_render_rule(rule, render)
    return parser


def render(text: str | None) -> str:
    """HTML of a Markdown text, safe to put into a page. "" for nothing; very long texts come back as one ``<pre>``."""
    if not text:
        return ""
    if len(text) > LONGEST:
        return f"<pre>{_escape(text)}</pre>"
    return str(_parser().render(text))
