"""What somebody may post who has seen signed requests but does not have the account's secret; and a caller for it.

Requests go to the app without a client library in between: that one would mend, or refuse to send, much of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, unquote, urlencode

from fastapi import FastAPI
from starlette.types import Message
from twilio.request_validator import RequestValidator

from tests.stack import ACCOUNT, AUTH_TOKEN

URLENCODED = "application/x-www-form-urlencoded"
SIGNATURE = "X-Twilio-Signature"
METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "")
TYPES = (
    "", "application/json", "multipart/form-data", "multipart/form-data; boundary=b", "text/plain", "\xe9", "x" * 3000,
    f"{URLENCODED}; charset=utf-16", f"{URLENCODED}; charset=nonsense", "application/x-www-form-urlencoded;;",
)  # fmt: skip
HOSTS = (
    "",
    "evil.example",
    "evil.example/webhooks/twilio/inbound?",
    "x/webhooks/twilio/inbound#",
    "[::1",
    "a@b",
    "\xe9",
)
VALUES = (
    "", " ", "\0", "1", "2", "3", "*", "11", "\u0661", "\uff11", "ok", "1 K7", "STOP", "START", "HELP", "YES",
    "x" * 5000, "\u202e1", "\U0001f600", "delivered", "failed", "undelivered", "completed", "busy", "human",
    "machine_end_beep",
    "-1", "9" * 40, "30003", "21610", "SM" + "0" * 32, "CA" + "f" * 32, "AC" + "f" * 32, "<Response/>", "'; --", "%00",
)  # fmt: skip
NAMES = (
    "AccountSid", "Body", "From", "To", "MessageSid", "SmsSid", "MessageStatus", "SmsStatus", "ErrorCode", "CallSid",
    "CallStatus", "AnsweredBy", "Digits", "OptOutType", "NumMedia", "", " ", "Body[]", "\0", "a" * 3000, "\xe9",
)  # fmt: skip


@dataclass(frozen=True)
class Post:
    """One request as it goes over the wire: `target` is the path, as sent, with its query."""

    target: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "POST"

    def header(self, name: str) -> str:
        return next((value for known, value in self.headers if known.lower() == name.lower()), "")

    def having(self, name: str, *values: str) -> Post:
        """With this header so often, instead of what it had."""
        others = tuple(pair for pair in self.headers if pair[0].lower() != name.lower())
        return replace(self, headers=(*others, *((name, value) for value in values)))

    @property
    def fields(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)


def signature(url: str, form: dict[str, str], secret: str = AUTH_TOKEN) -> str:
    return str(RequestValidator(secret).compute_signature(url, form))


def post(base_url: str, target: str, form: dict[str, str]) -> Post:
    """As the provider posts it, signed."""
    form = {"AccountSid": ACCOUNT, **form}
    headers = (("Content-Type", URLENCODED), (SIGNATURE, signature(base_url + target, form)))
    return Post(target, urlencode(form).encode(), headers)


def as_signed(one: Post, base_url: str) -> bool:
    """Whether the provider itself could have sent it: ours, for this very address, each field once."""
    fields = one.fields
    path, mark, query = one.target.partition("?")
    form = dict(fields)
    return (
        len(form) == len(fields)
        and form.get("AccountSid") == ACCOUNT
        and one.header(SIGNATURE) == signature(base_url + unquote(path) + (mark and query and f"?{query}"), form)
    )


async def answer(app: FastAPI, one: Post) -> tuple[int, bytes]:
    """(status, body) as the app answers over ASGI; an error that comes through is raised."""
    path, _, query = one.target.partition("?")
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in one.headers]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": one.method, "scheme": "http",
        "path": unquote(path), "raw_path": path.encode("latin-1", "replace"),
        "query_string": query.encode("latin-1", "replace"), "root_path": "", "headers": raw,
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    parts = [one.body[:400], one.body[400:]] if len(one.body) > 400 else [one.body]
    status, body = 0, b""

    async def receive() -> Message:
        if not parts:
            return {"type": "http.disconnect"}
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Message) -> None:
        nonlocal status, body
        status = message.get("status", status)
        body += message.get("body", b"")

    await app(scope, receive, send)
    return status, body


@dataclass
class Attacker:
    """Makes up requests from captured ones; the same for the same seed."""

    base_url: str
    captured: list[Post]
    tokens: list[str]
    """Of addresses that exist, and some that do not."""
    random: random.Random = field(default_factory=random.Random)

    def forged(self) -> Post:
        """A captured request, changed in one to three ways, signed with nothing that it does not hold already."""
        ways: list[Callable[[Post], Post]] = [
            self._other_signature, self._other_signature, self._other_fields, self._other_fields, self._other_fields,
            self._other_address, self._other_address, self._other_query, self._other_bytes, self._other_headers,
            self._other_encoding, self._cut_elsewhere, self._cut_elsewhere, self._other_account, self._other_method,
            self._size,
        ]  # fmt: skip
        one = self.random.choice(self.captured)
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            one = self.random.choice(ways)(one)
        return one

    def _other_signature(self, one: Post) -> Post:
        right = one.header(SIGNATURE)
        at = self.random.randrange(max(1, len(right)))
        form = dict(one.fields)
        made: list[tuple[str, ...]] = [
            (), ("",), (" ",), (right[:at],), (right + "=",), (right.swapcase(),),
            (right[:at] + "A" + right[at + 1 :],), ("\xe9" * 28,), ("A" * 6000,), ("null",), ("0",), ("wrong",
            right), (right[::-1],),
            (self.random.choice(self.captured).header(SIGNATURE),), (right.rstrip("="),),
            (signature(self.base_url + one.target, form, "another account's token"),),
            (signature(self.base_url + one.target, form, ""),),
            (signature("https://evil.example" + one.target, form),),
        ]  # fmt: skip
        return one.having(SIGNATURE, *self.random.choice(made))

    def _other_fields(self, one: Post) -> Post:
        fields = one.fields
        for _ in range(self.random.choice((1, 1, 2))):
            name = self.random.choice([name for name, _ in fields] or ["Body"])
            value = self.random.choice(
                (*VALUES, *(value for _, value in fields), *(v for _, v in self._other().fields))
            )
            match self.random.randrange(6):
                case 0:
                    fields = [pair for pair in fields if pair[0] != name]
                case 1:
                    fields.append((name, value))
                case 2:
                    fields.insert(0, (name, value))
                case 3:
                    fields.append((self.random.choice(NAMES), value))
                case 4:
                    fields = self._other().fields
                case _:
                    fields = [(known, value if known == name else kept) for known, kept in fields]
        return replace(one, body=_encoded(fields))

    def _other_account(self, one: Post) -> Post:
        """Another account's own request: signed by its secret, or told to be ours."""
        theirs = "AC" + "f" * 32
        form = {
            **dict(one.fields),
            "AccountSid": self.random.choice((theirs, ACCOUNT, ACCOUNT.lower(), "", ACCOUNT[:-1])),
        }
        if form["AccountSid"] != ACCOUNT and self.random.random() < 0.3:
            made = signature(self.base_url + one.target, form)  # ours by its secret, not by its name
        else:
            made = signature(self.base_url + one.target, form, "another account's token")
        return replace(one, body=_encoded(list(form.items()))).having(SIGNATURE, made)

    def _other_address(self, one: Post) -> Post:
        token = self.random.choice(self.tokens)
        path, mark, query = one.target.partition("?")
        made = (
            f"/webhooks/twilio/status/{token}", f"/webhooks/twilio/voice/{token}",
            f"/webhooks/twilio/voice/{token}/answer?turn={self.random.randrange(10)}",
            f"/webhooks/twilio/voice/{token}/status", "/webhooks/twilio/inbound", self._other().target, path + "/",
            path + "//", path.upper(), path.replace("/", "//", 1), f"{path}%00", f"{path}%3F{query}", f"{path}%23",
            f"{path}/../inbound", quote(path, safe="").replace("%2F", "/", 2), path.replace("t", "%74") + mark + query,
            f"{path};x{mark}{query}", f"/webhooks/twilio/status/{'a' * 3000}", "/a/" + token,
        )  # fmt: skip
        return replace(one, target=self.random.choice(made))

    def _other_query(self, one: Post) -> Post:
        path, _, query = one.target.partition("?")
        made = (
            "", "turn=0", "turn=2", "turn=9", "turn=10", "turn=-1", "turn=x", "turn=" + "9" * 30, "turn=1&turn=2",
            f"{query}&x=1", f"{query}&", f"x=1&{query}", "turn=%31", "turn=\xe9", "turn=%FF", "%00=1", "turn=1#x",
            "AccountSid=" + ACCOUNT, one.body.decode("latin-1")[:500],
        )  # fmt: skip
        return replace(one, target=f"{path}?{self.random.choice(made)}")

    def _other_bytes(self, one: Post) -> Post:
        body = bytearray(one.body)
        for _ in range(self.random.randrange(1, 4)):
            at = self.random.randrange(len(body) + 1)
            match self.random.randrange(3):
                case 0:
                    del body[at : at + self.random.randrange(1, 20)]
                case 1:
                    body[at:at] = self.random.choice(
                        (b"\0", b"\xff", b"%", b"%ff", b"&", b"=", b";", b"+", b"\xed\xa0\x80")
                    )
                case _:
                    body[at : at + 1] = self.random.randbytes(1)
        return replace(one, body=bytes(body))

    def _other_headers(self, one: Post) -> Post:
        host = self.random.choice((*HOSTS, f"x{self._other().target}#", f"x{self._other().target}?"))
        match self.random.randrange(5):
            case 0:
                return one.having("Host", host)
            case 1:
                one = one.having("X-Forwarded-Host", host).having("X-Forwarded-Proto", "https")
                return one.having("X-Original-URL", self._other().target).having("X-HTTP-Method-Override", "GET")
            case 2:
                return one.having("Content-Type", self.random.choice(TYPES))
            case 3:
                return one.having("Content-Encoding", self.random.choice(("gzip", "br", "x")))
            case _:
                return one.having("Content-Length", self.random.choice(("0", "-1", "x", "9" * 30, "1", "\xb2")))

    def _other_encoding(self, one: Post) -> Post:
        """The same fields written otherwise (which changes nothing that is signed), or in another character set."""
        fields = one.fields
        self.random.shuffle(fields)
        whole = "&".join("=".join("".join(f"%{byte:02x}" for byte in p.encode()) for p in pair) for pair in fields)
        wide = urlencode(fields).encode(self.random.choice(("utf-16", "utf-32", "utf-7")))
        raw = "&".join("=".join(pair) for pair in fields).encode("utf-8", "replace")
        return replace(one, body=self.random.choice((whole.encode(), wide, raw, _encoded(fields))))

    def _cut_elsewhere(self, one: Post) -> Post:
        """The same signs in a row, the places between address, names and values moved: the signature still fits."""
        form = dict(one.fields)
        names = sorted(form)
        path, mark, query = one.target.partition("?")
        if mark and self.random.random() < 0.3:
            at = self.random.randrange(len(query) + 1)
            return replace(one, target=path, body=_encoded([(mark + query[:at], query[at:]), *sorted(form.items())]))
        if len(names) < 3:
            return one
        at = self.random.randrange(len(names) - 1)
        name, after = names[at], names[at + 1]
        match self.random.randrange(3):
            case 0:  # a value takes in the next field
                form[name] += after + form.pop(after)
            case 1:  # a value takes in the next name, whose value then has it from the one after
                rest = "".join(known + form.pop(known) for known in names[at + 1 :])
                form[name] += rest
            case _:  # a value loses its end to the next name
                cut = self.random.randrange(len(form[name]) + 1)
                rest = form[name][cut:] + "".join(known + form.pop(known) for known in names[at + 1 :])
                form[name] = form[name][:cut]
                begins = self.random.randrange(1, max(2, len(rest)))
                form[rest[:begins]] = rest[begins:]
        return replace(one, body=_encoded(list(form.items())))

    def _other_method(self, one: Post) -> Post:
        return replace(one, method=self.random.choice(METHODS))

    def _size(self, one: Post) -> Post:
        """Nothing, many fields, and now and then more than is taken."""
        many = b"&".join(b"a%d=1" % place for place in range(self.random.choice((199, 201, 2000))))
        vast = b"x" * 1_000_001 if self.random.random() < 0.02 else b"x" * 60_000
        return replace(one, body=self.random.choice((b"", one.body + b"&" + many, many, one.body + vast)))

    def _other(self) -> Post:
        return self.random.choice(self.captured)


def _encoded(fields: list[tuple[str, str]]) -> bytes:
    return urlencode(fields, errors="replace").encode()
