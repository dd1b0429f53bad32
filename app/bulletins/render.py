"""One bulletin as each channel carries it: the substituted text, with link, code and how to answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from app.channels.sms_text import compose_sms

SAMPLE_CODE = "K7"
SAMPLE_TOKEN = "a2b3c4d5e6f7g2h3i4j5"  # noqa: S105 (stands for a link in previews, opens nothing)


def sms(*, body: str, link: str, code: str | None, drill: bool) -> str:
    """The text message whole. Without a code it is news, which asks for no answer."""
    return compose_sms(body, link=link, code=code, drill=drill)


@dataclass(frozen=True)
class Mail:
    subject: str
    text: str
    html: str


def email(*, subject: str, body: str, link: str, code: str | None, drill: bool) -> Mail:
    """The mail: text, and the same as HTML. The button is a link to a page; nothing acknowledges by being fetched.

    Without a code it is news: the link leads to the page, and no answer is asked for.
    """
    how = "Press the link, then choose: OK, need help, or cannot."
    lines = [body.strip(), f"Read it here: {link}"]
    if code is not None:
        lines = [body.strip(), f"Answer here: {link}", f"{how} By text message, your code is {code}."]
    paragraphs = [part.strip() for part in body.strip().split("\n\n") if part.strip()]
    if drill:
        subject = f"DRILL: {subject} - DRILL"
        lines = ["DRILL. This is an exercise.", *lines, "DRILL"]
    marked = '<p style="font-weight:bold">DRILL{}</p>'
    html = "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>',
            escape(subject),
            '</title></head><body style="font:16px/1.5 sans-serif;color:#111;max-width:40em;margin:0 auto;',
            'padding:16px">',
            marked.format(". This is an exercise.") if drill else "",
            *(f"<p>{escape(part).replace(chr(10), '<br>')}</p>" for part in paragraphs),
            f'<p><a href="{escape(link)}" style="display:inline-block;padding:14px 22px;background:#0b5cad;'
            f'color:#fff;text-decoration:none;border-radius:6px">{"Read it" if code is None else "Read and answer"}</a>'
            "</p>",
            f"<p>{'' if code is None else f'{escape(how)}<br>'}If the button does not work: {escape(link)}</p>",
            marked.format("") if drill else "",
            "</body></html>",
        )
    )
    return Mail(subject, "\n\n".join(lines), html)


def notice_sms(*, body: str, link: str, drill: bool) -> str:
    """A notice as a text message: the words and the link to act on them."""
    text = f"{' '.join(body.split())} {link}"
    return f"DRILL. {text} DRILL" if drill else text


def notice_email(*, subject: str, body: str, link: str, drill: bool) -> Mail:
    """A notice as a mail, with the same link."""
    lines = [body.strip(), f"Open it here: {link}"]
    if drill:
        subject = f"DRILL: {subject} - DRILL"
        lines = ["DRILL. This is an exercise.", *lines, "DRILL"]
    html = "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>',
            escape(subject),
            '</title></head><body style="font:16px/1.5 sans-serif;color:#111;max-width:40em;margin:0 auto;',
            'padding:16px">',
            *(f"<p>{escape(line)}</p>" for line in lines if line != lines[-1] or drill),
            f'<p><a href="{escape(link)}">{escape(link)}</a></p></body></html>',
        )
    )
    return Mail(subject, "\n\n".join(lines), html)


def voice(*, body: str, drill: bool) -> str:
    """What a call says."""
    return f"DRILL. {body.strip()} DRILL" if drill else body.strip()
