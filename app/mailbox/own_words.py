"""What a person wrote themselves, without what they answered: from plain text or HTML. Pure."""

from __future__ import annotations

import re
from email.message import Message

from mailparser_reply import EmailReplyParser
from selectolax.lexbor import LexborHTMLParser

from app.channels.media import Medium
from app.mailbox.headers import is_attached, leaves, text_of, value, words_parts

MOST_READ, MOST_HTML = 4_000, 100_000
"""So many characters are looked through for where the quoted text begins: the search is slow on what is made to be."""

MOST_KEPT = 8_000

LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pl", "cs", "da", "sv", "ja", "ko", "zh"]

QUOTES = (
    "blockquote", ".gmail_quote", ".gmail_quote_container", ".gmail_attr", ".moz-cite-prefix", ".yahoo_quoted",
    ".protonmail_quote", "#divRplyFwdMsg", "#appendonsend", "#mail-editor-reference-message-container", ".zmail_extra",
    "#isForwardContent", "#isReplyContent",
)  # fmt: skip
"""Where webmails and programs put what is answered."""

_QUOTE_AND_AFTER = "#divRplyFwdMsg, #appendonsend, #mail-editor-reference-message-container"
"""Outlook's marks: everything behind them is what is answered."""

_NO_TEXT = ("head", "style", "script", "title", "noscript", "template")
_LINE_END = re.compile(r"<(?:br|hr|/p|/div|/li|/tr|/h[1-6]|/table|/pre)\b", re.IGNORECASE)
_BREAK = "\ue000"

_REPLY = re.compile(
    r"^\s*(?:(?:re|aw|sv|antw|odp|vs|rif|res|回复|答复|回覆)\s*(?:\[\d+\])?\s*[:：]\s*)+", re.IGNORECASE
)


def written(mail: Message, *, answers: bool) -> str:
    """The person's own words: above, or else below, what they quote. `answers`: it is an answer to a mail of ours.

    Of any other mail the subject is the first of its words, and of an answer that says nothing else too.
    """
    own = unquoted("\n".join(text_of(part) for part in words_parts(mail, "text/plain")))
    if not own:
        own = unquoted("\n".join(from_html(text_of(part)) for part in words_parts(mail, "text/html")))
    subject = value(mail, "Subject")
    if subject and not _REPLY.match(subject) and not (answers and own) and subject.casefold() not in own.casefold():
        own = f"{subject}\n{own}".strip()
    return own[:MOST_KEPT]


def unquoted(text: str) -> str:
    """Plain text without what it quotes: what is above that, or else below it."""
    text = text.strip()
    if not text:
        return ""
    looked_at, rest = text[:MOST_READ], text[MOST_READ:]
    own = (EmailReplyParser(languages=LANGUAGES).parse_reply(text=looked_at) or "").strip() or looked_at
    if own == looked_at.strip():  # nothing quoted so far
        own += rest[:MOST_KEPT]
    lines = own.splitlines()
    quoted = [place for place, line in enumerate(lines) if line.lstrip().startswith(">")]
    if not quoted:
        return own
    above = "\n".join(lines[: quoted[0]]).rstrip()
    if above.endswith(":"):  # "On Tuesday she wrote:", in whatever language
        above = above.rpartition("\n")[0]
    return above.strip() or "\n".join(lines[quoted[-1] + 1 :]).strip()


def from_html(html: str) -> str:
    """HTML as lines of text, without what it quotes."""
    if not html.strip():
        return ""
    tree = LexborHTMLParser(_LINE_END.sub(lambda found: f"{_BREAK}{found[0]}", html[:MOST_HTML]))
    if tree.body is None:
        return ""
    for mark in tree.body.css(_QUOTE_AND_AFTER):
        follower = mark.next
        while follower is not None:
            after = follower.next
            follower.decompose()
            follower = after
    for node in tree.body.css(", ".join((*QUOTES, *_NO_TEXT))):
        node.decompose()
    lines = tree.body.text(separator="").split(_BREAK)
    text = "\n".join(" ".join(line.replace("\xa0", " ").split()) for line in lines)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def media(mail: Message) -> tuple[Medium, ...]:
    """What came with the words, by its kind; the files themselves stay in the mailbox, and have no address."""
    return tuple(
        Medium(part.get_content_type(), "")
        for part in leaves(mail)
        if is_attached(part) or part.get_content_maintype() not in ("text", "multipart")
    )
