"""Whatever is posted to a page: a page comes back that says what is wrong, and nothing breaks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes

import httpx2
import pytest
import pytest_asyncio
from hypothesis import strategies as st

from app.access import service as access
from app.access.pages import COOKIE
from app.kernel.db import row
from app.web import csrf
from tests.effort import some
from tests.fuzz.conftest import Place

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.fuzz]

EXAMPLES = 10
"""For each form, and as many without one of its secrets."""

URLENCODED = "application/x-www-form-urlencoded"
TYPES = (
    URLENCODED, "multipart/form-data; boundary=b", "multipart/form-data", "multipart/form-data; boundary=",
    'multipart/form-data; boundary="b"; charset=nonsense', "application/json", "text/plain", "", ";;=",
)  # fmt: skip

BYTES = st.one_of(
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"", b" ", b"\0", b"a\0b", b"\xed\xa0\x80", b"\xff\xfe", b"1", b"-1", b"0", b"9" * 5000, b"x" * 10_000,
            "\u202e\u0661\u0662".encode(), "\U0001f600".encode() * 2000, b"\r\n\r\n", b"<script>", b"${vendor}",
            b"ok", b"need_help", b"cannot", b"take", b"close", b"count", b"on", b"resolved", b"SEV1", b"closed",
            b"0001-01-01T00:00", b"9999-12-31T23:59", b"9999-12-31T23:59:59-23:59", b"2026-02-30T25:00", b"1:00",
            b"1e400", b"NaN", b"-0", b"1_000", b"all-sites", b"Dallas",
        ]
    ),
)  # fmt: skip
"""Values as they may come over the wire: text, bytes that are none, and what some field takes."""


@dataclass(frozen=True)
class Target:
    """One form: where it is posted, its fields with what is taken in them, and those that prove where it came from."""

    path: str
    fields: dict[str, bytes]
    secrets: dict[str, bytes]


@dataclass(frozen=True)
class Sent:
    """A body as it goes over the wire."""

    body: bytes
    kind: str


def urlencoded(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return b"&".join(b"%b=%b" % tuple(quote_from_bytes(part, safe="").encode() for part in pair) for pair in pairs)


def multipart(pairs: list[tuple[bytes, bytes]]) -> bytes:
    parts = (b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % pair for pair in pairs)
    return b"".join(parts) + b"--b--\r\n"


@st.composite
def bodies(draw: st.DrawFn, target: Target) -> Sent:
    """The form with some of its fields made up, missing, there twice or unknown; now and then anything at all."""
    if draw(st.integers(0, 9)) == 0:
        return Sent(draw(st.binary(max_size=300)), draw(st.sampled_from(TYPES)))
    pairs = []
    for name, value in (target.secrets | target.fields).items():
        keep = name in target.secrets or draw(st.integers(0, 2))
        times = 1 if keep else draw(st.integers(0, 2))
        pairs += [(name.encode(), value if keep else draw(BYTES)) for _ in range(times)]
    known = st.sampled_from([name.encode() for name in target.fields] or [b"x"])
    pairs += draw(st.lists(st.tuples(known | BYTES, BYTES), max_size=2))
    if draw(st.booleans()):
        return Sent(urlencoded(pairs), URLENCODED)
    raw = multipart(pairs)
    if draw(st.integers(0, 3)) == 0:  # cut short, or with something in it that does not belong
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=8) | st.sampled_from([b"\r\n--b", b"--b--", b"\r\n\r\n"]))
    return Sent(raw, TYPES[1])


@dataclass(frozen=True)
class Visitor:
    """Somebody signed in as an admin, and every form that there is."""

    browser: httpx2.AsyncClient
    targets: dict[str, Target]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def visitor(place: Place) -> AsyncIterator[Visitor]:
    muster = place.muster
    house = muster.house
    async with house.db.begin() as session:
        link = await access.create_sign_in(session, house.clock, name="An admin", role="admin")
        secret = await access.sign_in(session, house.clock, link)
        spare = await access.create_sign_in(session, house.clock, name="A viewer", role="viewer")
        told = await row(
            session,
            """SELECT d.id FROM delivery d JOIN person p ON p.id = d.person_id
               WHERE p.employee_id = 'S3' AND d.notice_id IS NULL ORDER BY d.id LIMIT 1""",
        )
        asked = await row(session, "SELECT id, abouts FROM notice ORDER BY id LIMIT 1")
        assert asked
        notice = await row(session, "SELECT id FROM delivery WHERE notice_id = :id", {"id": asked["id"]})
    assert told
    assert notice
    now = house.clock.now()
    token = {csrf.FIELD: csrf.issue(house.signer, secret, now).encode()}
    facts = {
        f"fact.{name}": str(value[0] if isinstance(value, list) else value).encode()
        for name, value in place.facts.items()
    }
    key, request = place.keys[0], place.help_requests[0]
    incident = f"/incidents/{key}"
    staff_nonce = house.signer.nonce("staff", str(told["id"]), now).encode()
    notice_nonce = house.signer.nonce("notice", str(asked["id"]), now).encode()
    about = str(asked["abouts"][0]).encode()
    declaring = {"severity": b"SEV2", "title": b"Tills", "drill": b"", "form": b"once", "action": b"", **facts}
    found = {
        "staff": Target(
            f"/a/{house.signer.link_token(told['id'])}", {"response": b"ok", "note": b"fine"}, {"nonce": staff_nonce}
        ),
        "notice": Target(
            f"/a/{house.signer.link_token(notice['id'])}",
            {"request": about, "do": b"close", "outcome": b"done"}, {"nonce": notice_nonce},
        ),
        "sign in": Target(f"/sign-in/{spare}?next=/declare", {"next": b"/"}, {}),
        "declare": Target("/declare/global-vendor-outage", declaring, token),
        "count": Target("/declare/global-vendor-outage/count", declaring, token),
        "draft": Target(
            f"{incident}/bulletins/new",
            {"stage": b"identified", "audience": b"service", "corrects": b"1", "form": b"once", **facts}, token,
        ),
        "change": Target(f"{incident}/change", {"status": b"monitoring", "severity": b"SEV2", "reason": b"y"}, token),
        "approve": Target(f"{incident}/bulletins/2/approve", {"accept_warnings": b"on"}, token),
        "send": Target(f"{incident}/bulletins/2/send", {}, token),
        "cancel": Target(f"{incident}/bulletins/2/cancel", {}, token),
        "take": Target(f"{incident}/help/{request}/take", {}, token),
        "helped": Target(f"{incident}/help/{request}/close", {"outcome": b"done"}, token),
        "answer": Target(
            f"{incident}/bulletins/1/people/S3/answer",
            {"response": b"ok", "via": b"phone", "note": b"rang", "here": b"people", "department": b"IT", "q": b"x"},
            token,
        ),
        "close": Target(f"/incidents/{place.keys[1]}/close", {"reason": b"over", "accept_open_help": b"on"}, token),
    }  # fmt: skip
    async with AsyncExitStack() as opened:
        browser = httpx2.AsyncClient(
            verify=False, base_url=muster.base_url, trust_env=False, timeout=30, cookies={COOKIE: secret},
            headers={"Accept": "text/html"},
        )  # fmt: skip
        yield Visitor(await opened.enter_async_context(browser), found)


async def check(answer: httpx2.Response, about: Any) -> None:
    assert answer.status_code in (200, 303, 307, 400, 403, 404, 409, 410, 413, 415, 422), (answer.status_code, about)
    if answer.status_code in (303, 307):
        assert re.match(r"/(?!/)", answer.headers["location"]), about
    else:
        assert answer.headers["content-type"].startswith("text/html"), about
    assert "Traceback" not in answer.text


FORMS = (
    "staff", "notice", "sign in", "declare", "count", "draft", "change", "approve", "send", "cancel", "take", "helped",
    "answer", "close",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
async def test_no_form_breaks_a_page(visitor: Visitor, form: str) -> None:
    target = visitor.targets[form]
    for sent in some(bodies(target), EXAMPLES):
        answer = await visitor.browser.post(target.path, content=sent.body, headers={"Content-Type": sent.kind})
        await check(answer, sent)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "sign in"])  # its address is its proof
async def test_without_its_proof_a_form_does_nothing(visitor: Visitor, place: Place, form: str) -> None:
    target = visitor.targets[form]
    key = place.keys[target.path.startswith(f"/incidents/{place.keys[1]}")]
    path = f"/incidents/{key}/timeline"
    before = await place.muster.call("GET", path)
    for sent in some(bodies(Target(target.path, target.fields, {})), EXAMPLES // 3):
        answer = await visitor.browser.post(target.path, content=sent.body, headers={"Content-Type": sent.kind})
        await check(answer, sent)
        assert answer.status_code in (400, 403, 409, 410, 422), (answer.status_code, sent)
    assert await place.muster.call("GET", path) == before


PAGES = (
    "/", "/declare", "/declare/{any}", "/sign-in/{any}", "/a/{any}", "/incidents/{any}", "/incidents/{key}",
    "/incidents/{key}/people", "/incidents/{key}/call-sheet", "/incidents/{key}/timeline", "/incidents/{key}/reports",
    "/incidents/{key}/bulletins/new", "/incidents/{key}/bulletins/{any}",
)  # fmt: skip
NAMES = ("q", "done", "like", "after", "before", "bulletin", "department", "status", "next", "said", "examples")


@pytest.mark.parametrize("page", PAGES)
async def test_no_address_breaks_a_page(visitor: Visitor, place: Place, page: str) -> None:
    query = st.lists(st.tuples(st.sampled_from([name.encode() for name in NAMES]), BYTES), max_size=4)
    for pairs, part in some(st.tuples(query, BYTES.filter(lambda value: len(value) < 300)), EXAMPLES // 2):
        path = page.replace("{key}", place.keys[0]).replace("{any}", quote_from_bytes(part or b"x", safe=""))
        answer = await visitor.browser.get(f"{path}?{urlencoded(pairs).decode()}"[:9000])
        await check(answer, (path, pairs))
