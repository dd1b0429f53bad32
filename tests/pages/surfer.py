"""Somebody at a browser without JavaScript: reads pages, finds forms, fills them in, presses a button."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx2


@dataclass
class Control:
    """One input, select, textarea or button of a form."""

    kind: str
    name: str
    value: str
    on: bool = True
    label: str = ""


@dataclass
class Form:
    """A form as it stands: what a press would send."""

    action: str
    method: str
    controls: list[Control] = field(default_factory=list)

    def data(self, button: str | None) -> list[tuple[str, str]]:
        """What is sent when the button with this label is pressed (None: the first one)."""
        buttons = [control for control in self.controls if control.kind == "button"]
        pressed = next((b for b in buttons if button is None or button in b.label), None)
        assert pressed is not None, f"no button {button!r}; there are {[b.label for b in buttons]}"
        sent = [(c.name, c.value) for c in self.controls if c.kind != "button" and c.on and c.name]
        return sent + ([(pressed.name, pressed.value)] if pressed.name else [])

    def fill(self, values: Mapping[str, str | Sequence[str]]) -> None:
        """Types into fields, ticks boxes, chooses; a list ticks exactly these boxes."""
        for name, value in values.items():
            mine = [control for control in self.controls if control.name == name and control.kind != "button"]
            assert mine, f"no field {name!r} in the form {self.action}"
            wanted = [value] if isinstance(value, str) else list(value)
            for control in mine:
                if control.kind in ("checkbox", "radio"):
                    control.on = control.value in wanted
                else:
                    control.value = wanted[0]


INLINE = frozenset({"a", "b", "strong", "span", "time", "q", "em", "option"})
"""Elements that do not part words."""


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.url = url
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.title = ""
        self._form: Form | None = None
        self._button: Control | None = None
        self._link: list[str] | None = None
        self._href = ""
        self._select: Control | None = None
        self._area: Control | None = None
        self._tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value if value is not None else "" for name, value in attrs}
        self._tag = tag
        if tag not in INLINE:
            self.words.append(" ")
        if tag == "form":
            self._form = Form(urljoin(self.url, given.get("action", "")), given.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag == "a" and "href" in given:
            self._link, self._href = [], given["href"]
        elif self._form is not None:
            self._control(tag, given)

    def _control(self, tag: str, given: dict[str, str]) -> None:
        assert self._form is not None
        name = given.get("name", "")
        if tag == "input":
            kind = given.get("type", "text")
            on = kind not in ("checkbox", "radio") or "checked" in given
            self._form.controls.append(Control(kind, name, given.get("value", ""), on))
        elif tag == "button":
            self._button = Control("button", name, given.get("value", ""))
            self._form.controls.append(self._button)
        elif tag == "select":
            self._select = Control("select", name, "")
            self._form.controls.append(self._select)
        elif tag == "option" and self._select is not None and ("selected" in given or not self._select.label):
            self._select.value = given.get("value", "\0")  # \0: its text, read next
            self._select.label = "seen"
        elif tag == "textarea":
            self._area = Control("textarea", name, "")
            self._form.controls.append(self._area)

    def handle_endtag(self, tag: str) -> None:
        if tag not in INLINE:
            self.words.append(" ")
        if tag == "form":
            self._form = None
        elif tag == "button":
            self._button = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None
        elif tag == "a" and self._link is not None:
            self.links.append((" ".join("".join(self._link).split()), self._href))
            self._link = None
        self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area.value += data
        if self._tag in ("style", "script"):
            return
        if self._tag == "title":
            self.title += data
            return
        if self._button is not None:
            self._button.label += data
        if self._link is not None:
            self._link.append(data)
        if self._select is not None and self._select.value == "\0":
            self._select.value = data.strip()
        self.words.append(data)


@dataclass
class Page:
    """One answer: its status, its HTML, and what a person would read."""

    status: int
    html: str
    url: str
    headers: httpx2.Headers

    def __post_init__(self) -> None:
        reader = _Reader(self.url)
        reader.feed(self.html)
        reader.close()
        self.forms, self.links, self.title = reader.forms, reader.links, reader.title
        self.text = " ".join("".join(reader.words).split())

    @property
    def path(self) -> str:
        parts = urlsplit(self.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def form(self, action: str) -> Form:
        """The form whose action ends so (its query and fragment aside)."""
        for found in self.forms:
            if urlsplit(found.action).path.endswith(action):
                return found
        raise AssertionError(f"no form for {action!r}; there are {[f.action for f in self.forms]}")

    def has_form(self, action: str) -> bool:
        return any(urlsplit(found.action).path.endswith(action) for found in self.forms)

    def link(self, words: str) -> str:
        for text, href in self.links:
            if words in text:
                return href
        raise AssertionError(f"no link {words!r}; there are {[text for text, _ in self.links]}")

    def has_link(self, words: str) -> bool:
        return any(words in text for text, _ in self.links)

    def part(self, element_id: str) -> str:
        """What stands in one part of the board, up to where the next begins."""
        start = self.html.index(f'id="{element_id}"')
        following = [found for found in (self.html.find(' id="part-', start + 10),) if found > 0]
        return " ".join(
            unescape(re.sub(r"<[^>]+>", " ", self.html[start : following[0] if following else None])).split()
        )


class Surfer:
    """One browser with its cookies."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str) -> Page:
        """Opens an address and follows redirects."""
        return self._page(await self.client.get(path, follow_redirects=True))

    async def press(self, page: Page, action: str, button: str | None = None, **values: str | Sequence[str]) -> Page:
        """Fills the form whose action ends with `action` and presses its button. Field names: `__` stands for a dot."""
        form = page.form(action)
        form.fill({name.replace("__", "."): value for name, value in values.items()})
        return await self.send(form.action, form.data(button))

    async def send(self, url: str, data: Sequence[tuple[str, str]], *, follow: bool = True) -> Page:
        """Posts these fields as a browser would, empty ones included."""
        sent: dict[str, list[str]] = {}
        for name, value in data:
            sent.setdefault(name, []).append(value)
        return self._page(await self.client.post(url, data=sent, follow_redirects=follow))

    def _page(self, response: httpx2.Response) -> Page:
        return Page(response.status_code, response.text, str(response.url), response.headers)
