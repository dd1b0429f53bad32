"""The review as HTML for a page: the same document as its Markdown, with tables that scroll and a list of its parts.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.review.formats import markdown
from app.review.record import Record

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
"""Without HTML: nothing that somebody typed can become markup, whatever the document holds."""


@dataclass(frozen=True)
class Part:
    """One part of the document, for the list that leads to it. `id` is its heading's."""

    id: str
    title: str


@dataclass(frozen=True)
class Reading:
    """`html` is a fragment that begins with the document's `h1`."""

    html: str
    parts: tuple[Part, ...]


def read(record: Record) -> Reading:
    """The record's document as HTML."""
    tokens = _MARKDOWN.parse(markdown.render(record).decode())
    parts = tuple(_name_parts(tokens))
    html: str = _MARKDOWN.renderer.render(list(_scrolling(tokens)), _MARKDOWN.options, {})
    return Reading(html, parts)


def _name_parts(tokens: Sequence[Token]) -> Iterator[Part]:
    """Gives each second-level heading an id, and says which there are."""
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h2":
            title = "".join(child.content for child in inline.children or ())
            id_ = f"line-{inline.map[0] if inline.map else 0}"
            opening.attrSet("id", id_)
            yield Part(id_, title)


def _scrolling(tokens: Sequence[Token]) -> Iterator[Token]:
    """Each table in a region that scrolls by itself, so that a narrow page need not; the keyboard reaches it."""
    title, count = "", 0
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            title = "".join(child.content for child in tokens[place + 1].children or ())
        if token.type == "table_open":
            count += 1
            region = Token("region_open", "div", 1, block=True)
            region.attrs = {
                "class": "scroll",
                "role": "region",
                "tabindex": "0",
                "aria-label": f"Table {count}: {title}",
            }
            yield region
        yield token
        if token.type == "table_close":
            yield Token("region_close", "div", -1, block=True)
