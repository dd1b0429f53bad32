"""How a pretend person uses a page: finds the form, keeps its hidden fields, presses one button."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

LINK = re.compile(r"https?://[^\s<>\"']+")


@dataclass(slots=True)
class Form:
    """A form that posts: where to, and its hidden fields."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    offers: dict[str, set[str]] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self, page_url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.page_url = page_url
        self.forms: list[Form] = []
        self.open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.open = None
            if given.get("method", "get").lower() == "post":
                self.open = Form(urljoin(self.page_url, given.get("action", "")))
                self.forms.append(self.open)
        elif self.open is not None and tag in ("input", "button") and (name := given.get("name")):
            if given.get("type", "").lower() == "hidden":
                self.open.fields[name] = given.get("value", "")
            else:
                self.open.offers.setdefault(name, set()).add(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.open = None


def forms_offering(html: str, page_url: str, name: str, choice: str) -> list[tuple[str, dict[str, str]]]:
    """The forms on the page with a button or field `name=choice`: the address and the fields to post of each."""
    parser = _Forms(page_url)
    parser.feed(html)
    parser.close()
    return [
        (form.action, {**form.fields, name: choice})
        for form in parser.forms
        if choice in form.offers.get(name, ()) or form.fields.get(name) == choice
    ]


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def links(text: str) -> list[str]:
    """Every http and https address in a text, without the punctuation that ends a sentence."""
    return [found.rstrip(".,;:!?)]") for found in LINK.findall(text)]


def staff_link(text: str, of: str) -> str | None:
    """The link a person would press: on the same scheme, host and port as `of`, `/a/...` first; None without one."""
    ours = [link for link in links(text) if _same(link, of)]
    return next((link for link in ours if urlsplit(link).path.startswith("/a/")), ours[0] if ours else None)


def _same(link: str, of: str) -> bool:
    try:
        return origin(link) == origin(of)
    except ValueError:
        return False
