"""Links as they come out of a sentence, and addresses that lead nowhere: the way back is always there."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.pages.conftest import Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

TAILS = [
    ".", ")", ",", ">", "%3E", '"', "'", "…", "”", "’", "»", ";", ":", "!", "?!", "].", ").", "%22", "%20", "*", "。",
    "%0A",
]  # fmt: skip


async def _sent(site: Site) -> str:
    await site.people()
    key = await site.declared()
    await site.sent(key)
    return key


def _tailed(path: str, tail: str) -> str:
    return path + (tail if tail.startswith("%") else quote(tail))


async def test_a_staff_link_opens_whatever_the_sentence_left_behind_it(site: Site) -> None:
    await _sent(site)
    found = await site.one("SELECT min(id) AS id FROM delivery")
    link = f"/a/{site.house.signer.link_token(found['id'])}"
    surfer = await site.surfer()
    for tail in TAILS:
        page = await surfer.get(_tailed(link, tail))
        assert (page.status, page.path) == (200, link), tail
        assert "Your answer now" in page.text, tail
    page = await surfer.get(link)
    form = page.form(link)
    answered = await surfer.send(f"{link}.", form.data("OK"))
    assert "Your answer: OK." in answered.text


async def test_what_we_did_not_issue_opens_nothing_with_a_tail_either(site: Site) -> None:
    await _sent(site)
    surfer = await site.surfer()
    for wrong in ("a2b3c4d5e6f7g2h3i4j5", "a" * 20, "x"):
        assert (await surfer.get(f"/a/{wrong}.")).status == 404
        assert (await surfer.get(f"/a/{wrong}.")).path == f"/a/{wrong}.", "and is led nowhere"


async def test_incident_and_sign_in_links_lose_their_tail_too(site: Site) -> None:
    key = await _sent(site)
    link = f"/sign-in/{await site.link('commander')}?next=/incidents/{key})."
    visitor = await site.surfer()
    page = await visitor.get(link.replace("?next", ".?next"))
    assert page.status == 200
    board = await visitor.send(page.form("").action if page.form("").action else page.url, page.form("").data(None))
    assert board.path == f"/incidents/{key}"
    for tail in TAILS:
        assert (await visitor.get(_tailed(f"/incidents/{key}", tail))).path == f"/incidents/{key}", tail
        assert (
            await visitor.get(_tailed(f"/incidents/{key}/bulletins/1", tail))
        ).path == f"/incidents/{key}/bulletins/1"
    for path in ("/people/numbers", "/declare", "/declare/sample", "/incidents"):
        assert (await visitor.get(f"{path}).")).path == path
    assert (await (await site.surfer()).get(f"/incidents/{key}.")).status == 401


@pytest.mark.parametrize(
    "below", ["bulletins/9", "bulletins/0", "bulletins/x", "bulletins/9999999999", "nothing/here", "help/7/take"]
)
async def test_what_is_not_there_leads_back_to_its_incident(site: Site, below: str) -> None:
    key = await _sent(site)
    surfer = await site.surfer("commander")
    page = await surfer.get(f"/incidents/{key}/{below}")
    assert page.status in (404, 405)
    assert page.link(f"Go to {key}") == f"/incidents/{key}"
    if below == "bulletins/9":
        assert "This incident has no bulletin 9." in page.text
    missing = await surfer.get("/incidents/INC-2031-0001/bulletins/1")
    assert missing.status == 404
    assert not missing.has_link("Go to INC-2031-0001"), "an incident that is not there is no way back"
