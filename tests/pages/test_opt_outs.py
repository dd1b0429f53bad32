"""Opting somebody out and in again on the page, and deciding about a "stop" inside a sentence."""

from __future__ import annotations

from app.replies import service as replies
from app.replies.models import Inbound
from tests.pages.conftest import Site

NUMBERS = "/people/numbers"
AMARA = "+19725550101"


async def said_stop(site: Site) -> None:
    """Amara Vance was told, and says stop in a sentence."""
    await site.people()
    await site.sent(await site.declared())
    async with site.house.db.begin() as session:
        await replies.receive(session, site.house, Inbound("SM1", AMARA, "Stop. Thank you"))


async def test_stop_in_a_sentence_waits_on_the_page_until_somebody_opts_them_out(site: Site) -> None:
    await said_stop(site)
    surfer = await site.surfer("department_lead")
    page = await surfer.get(NUMBERS)
    assert "1 report that may ask for no more texts" in page.text
    assert "“Stop. Thank you”" in page.text
    form = next(f for f in page.forms if f.action.endswith("/opt-out") and f.controls[1].value == "C1")
    form.fill({"reason": "they meant it"})
    after = await surfer.send(form.action, form.data(None))
    assert "Opted out. Your name and reason are kept." in after.text
    assert "that may mean" not in after.text
    assert "Opted out on their behalf by A department_lead" in after.text


async def test_or_keeps_texting(site: Site) -> None:
    await said_stop(site)
    surfer = await site.surfer("department_lead")
    after = await surfer.press(await surfer.get(NUMBERS), "/keep/1")
    assert "Noted: they still get texts." in after.text
    assert "that may mean" not in after.text


async def test_an_opt_out_that_was_recorded_here_is_undone_here(site: Site) -> None:
    await site.people()
    surfer = await site.surfer("commander")
    await surfer.press(await surfer.get(NUMBERS), "/opt-out", person="C1", kind="mobile", reason="asked by phone")
    page = await surfer.get(NUMBERS)
    after = await surfer.press(page, "/opt-in")
    assert "Opted in again" in after.text
    assert await site.count("suppression") == 0
    assert await site.count("contact_note") == 2


async def test_without_a_reason_nothing_is_done_and_nothing_typed_is_lost(site: Site) -> None:
    await site.people()
    surfer = await site.surfer("commander")
    refused = await surfer.press(await surfer.get(NUMBERS), "/opt-out", person="C1", kind="email", reason=" ")
    assert refused.status == 422
    assert "Reason is required" in refused.text
    assert [c.value for c in refused.form("/opt-out").controls if c.name in ("person", "kind")] == ["C1", "email"]
    assert await site.count("suppression") == 0


async def test_the_board_marks_it(site: Site) -> None:
    await said_stop(site)
    board = await (await site.surfer("commander")).get("/incidents/INC-2026-0001")
    assert "May want no more texts." in board.part("part-reports")
