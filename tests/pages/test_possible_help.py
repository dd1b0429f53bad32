"""What may be a call for help, on the board, on the list of reports and on the first page: one press each way."""

from __future__ import annotations

import pytest

from app.replies import service as replies
from app.replies.models import Inbound
from tests.pages.conftest import ROLES, Site

K = "/incidents/INC-2026-0001"
AMARA, GRACE = "+19725550101", "+16175550103"


async def heard(site: Site, number: str, words: str) -> None:
    """Somebody texts us."""
    async with site.house.db.begin() as session:
        sid = f"SM{await _next(site)}"
        await replies.receive(session, site.house, Inbound(sid, number, words))


async def _next(site: Site) -> int:
    return await site.count("inbound_message") + 1


async def begun(site: Site, *words: str) -> None:
    """An incident in which Amara Vance was told and then texted these words."""
    await site.people()
    await site.sent(await site.declared())
    for text in words or ("help",):
        await heard(site, AMARA, text)


async def test_the_board_shows_it_beside_help_with_words_and_number(site: Site) -> None:
    await begun(site)
    board = await (await site.surfer("commander")).get(K)
    shown = board.part("part-help")
    assert "1 report may be a call for help" in shown
    assert "Amara Vance" in shown
    assert "“help”" in shown
    assert f'href="tel:{AMARA}"' in board.html
    assert "1 may need help." in board.part("part-account")
    assert "Nobody needs help" not in board.text


@pytest.mark.parametrize("page", [K, f"{K}/reports"])
async def test_one_press_makes_it_a_help_request(site: Site, page: str) -> None:
    await begun(site)
    surfer = await site.surfer("commander")
    after = await surfer.press(await surfer.get(page), "/reports/1/help", "Open a help request")
    assert after.path == f"{page}?done=opened"
    assert "A help request is open" in after.text
    board = await surfer.get(K)
    assert "1 person needs help" in board.part("part-help")
    assert "may be a call" not in board.part("part-help")
    assert board.has_form("/help/1/take")
    assert "Help request 1" in (await surfer.get(f"{K}/reports")).text


@pytest.mark.parametrize("page", [K, f"{K}/reports"])
async def test_one_press_says_that_it_is_not_help(site: Site, page: str) -> None:
    await begun(site)
    surfer = await site.surfer("commander")
    after = await surfer.press(await surfer.get(page), "/reports/1/clear", "Not help")
    assert "not a call for help" in after.text
    board = await surfer.get(K)
    assert not board.has_form("/reports/1/clear")
    assert "not a call for help" in board.part("part-timeline")
    assert "Not a call for help, said by A commander" in (await surfer.get(f"{K}/reports")).text


async def test_from_a_shared_phone_there_is_a_button_for_each_person(site: Site) -> None:
    await site.people()
    await site.run("UPDATE contact_point SET address = :number WHERE address = :other", number=AMARA, other=GRACE)
    await site.sent(await site.declared())
    await heard(site, AMARA, "help")
    surfer = await site.surfer("commander")
    board = await surfer.get(K)
    assert "Someone at this number" in board.part("part-help")
    await surfer.press(board, "/reports/1/help", "Open a help request for Grace O'Brien")
    assert "Grace O'Brien" in (await surfer.get(K)).part("part-help")


async def test_when_nobody_has_the_number_any_more_the_employee_id_is_asked_for(site: Site) -> None:
    await site.people()
    await site.run("UPDATE contact_point SET address = :number WHERE address = :other", number=AMARA, other=GRACE)
    await site.sent(await site.declared())
    await heard(site, AMARA, "help")
    await site.run("DELETE FROM contact_point WHERE address = :number", number=AMARA)
    surfer = await site.surfer("commander")
    board = await surfer.get(K)
    refused = await surfer.press(board, "/reports/1/help", person="nobody")
    assert refused.status == 404
    await surfer.press(board, "/reports/1/help", person="C1")
    assert "Amara Vance" in (await surfer.get(K)).part("part-help")


async def test_closing_asks_for_a_word_while_a_report_may_be_a_call_for_help(site: Site) -> None:
    await begun(site)
    surfer = await site.surfer("commander")
    refused = await surfer.press(await surfer.get(K), "/close", reason="over")
    assert refused.status == 409
    assert "1 report may be a call for help." in refused.text
    closed = await surfer.press(refused, "/close", reason="over", accept_open_help=["yes"])
    assert closed.status == 200
    assert "with 1 possible call for help not checked" in (await surfer.get(f"{K}/timeline")).text


async def test_what_belongs_to_no_incident_stands_on_the_first_page(site: Site) -> None:
    await site.people()
    await heard(site, AMARA, "help")
    surfer = await site.surfer("commander")
    home = await surfer.get("/")
    assert "1 report may be a call for help" in home.text
    assert f'href="tel:{AMARA}"' in home.html
    after = await surfer.press(home, "/reports/1/clear")
    assert "may be a call" not in after.text
    await heard(site, AMARA, "help")
    await site.declared()
    await surfer.press(await surfer.get("/"), "/reports/2/help", "Open a help request in INC-2026-0001")
    assert "Amara Vance" in (await surfer.get(K)).part("part-help")
    assert "may be a call" not in (await surfer.get("/")).text


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_sees_what_it_may_press_and_call(site: Site, role: str) -> None:
    await begun(site)
    await heard(site, GRACE, "help")  # of another department
    board = await (await site.surfer(role)).get(K)
    assert board.has_form("/reports/1/clear") is (role != "viewer")
    assert (f"tel:{AMARA}" in board.html) is (role in {"admin", "commander", "department_lead"})
    assert ("Grace O'Brien" in board.part("part-help")) is (role != "department_lead")


async def test_what_was_typed_is_text_and_never_markup(site: Site) -> None:
    await begun(site)
    await site.run("UPDATE field_report SET text = :evil", evil="<script>alert(1)</script>")
    board = await (await site.surfer("commander")).get(K)
    assert "<script>alert" not in board.html
    assert "“<script>alert(1)</script>”" in board.part("part-help")
